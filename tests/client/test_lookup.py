"""Where a name leads: hosts that are unknown, have only IPv6 or several addresses, and ports of something else."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client.fake_server import FakeServer, page_of, timer
from client.model_logs import event
from drivers.both_clients import LIMIT_S, Driver, quick
from local_server import LocalServer
from timer_client import AsyncTimerClient, ClientClosed, ServerUnreachable, TimerClient, lookup, vigil
from timer_client.ending import PROCESS
from timer_client.lookup import look_up
from timer_protocol.addresses import UnknownHost, for_binding, numbered
from timer_server.health import check
from timer_server.wire.endpoints import BindError

Connect = Callable[..., Driver]

SIX = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0))
FOUR = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
DEAD = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0))

Hosts = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def nothing_is_looked_up_yet() -> None:
    lookup._lookups.after_fork()


@pytest.fixture(autouse=True)
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """The addresses that names have in a test. The machine's own name service, which may take its time, is asked for
    none that cannot be.
    """
    named: Hosts = {}
    original = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        if host.endswith(".invalid") and host not in named:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return named[host] if host in named else original(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return named


class Slow:
    """A name service that answers when it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.asked = 0

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        assert host == "slow.invalid"
        self.asked += 1
        self.begun.set()
        return [FOUR] if self.released.wait(LIMIT_S) else []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    service = Slow()
    monkeypatch.setattr(socket, "getaddrinfo", service.getaddrinfo)
    yield service
    service.released.set()


def test_a_host_that_does_not_resolve_is_named(connect: Connect) -> None:
    with pytest.raises(
        ServerUnreachable, match=r"tcp://nohost\.invalid:8888 .*the host 'nohost\.invalid' cannot be found"
    ):
        connect(quick("tcp://nohost.invalid:8888", retry_deadline_s=0.2)).get("a")


def test_a_host_that_comes_to_be_known_is_found(fake: FakeServer, connect: Connect, hosts: Hosts) -> None:
    port = fake.commands.rpartition(":")[2]
    client = connect(
        quick(f"tcp://later.invalid:{port}"), on_pause=lambda _pause: hosts.update({"later.invalid": [FOUR]})
    )
    assert client.get("a").id == "a"


def test_a_name_service_that_does_not_answer_is_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(LIMIT_S) and [FOUR])
    client = connect(quick("tcp://slow.invalid:8888", timeout_s=0.1, retry_deadline_s=0.2))
    with pytest.raises(ServerUnreachable, match="the name service did not answer within"):
        client.get("a")
    client.close()
    released.set()


def test_a_name_service_that_takes_longer_than_a_try_is_asked_once(
    fake: FakeServer, connect: Connect, slow: Slow
) -> None:
    """Else each try would begin anew, and the server never be found."""
    asked: list[int] = []

    def on_pause(_pause: object) -> None:
        asked.append(slow.asked)
        if len(asked) == 3:
            slow.released.set()

    client = connect(quick(_named("slow.invalid", fake.commands), timeout_s=0.05), on_pause=on_pause)
    assert client.get("a").id == "a"
    assert asked[:3] == [1, 1, 1]


def test_an_outcome_is_taken_once_and_not_kept_for_long(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may move."""
    endpoint = "tcp://slow.invalid:8888"
    slow.released.set()
    for _ in range(2):
        assert look_up(endpoint).take(LIMIT_S) == "tcp://127.0.0.1:8888"
    assert slow.asked == 2

    look_up(endpoint).result(LIMIT_S)
    assert look_up(endpoint).done()
    monkeypatch.setattr(lookup, "_KEPT_S", 0)
    look_up(endpoint).result(LIMIT_S)
    assert slow.asked == 4


def test_all_who_look_for_the_same_server_ask_once(slow: Slow) -> None:
    lookups = [look_up("tcp://slow.invalid:8888") for _ in range(8)]
    slow.released.set()
    assert {one.take(LIMIT_S) for one in lookups} == {"tcp://127.0.0.1:8888"}
    assert slow.asked == 1


def test_closing_does_not_wait_for_a_name_service(slow: Slow) -> None:
    client = TimerClient(settings=quick("tcp://slow.invalid:8888", timeout_s=LIMIT_S))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.get, "a")
        assert slow.begun.wait(LIMIT_S)
        client.close()
        with pytest.raises(ClientClosed):
            asked.result(LIMIT_S / 2)


def test_closing_an_asynchronous_client_does_not_either(slow: Slow) -> None:
    async def main() -> None:
        client = AsyncTimerClient(settings=quick("tcp://slow.invalid:8888", timeout_s=LIMIT_S))
        asked = asyncio.create_task(client.get("a"))
        await asyncio.to_thread(slow.begun.wait, LIMIT_S)
        await client.close()
        with pytest.raises(ClientClosed):
            await asked

    asyncio.run(asyncio.wait_for(main(), LIMIT_S / 2))


@pytest.mark.parametrize("slow_one", ["commands", "events"])
def test_a_slow_name_service_does_not_stop_the_event_loop(server: LocalServer, slow: Slow, slow_one: str) -> None:
    endpoints = {"commands": server.commands, "events": server.events}
    endpoints[slow_one] = _named("slow.invalid", endpoints[slow_one])

    async def main() -> str:
        asyncio.get_running_loop().call_later(0.02, slow.released.set)  # never, if the loop is held up
        async with AsyncTimerClient(settings=quick(*endpoints.values(), timeout_s=LIMIT_S)) as client:
            await client.start(hours=1, id="a")
            async with client.events(after="start") as events:
                return (await anext(events)).kind

    assert asyncio.run(asyncio.wait_for(main(), LIMIT_S)) == "started"
    assert slow.asked == 1


def test_where_no_thread_can_be_started_the_caller_is_not_held_up(
    connect: Connect, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = connect(quick("tcp://slow.invalid:8888", retry_deadline_s=0.05))
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ServerUnreachable, match=r"slow\.invalid:8888 cannot be looked up: can't start"):
        client.get("a")
    assert slow.asked == 0


def test_a_forked_process_looks_names_up_itself(slow: Slow) -> None:
    endpoint = "tcp://slow.invalid:8888"
    of_parent = look_up(endpoint)
    PROCESS.note_fork()
    of_child = look_up(endpoint)
    assert of_child is not of_parent
    slow.released.set()
    assert of_child.result(LIMIT_S) == of_parent.result(LIMIT_S) == "tcp://127.0.0.1:8888"


@pytest.mark.parametrize("bound", ["tcp://[::1]:0", "tcp://six.invalid:0"])
def test_a_server_and_its_clients_live_on_ipv6_alone(connect: Connect, hosts: Hosts, bound: str) -> None:
    hosts["six.invalid"] = [SIX]
    with LocalServer(bind=bound, events_bind=bound) as server:
        assert server.commands.startswith("tcp://[::1]:")
        for commands, events in (
            (server.commands, server.events),
            (_named("six.invalid", server.commands), _named("six.invalid", server.events)),
        ):
            client = connect(quick(commands, events, timeout_s=5))
            client.start(hours=1, id=f"t{len(commands)}")
            assert next(client.events(after="start")).kind == "started"
            assert check(commands, None).fault is None


def test_of_several_addresses_one_that_accepts_is_taken(fake: FakeServer, connect: Connect, hosts: Hosts) -> None:
    hosts["both.invalid"] = [SIX, DEAD, FOUR]
    endpoint = _named("both.invalid", fake.commands)
    assert numbered(endpoint)[-1].startswith("tcp://[::1]:"), "IPv4 goes first"
    assert look_up(endpoint).result(LIMIT_S) == fake.commands
    assert connect(quick(endpoint)).get("a").id == "a"


def test_events_of_an_unknown_host_are_read(
    fake: FakeServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    event = {"log": "b", "seq": 3, "kind": "fired", "at_ms": 0, "timer": timer()}
    fake.faults.append(lambda body: page_of(body, [event], {"b": 3}))
    client = connect(quick(fake.commands, "tcp://nohost.invalid:8889"))
    assert next(client.events(after={"b": 2})).seq == 3
    assert "the host 'nohost.invalid' cannot be found" in caplog.text


def test_a_name_that_takes_long_keeps_nobody_from_hearing_other_servers(
    fake: FakeServer, connect: Connect, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_ONE_OF_SEVERAL_S", 0.01)
    monkeypatch.setattr(vigil, "SILENCE_S", 0.1)
    client = connect(quick(fake.commands, f"tcp://slow.invalid:8889,{fake.events}"))
    stream = client.events(after={"a": 0})
    done = threading.Event()

    def publish() -> None:
        ticks = 0
        while not done.wait(0.05):
            ticks += 1
            for seq in range(1, min(ticks, 10) + 1):
                fake.publish(b"t started", event(seq, "t"))

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        started_s = time.monotonic()
        assert [next(stream).seq for _ in range(10)] == [*range(1, 11)]
        assert time.monotonic() - started_s < LIMIT_S / 4
    finally:
        done.set()
        publishing.join(LIMIT_S)


def test_a_server_address_that_is_the_events_port_gets_a_hint(server: LocalServer, connect: Connect) -> None:
    with pytest.raises(ServerUnreachable, match=r"is it the events port\? TIMER_SERVER is for requests"):
        connect(quick(server.events, retry_deadline_s=0.2)).get("a")


def test_a_server_says_which_host_it_cannot_bind() -> None:
    with pytest.raises(BindError, match=r"the host 'nohost\.invalid' cannot be found"):
        LocalServer(bind="tcp://nohost.invalid:0").serve_here()


@pytest.mark.parametrize("endpoint", ["tcp://*:0", "tcp://0.0.0.0:1", "tcp://[::]:1", "ipc:///x", "tcp://lo:*"])
def test_what_is_no_name_of_a_host_is_left_as_it_is(endpoint: str) -> None:
    assert for_binding(endpoint) == endpoint


def test_a_name_that_cannot_be_one_is_unknown() -> None:
    with pytest.raises(UnknownHost):
        numbered(f"tcp://{'x' * 70}:1")


def _named(host: str, endpoint: str) -> str:
    return f"tcp://{host}:{endpoint.rpartition(':')[2]}"
