"""More requests than can be handled: they fill no memory, and those who ask little are served again soon."""

import itertools
import json
import threading
from contextlib import suppress

import pytest

from drivers.peers import request, requester
from drivers.raw_zmtp import RawPeer, message, raw_peer
from local_server import LocalServer
from timer_client import Settings, TimerClient
from timer_server.wire import intake
from timer_server.wire.intake import Intake

MIB = 1024 * 1024


@pytest.fixture
def resident(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The memory of the process, as the test says it is."""
    sizes = [100 * MIB]
    monkeypatch.setattr(intake, "_resident_bytes", lambda: sizes[-1])
    monkeypatch.setattr(intake, "INTAKE_BYTES", 10 * MIB)
    return sizes


def test_growth_counts_while_the_loop_does_not_catch_up(resident: list[int]) -> None:
    watch = Intake(seq=0)
    assert not watch.is_too_much(0)
    resident.append(111 * MIB)
    watch.note(is_empty=False)
    assert watch.is_too_much(0)
    watch.note(is_empty=True)
    watch.note(is_empty=False)
    assert not watch.is_too_much(0)
    resident.append(122 * MIB)
    assert watch.is_too_much(0)


def test_what_events_have_added_does_not_count(resident: list[int]) -> None:
    watch = Intake(seq=0)
    assert not watch.is_too_much(0)
    resident.append(111 * MIB)
    assert not watch.is_too_much(1000)


def test_a_flood_of_requests_is_cut_off_and_honest_clients_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "INTAKE_BYTES", 64 * MIB)
    # The process of the tests may have memory to reuse: that it grows is the test's word, that the loop lags is true.
    sizes = itertools.count(0, 50 * MIB)
    monkeypatch.setattr(intake, "_resident_bytes", lambda: next(sizes))
    ask = message(json.dumps([request("timer.list", 1, state="fired")] * 500).encode())  # some milliseconds of work
    with LocalServer() as server, requester(server.commands) as rpc, raw_peer(server.commands) as flood:
        for first in range(0, 20_000, 1000):
            rpc.batch([request("timer.start", n, id=f"t/{first + n}", hours=1) for n in range(1000)])
        flood.shake_hands(b"DEALER")
        sending = threading.Thread(
            target=_send, args=(flood, ask * 100), daemon=True
        )  # in large pieces: the server shares the interpreter
        sending.start()
        assert server.wait_for_log("all connections are cut and may be made anew")["reason"].startswith("more comes in")
        sending.join(10)
        assert not sending.is_alive()
        with TimerClient(settings=Settings(server=server.commands, events=server.events)) as client:
            assert client.get("t/0").state == "running"


def _send(peer: RawPeer, asks: bytes) -> None:
    """Sends until the connection is cut."""
    with suppress(OSError):
        for _ in range(500):
            peer.send(asks)
