"""Deadlines while clocks jump: the loop, the sockets and the store are real, only the clocks are the test's."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.peers import Requester, requester
from fake_time import FakeTime
from local_server import LocalServer

MINUTE_S = 60
HOUR_S = 3600
WAS_SET = "the wall clock was set; only timers that were started for a moment of it move"


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S, -24 * HOUR_S])
def test_setting_the_wall_clock_moves_no_deadline(step_s: int) -> None:
    clocks = FakeTime()
    with LocalServer(sources=clocks.sources()) as server, requester(server.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="x", minutes=10)["due_at_ms"]
        clocks.set_wall_clock_by_s(step_s)
        logged = server.wait_for_log(WAS_SET)
        assert logged["ahead_ms"] == pytest.approx(step_s * 1000, abs=100)
        timer = rpc.call("timer.get", id="x")
        assert (timer["state"], timer["due_at_ms"]) == ("running", due_at_ms)
        assert 590_000 < timer["remaining_ms"] <= 600_000
        clocks.pass_s(601)
        fired = rpc.call("timer.wait", id="x", wait_ms=5_000)
        assert (fired["state"], fired["due_at_ms"]) == ("fired", due_at_ms)


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S, -24 * HOUR_S])
def test_nor_does_setting_it_across_a_restart(tmp_path: Path, step_s: int) -> None:
    clocks = FakeTime()
    store_path = tmp_path / "timers.db"
    with LocalServer(sources=clocks.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="x", minutes=10)["due_at_ms"]
    clocks.set_wall_clock_by_s(step_s)
    clocks.pass_s(60)
    with LocalServer(sources=clocks.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        timer = rpc.call("timer.get", id="x")
        assert (timer["state"], timer["due_at_ms"]) == ("running", due_at_ms)
        assert 535_000 < timer["remaining_ms"] <= 540_000


def test_time_passes_while_the_machine_is_off(tmp_path: Path) -> None:
    clocks = FakeTime("boot-1")
    store_path = tmp_path / "timers.db"
    with LocalServer(sources=clocks.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="short", minutes=10)["due_at_ms"]
        rpc.call("timer.start", id="long", hours=2)
    after = FakeTime("boot-2")
    after.set_wall_clock_by_s(HOUR_S)
    with LocalServer(sources=after.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        short = rpc.call("timer.wait", id="short", wait_ms=5_000)
        assert (short["state"], short["due_at_ms"]) == ("fired", due_at_ms)
        assert 3_590_000 < rpc.call("timer.get", id="long")["remaining_ms"] <= 3_600_000


def test_many_overdue_timers_all_fire_once(tmp_path: Path) -> None:
    clocks = FakeTime()
    with LocalServer(sources=clocks.sources()) as server, requester(server.commands) as rpc:
        for number in range(1200):
            rpc.call("timer.start", id=f"t/{number:04}", minutes=1)
        clocks.pass_s(61)
        for number in (0, 1199):
            assert rpc.call("timer.wait", id=f"t/{number:04}", wait_ms=5_000)["state"] == "fired"
        ended: list[str] = []
        after = 1200
        while len(ended) < 1200:
            page = rpc.events(after, limit=1000, wait_ms=5_000)
            assert page["events"]
            after = page["next"]
            ended += [event["timer"]["id"] for event in page["events"] if event["kind"] == "fired"]
        assert sorted(ended) == [f"t/{number:04}" for number in range(1200)]
        assert rpc.seq() == 2400


def at(clocks: FakeTime, in_s: int) -> str:
    """A moment of the wall clock, in whole seconds."""
    return datetime.fromtimestamp(clocks.wall_ns() // 10**9 + in_s, UTC).isoformat()


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S, -24 * HOUR_S])
def test_a_timer_for_a_moment_follows_the_wall_clock_and_its_watchers_are_told(step_s: int) -> None:
    clocks = FakeTime()
    with LocalServer(sources=clocks.sources()) as server, requester(server.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="x", at=at(clocks, 48 * HOUR_S))["due_at_ms"]
        clocks.set_wall_clock_by_s(step_s)
        (event,) = rpc.events(1, wait_ms=5_000)["events"]
        assert (event["kind"], event["cause"]) == ("extended", "clock")
        assert event["timer"]["due_at_ms"] == pytest.approx(due_at_ms - step_s * 1000, abs=10)

        clocks.pass_s(48 * HOUR_S - step_s - MINUTE_S)
        assert rpc.call("timer.get", id="x")["state"] == "running"
        clocks.pass_s(MINUTE_S)
        fired = rpc.call("timer.wait", id="x", wait_ms=5_000)
        assert fired["state"] == "fired"
        assert fired["due_at_ms"] <= fired["ended_at_ms"]


def test_a_moment_that_the_wall_clock_is_set_beyond_is_there(tmp_path: Path) -> None:
    clocks = FakeTime()
    store_path = tmp_path / "timers.db"
    with LocalServer(sources=clocks.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="soon", at=at(clocks, HOUR_S))
        rpc.call("timer.start", id="later", at=at(clocks, 3 * HOUR_S))
        clocks.set_wall_clock_by_s(HOUR_S)
        assert rpc.call("timer.wait", id="soon", wait_ms=5_000)["state"] == "fired"
    clocks.set_wall_clock_by_s(2 * HOUR_S)
    with LocalServer(sources=clocks.sources(), store_path=store_path) as server, requester(server.commands) as rpc:
        assert rpc.call("timer.wait", id="later", wait_ms=5_000)["state"] == "fired"


def test_what_is_no_moment_or_no_zone_is_said(rpc: Requester) -> None:
    assert "is no moment" in rpc.error("timer.start", at="at nine")["data"]["reason"]
    refused = rpc.error("timer.start", at="2030-01-01T09:00", zone="Europe/Roma")
    assert "did you mean Europe/Rome" in refused["data"]["reason"]
