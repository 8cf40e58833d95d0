"""What retention removes, and what it keeps, seen from outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.peers import Requester, requester
from fake_time import FakeTime
from local_server import LocalServer
from timer_protocol.limits import Limits

RETENTION_S = 100


def until(condition: Callable[[], Any]) -> None:
    """Asks again and again; the test's own time limit ends it."""
    while not condition():
        pass


def is_forgotten(rpc: Requester, timer_id: str) -> bool:
    return "error" in rpc.response("timer.get", id=timer_id)


def test_ended_timers_go_and_pending_ones_stay(tmp_path: Path) -> None:
    clocks = FakeTime()
    limits = Limits(retention_s=RETENTION_S)
    settings = {"sources": clocks.sources(), "limits": limits, "store_path": tmp_path / "timers.db"}
    with LocalServer(**settings) as server, requester(server.commands) as rpc:
        old = rpc.call("timer.start", id="old", hours=5, payload="kept")
        rpc.call("timer.start", id="short/0", seconds=1)
        rpc.call("timer.cancel", id="short/0")
        for number in range(1, 600):
            rpc.call("timer.start", id=f"short/{number}", seconds=1)
        clocks.pass_s(2)
        rpc.call("timer.wait", id="short/599", wait_ms=5_000)
        assert rpc.events(limit=1)["truncated"] is False
        clocks.pass_s(RETENTION_S)
        until(lambda: is_forgotten(rpc, "short/599"))
        until(lambda: rpc.call("server.info")["counts"] == {"running": 1, "paused": 0, "fired": 0, "cancelled": 0})
        page = rpc.events()
        assert page["truncated"] is True
        assert [event["timer"]["id"] for event in page["events"]] == ["old"]
        assert [timer["id"] for timer in rpc.call("timer.list")["timers"]] == ["old"]
        seq = rpc.seq()

    with LocalServer(**settings) as server, requester(server.commands) as rpc:
        again = rpc.call("timer.get", id="old")
        assert (again["due_at_ms"], again["payload"]) == (old["due_at_ms"], "kept")
        assert rpc.seq() == seq
        assert rpc.call("timer.start", id="short/1", seconds=50)["version"] == 1
        assert rpc.call("timer.pause", id="old")["version"] == 2
        page = rpc.events(seq)
        assert ([event["seq"] for event in page["events"]], page["truncated"]) == ([seq + 1, seq + 2], False)


def test_a_reader_is_led_over_what_was_removed() -> None:
    clocks = FakeTime()
    limits = Limits(retention_s=RETENTION_S)
    with LocalServer(sources=clocks.sources(), limits=limits) as server, requester(server.commands) as rpc:
        for number in range(20):
            rpc.call("timer.start", id=f"t/{number}", minutes=1)
            rpc.call("timer.cancel", id=f"t/{number}")
        clocks.pass_s(RETENTION_S + 1)
        until(lambda: is_forgotten(rpc, "t/19"))
        page = rpc.events(3, wait_ms=30_000)
        assert page == {"events": [], "next": 40, "more": False, "truncated": True}
        assert rpc.events(40)["truncated"] is False


def test_no_more_ended_timers_are_kept_than_may_be_pending() -> None:
    with LocalServer(limits=Limits(max_timers=10)) as server, requester(server.commands) as rpc:
        for number in range(25):
            rpc.call("timer.start", id=f"t/{number}", minutes=1)
            rpc.call("timer.cancel", id=f"t/{number}")
        until(lambda: rpc.call("server.info")["counts"]["cancelled"] == 10)
        assert is_forgotten(rpc, "t/14")
        assert rpc.call("timer.get", id="t/15")["state"] == "cancelled"
