"""Timers that were started for a moment of the wall clock: it decides, however it is set."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from drivers.builders import BEGIN_NS, NS_PER_MS, NS_PER_S, Bench
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import (
    CancelParams,
    ExtendParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    StartParams,
)
from timer_server.core.effects import WallClock
from timer_server.core.model import Countdown

BEGIN_MS = BEGIN_NS // NS_PER_MS
AT = "2023-11-14T23:13:20+01:00"
MINUTE_NS = 60 * NS_PER_S
DAY_MS = 86_400_000

ASK = {"pause": PauseParams, "resume": ResumeParams, "restart": RestartParams, "cancel": CancelParams}


class WallBench(Bench):
    """A shard, and a wall clock that the test sets: it is `ahead_ns` ahead of the timeline."""

    def __init__(self, **limits: int) -> None:
        self.ahead_ns = 0
        self.ahead_after_reading_ns: int | None = None
        self.moment_ms = BEGIN_MS
        super().__init__(wall_clock=WallClock(self.read_ahead_ns, lambda *_: self.moment_ms), **limits)

    def read_ahead_ns(self) -> int:
        """Reads the wall clock, which may be set right after that."""
        read_ns = self.ahead_ns
        if self.ahead_after_reading_ns is not None:
            self.ahead_ns, self.ahead_after_reading_ns = self.ahead_after_reading_ns, None
        return read_ns

    def happen(self, what: str, by_ms: int, now_ns: int) -> int:
        """Does something, if that is possible; returns how long it takes, in nanoseconds."""
        if what == "step":
            self.set_wall(by_ms, now_ns)
        elif what == "reload":
            self.reload()
        elif what == "wait":
            return abs(by_ms) * NS_PER_MS // 2
        else:
            with suppress(Refusal):
                self.ask(ExtendParams("a", seconds=by_ms / 1000) if what == "extend" else ASK[what]("a"), now_ns)
        return 0

    def start_at(self, moment_ms: int, timer_id: str = "a", now_ns: int = BEGIN_NS, **asked: Any) -> Countdown:
        self.moment_ms = moment_ms
        return self.ask(StartParams(timer_id, at=AT, payload=asked.pop("payload", Raw(b"null")), **asked), now_ns)

    def set_wall(self, by_ms: int, now_ns: int) -> list[Countdown]:
        """Sets the wall clock and lets the timers follow; returns what that has made known."""
        self.ahead_ns += by_ms * NS_PER_MS
        self.engine.expiry.follow_wall()
        while self.engine.expiry.move_bound(now_ns, 500):
            pass
        return self.settle()


def test_it_fires_when_the_wall_clock_has_reached_its_moment_and_not_a_nanosecond_before() -> None:
    bench = WallBench()
    bench.ahead_ns = 250 * NS_PER_MS + 1
    started = bench.start_at(BEGIN_MS + 60_250)

    due_ns = bench.engine.expiry.next_wall_due_ns()
    assert due_ns == BEGIN_NS + MINUTE_NS - 1
    assert bench.engine.next_due_ns() is None
    assert bench.engine.expire(due_ns, 1) == bench.engine.expiry.expire_by_wall(due_ns - 1, 1) == 0
    assert bench.engine.expiry.expire_by_wall(due_ns, 1) == 1
    fired = bench.get(now_ns=due_ns)
    assert (started.duration_ms, fired.state, fired.kind) == (60_000, "fired", "fired")
    view = fired.view(fired.at_ms)
    assert view.due_at_ms is not None
    assert view.ended_at_ms is not None
    assert view.due_at_ms <= view.ended_at_ms


def test_looking_at_one_that_is_overdue_fires_it_by_the_clock_as_it_stands() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    bench.ahead_ns = -NS_PER_S

    assert bench.get(now_ns=BEGIN_NS + MINUTE_NS).state == "running"
    bench.ahead_ns = 0
    assert bench.get(now_ns=BEGIN_NS + MINUTE_NS).state == "fired"


def test_its_view_tells_what_was_asked_and_others_have_no_such_members() -> None:
    bench = WallBench()

    view = bench.start_at(BEGIN_MS + 60_000, zone=None).view(BEGIN_MS)
    assert (view.at, view.zone) == (AT, UNSET)
    assert (view.hours, view.minutes, view.seconds) == (0, 0, 0)
    assert (view.duration_ms, view.remaining_ms, view.due_at_ms) == (60_000, 60_000, BEGIN_MS + 60_000)
    assert bench.start_at(BEGIN_MS + 60_000, "b", zone="Europe/Rome").view(BEGIN_MS).zone == "Europe/Rome"
    assert bench.start("c").view(BEGIN_MS).at is UNSET


@pytest.mark.parametrize("step_ms", [1_000, -1_000, 30_000, -DAY_MS, DAY_MS])
def test_a_step_moves_those_that_are_bound_and_no_others(step_ms: int) -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 2 * DAY_MS)
    elapsed = bench.start("elapsed", hours=48)
    bench.commit()

    (moved,) = bench.set_wall(step_ms, BEGIN_NS + NS_PER_S)

    assert moved.event_view("log").cause == "clock"
    assert moved.kind == "extended"
    view = moved.view(BEGIN_MS)
    assert view.due_at_ms == BEGIN_MS + 2 * DAY_MS - step_ms
    assert view.remaining_ms == view.duration_ms == 2 * DAY_MS - step_ms
    assert bench.get("elapsed").due_at_ms == elapsed.due_at_ms
    assert bench.engine.expiry.next_wall_due_ns() == BEGIN_NS + (2 * DAY_MS - step_ms) * NS_PER_MS


def test_a_step_is_told_soonest_first_in_bounded_parts_and_a_small_one_not() -> None:
    bench = WallBench()
    for seconds in (30, 10, 20):
        bench.start_at(BEGIN_MS + seconds * 1000, f"{seconds}")
    bench.commit()
    bench.ahead_ns = 49 * NS_PER_MS
    bench.engine.expiry.follow_wall()
    assert not bench.engine.expiry.move_bound(BEGIN_NS, 500)
    assert bench.commit() == []

    bench.ahead_ns = 50 * NS_PER_MS
    bench.engine.expiry.follow_wall()
    assert bench.engine.expiry.move_bound(BEGIN_NS, 2)
    assert [event.id for event in bench.settle()] == ["10", "20"]
    assert not bench.engine.expiry.move_bound(BEGIN_NS, 2)
    assert [event.id for event in bench.settle()] == ["30"]


def test_one_that_a_step_has_made_due_fires_and_is_not_moved() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    bench.commit()

    assert bench.set_wall(DAY_MS, BEGIN_NS) == []
    assert bench.engine.expiry.expire_by_wall(BEGIN_NS, 1) == 1


@pytest.mark.parametrize("late_ms", [0, 1, DAY_MS])
def test_a_moment_that_has_passed_is_refused_or_fires_at_once(late_ms: int) -> None:
    bench = WallBench()

    with pytest.raises(Refusal) as refused:
        bench.start_at(BEGIN_MS - late_ms)
    assert refused.value.code == ErrorCode.INVALID_PARAMS
    assert refused.value.help == {"late_ms": late_ms}
    assert bench.commit() == []

    started = bench.start_at(BEGIN_MS - late_ms, past="fire")
    assert (started.state, started.duration_ms) == ("running", 0)
    assert bench.engine.expiry.expire_by_wall(BEGIN_NS, 1) == 1
    assert bench.commit() == ["started", "fired"]


def test_a_retry_finds_its_timer_also_after_the_moment() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 1000, label="tea")
    late_ns = BEGIN_NS + MINUTE_NS

    assert bench.start_at(BEGIN_MS + 1000, now_ns=late_ns, label="tea", past="fire").state == "fired"
    for other in ({"label": "coffee"}, {"label": "tea", "zone": "UTC"}, {"label": "tea", "payload": Raw(b"1")}):
        with pytest.raises(Refusal) as refused:
            bench.start_at(BEGIN_MS + 1000, now_ns=late_ns, **other)
        assert refused.value.code == ErrorCode.ID_CONFLICT
    with pytest.raises(Refusal) as refused:
        bench.start("a", now_ns=late_ns)
    assert refused.value.code == ErrorCode.ID_CONFLICT


def test_a_moment_beyond_the_longest_duration_is_refused() -> None:
    bench = WallBench(max_duration_s=60)

    bench.start_at(BEGIN_MS + 60_000, "a")
    with pytest.raises(Refusal):
        bench.start_at(BEGIN_MS + 60_001, "b")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"at": AT, "seconds": 1}, "`at` takes the place of hours, minutes and seconds; both were given"),
        ({"seconds": 1, "zone": "UTC"}, "`zone` and `past` belong to `at`, which is missing"),
        ({"seconds": 1, "past": "fire"}, "`zone` and `past` belong to `at`, which is missing"),
    ],
)
def test_what_does_not_go_together(asked: dict[str, Any], what: str) -> None:
    with pytest.raises(Refusal) as refused:
        Bench().ask(StartParams("a", **asked))

    assert refused.value.reason == what


def test_a_pause_makes_it_an_elapsed_one_and_a_restart_binds_it_again() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    assert bench.ask(PauseParams("a"), BEGIN_NS + 20 * NS_PER_S).remaining_ms == 40_000
    bench.ahead_ns = 5 * NS_PER_S
    resumed = bench.ask(ResumeParams("a"), BEGIN_NS + 30 * NS_PER_S)

    assert not resumed.is_wall_bound
    assert resumed.view(BEGIN_MS).due_at_ms == BEGIN_MS + 70_000
    assert (bench.engine.next_due_ns(), bench.engine.expiry.next_wall_due_ns()) == (BEGIN_NS + 70 * NS_PER_S, None)

    restarted = bench.ask(RestartParams("a"), BEGIN_NS + 30 * NS_PER_S)
    assert restarted.is_wall_bound
    assert (restarted.duration_ms, restarted.view(BEGIN_MS).due_at_ms) == (25_000, BEGIN_MS + 55_000)
    assert (bench.engine.next_due_ns(), bench.engine.expiry.next_wall_due_ns()) == (None, BEGIN_NS + 55 * NS_PER_S)
    with pytest.raises(Refusal):
        bench.ask(RestartParams("a"), BEGIN_NS + MINUTE_NS)


def test_a_pause_while_the_clock_is_set_beyond_the_moment_leaves_none_to_go() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    bench.ahead_after_reading_ns = MINUTE_NS + NS_PER_S

    paused = bench.ask(PauseParams("a"), BEGIN_NS)
    assert (paused.state, paused.remaining_ms) == ("paused", 0)
    bench.settle()
    bench.reload()
    assert bench.get(now_ns=BEGIN_NS).remaining_ms == 0
    bench.ask(ResumeParams("a"), BEGIN_NS)
    assert bench.get(now_ns=BEGIN_NS).state == "fired"


def test_extend_moves_it_and_it_stays_bound() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    bench.ahead_ns = 10 * NS_PER_S

    extended = bench.ask(ExtendParams("a", seconds=-20), BEGIN_NS)
    assert extended.duration_ms == 40_000
    assert extended.view(BEGIN_MS).due_at_ms == BEGIN_MS + 30_000
    assert bench.engine.expiry.next_wall_due_ns() == BEGIN_NS + 30 * NS_PER_S
    with pytest.raises(Refusal) as refused:
        bench.ask(ExtendParams("a", seconds=-30), BEGIN_NS)
    assert refused.value.help == {"remaining_ms": 30_000}


def test_what_is_taken_away_after_the_clock_was_set_back_leaves_no_countdown_below_zero() -> None:
    bench = WallBench()
    bench.start_at(BEGIN_MS + 60_000)
    bench.ahead_ns = -1000 * NS_PER_S

    shortened = bench.ask(ExtendParams("a", seconds=-900), BEGIN_NS)

    assert (shortened.duration_ms, shortened.view(BEGIN_MS).remaining_ms) == (0, 0)
    assert bench.engine.expiry.next_wall_due_ns() == BEGIN_NS + 160 * NS_PER_S


steps = st.lists(
    st.tuples(st.sampled_from([*ASK, "extend", "step", "wait", "reload"]), st.integers(-90_000, 90_000)), max_size=12
)


@given(st.integers(1, 120_000), steps)
def test_it_never_fires_before_its_moment_and_always_once_that_is_there(
    to_go_ms: int, happenings: list[tuple[str, int]]
) -> None:
    bench, now_ns = WallBench(), BEGIN_NS
    bench.start_at(BEGIN_MS + to_go_ms)
    bench.settle()
    for what, by_ms in happenings:
        now_ns += bench.happen(what, by_ms, now_ns)
        bench.engine.expire(now_ns, 9)
        bench.engine.expiry.expire_by_wall(now_ns, 9)
        wall_ms = (now_ns + bench.ahead_ns) // NS_PER_MS
        for event in bench.settle():
            if event.kind == "fired" and event.is_wall_bound:
                view = event.view(event.at_ms)
                assert (event.due_at_ms or wall_ms + 1) <= wall_ms, "early by the wall clock"
                assert (view.due_at_ms or 0) <= (view.ended_at_ms or 0)
        timer = bench.get(now_ns=now_ns)
        if timer.state == "running" and timer.is_wall_bound:
            assert (timer.due_at_ms or 0) > wall_ms, "late"
