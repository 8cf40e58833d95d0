"""Peers that park requests and give them up, as strangers with a socket do it: nobody else goes without."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from drivers.peers import Requester, request, requester, socket_to
from drivers.server_process import ServerProcess
from keys import KeyRing, calls
from local_server import LocalServer
from timer_client import AsyncTimerClient, Settings, TimerClient
from timer_server.requests import parked

PLACES = 400
ATTACKED_S = 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A server with places for 400 requests that wait."""
    monkeypatch.setattr(parked, "PARKED_MAXIMUM", PLACES)
    with LocalServer() as running:
        yield running


def waits(count: int) -> list[dict[str, Any]]:
    """A batch of requests that wait for the end of `long`, for an hour."""
    return [request("timer.wait", number, id="long", wait_ms=3_600_000) for number in range(count)]


def park(socket: zmq.Socket[bytes], count: int) -> None:
    """Parks requests of a DEALER one by one, and returns when the server has them."""
    for wait in waits(count):
        socket.send_json(wait)
    socket.send_json(request("server.info", "there"))
    while json.loads(socket.recv())["id"] != "there":
        pass


def refused(socket: zmq.Socket[bytes]) -> dict[str, Any]:
    """The data of the error that one more wait of a DEALER gets."""
    socket.send_json(request("timer.wait", "too many", id="long", wait_ms=3_600_000))
    response = json.loads(socket.recv())
    assert (response["id"], response["error"]["code"]) == ("too many", -32004)
    data: dict[str, Any] = response["error"]["data"]
    return data


def test_tasks_that_give_up_keep_no_other_program_out(server: LocalServer) -> None:
    settings = Settings(server=server.commands, events=server.events)

    async def give_up(count: int) -> str:
        async with AsyncTimerClient(settings=settings) as client:
            await client.start(hours=1, id="long")
            for _ in range(count // 50):
                given_up = [asyncio.wait_for(client.wait("long"), 0.02) for _ in range(50)]
                await asyncio.gather(*given_up, return_exceptions=True)
            with TimerClient(settings=settings) as other:
                return other.wait("long", 0.1).state

    assert asyncio.run(give_up(2 * PLACES)) == "running"


def test_connections_that_have_gone_keep_nobody_out(server: LocalServer, rpc: Requester) -> None:
    rpc.call("timer.start", id="long", hours=1)
    for _ in range(8):
        with socket_to(zmq.DEALER, server.commands) as gone:
            park(gone, PLACES // 8)

    assert rpc.call("timer.wait", id="long", wait_ms=50)["state"] == "running"


def test_one_connection_has_half_of_the_places_and_is_told_so(server: LocalServer, rpc: Requester) -> None:
    rpc.call("timer.start", id="long", hours=1)
    with socket_to(zmq.DEALER, server.commands) as greedy:
        greedy.send_json(waits(PLACES))
        data = refused(greedy)
        assert (data["scope"], data["maximum"]) == ("connection", PLACES // 2)
        assert (data["later"], data["retryable"]) == (True, False)
        assert rpc.call("timer.wait", id="long", wait_ms=50)["state"] == "running"


def test_one_key_has_three_quarters_of_them(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "PARKED_MAXIMUM", PLACES)
    ring.add("other")
    options = ring.options("admin")
    with (
        LocalServer(curve=ring.files) as server,
        calls(server, ring, "other") as other,
        socket_to(zmq.DEALER, server.commands, **options) as one,
        socket_to(zmq.DEALER, server.commands, **options) as two,
    ):
        other.call("timer.start", id="long", hours=1)
        one.send_json(waits(PLACES // 2))
        two.send_json(waits(PLACES // 2 - 1))
        one.send_json(request("server.info", "there"))
        assert json.loads(one.recv())["id"] == "there"
        data = refused(two)
        assert (data["scope"], data["maximum"], data["later"]) == ("key", 3 * PLACES // 4, True)
        assert other.call("timer.wait", id="long", wait_ms=50)["state"] == "running"


@contextmanager
def attackers(endpoint: str) -> Iterator[list[int]]:
    """Somebody who parks as much as goes, gives it up and connects again, without end. Counts the connections."""
    batch = json.dumps(waits(1000)).encode()
    stopped = threading.Event()
    connections = [0]

    def attack() -> None:
        while not stopped.is_set():
            with socket_to(zmq.DEALER, endpoint) as socket:
                for _ in range(20):
                    socket.send(batch)
                socket.send_json(request("server.info", "there"))
                while socket.poll(5_000) and b'"there"' not in socket.recv():
                    pass
            connections[0] += 1

    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    try:
        yield connections
    finally:
        stopped.set()
        thread.join(20)
        assert not thread.is_alive()


def test_an_honest_client_waits_and_lists_beside_one_that_parks_and_reconnects(server_process: ServerProcess) -> None:
    """Without keys, with the real limits: each of its waits is accepted, however often it has to ask."""
    with requester(server_process.commands) as rpc:
        rpc.call("timer.start", id="long", hours=1)
        with attackers(server_process.commands) as connections:
            ends_s = time.monotonic() + ATTACKED_S
            waited = 0
            while time.monotonic() < ends_s or connections[0] < 3:
                assert rpc.call("timer.wait", id="long", wait_ms=20)["state"] == "running"
                assert [timer["id"] for timer in rpc.call("timer.list")["timers"]] == ["long"]
                waited += 1
        assert waited > ATTACKED_S
