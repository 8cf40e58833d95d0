"""When timers end: never early, and late by no more than rounding, however they are moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import BEGIN_NS, NS_PER_MS, NS_PER_S, Bench
from timer_protocol.errors import Refusal
from timer_protocol.messages import ExtendParams, PauseParams, RestartParams, ResumeParams

MINUTE_NS = 60 * NS_PER_S

begins_ns = st.integers(BEGIN_NS, BEGIN_NS + NS_PER_S)
durations_ms = st.integers(1, 10_000)


@given(begins_ns, durations_ms)
def test_timer_fires_at_its_deadline_and_not_a_nanosecond_before(begin_ns: int, duration_ms: int) -> None:
    bench = Bench()
    bench.start(now_ns=begin_ns, seconds=duration_ms / 1000)
    due_ns = bench.engine.next_due_ns()

    assert due_ns is not None
    assert 0 <= due_ns - (begin_ns + duration_ms * NS_PER_MS) < NS_PER_MS
    assert bench.engine.expire(due_ns - 1, 1) == 0
    assert bench.get(now_ns=due_ns - 1).state == "running"
    assert bench.engine.expire(due_ns, 1) == 1
    assert bench.commit() == ["started", "fired"]


@given(begins_ns, durations_ms)
def test_looking_at_an_overdue_timer_fires_it(begin_ns: int, duration_ms: int) -> None:
    bench = Bench()
    bench.start(now_ns=begin_ns, seconds=duration_ms / 1000)

    timer = bench.get(now_ns=begin_ns + (duration_ms + 1) * NS_PER_MS)

    assert timer.state == "fired"
    assert bench.commit() == ["started", "fired"]


@given(begins_ns, st.lists(st.tuples(st.integers(0, 5 * NS_PER_MS), st.integers(0, NS_PER_S)), max_size=20))
def test_only_running_time_counts(begin_ns: int, stretches: list[tuple[int, int]]) -> None:
    """Each stretch runs for some nanoseconds and is paused for others; each may cost up to 2 ms of rounding."""
    bench = Bench()
    bench.start(now_ns=begin_ns, seconds=1)
    now_ns, elapsed_ns = begin_ns, 0
    for running_ns, paused_ns in stretches:
        now_ns, elapsed_ns = now_ns + running_ns, elapsed_ns + running_ns
        bench.ask(PauseParams("a"), now_ns)
        now_ns += paused_ns
        bench.ask(ResumeParams("a"), now_ns)
    due_ns = bench.engine.next_due_ns()

    assert due_ns is not None
    late_ns = elapsed_ns + due_ns - now_ns - NS_PER_S
    assert 0 <= late_ns <= (1 + 2 * len(stretches)) * NS_PER_MS


@given(begins_ns, st.lists(st.integers(0, NS_PER_MS), min_size=1, max_size=20))
def test_time_to_go_is_never_more_than_the_whole(begin_ns: int, waits_ns: list[int]) -> None:
    bench = Bench()
    now_ns = begin_ns
    timer = bench.start(now_ns=now_ns, seconds=1)
    for wait_ns in waits_ns:
        for params in (PauseParams("a"), ResumeParams("a")):
            now_ns += wait_ns
            timer = bench.ask(params, now_ns)
            assert 0 < timer.view(now_ns // NS_PER_MS).remaining_ms <= timer.duration_ms


def test_a_timer_cannot_be_shortened_by_all_of_its_time() -> None:
    """Half a millisecond after a start that was rounded up, no more than the whole is to go."""
    bench = Bench()
    bench.start(now_ns=BEGIN_NS + 1, seconds=1)

    with pytest.raises(Refusal):
        bench.ask(ExtendParams("a", seconds=-1), BEGIN_NS + 2)


def test_earliest_deadlines_fire_first_in_the_order_of_their_starts_and_no_more_than_asked() -> None:
    bench = Bench()
    for seconds, timer_id in [(3, "c"), (1, "b"), (1, "a"), (2, "d"), (90, "late")]:
        bench.start(timer_id, seconds=seconds)

    now_ns = BEGIN_NS + MINUTE_NS
    bench.commit()
    assert [bench.engine.expire(now_ns, 3) for _ in range(3)] == [3, 1, 0]
    assert [timer.id for timer in bench.settle()] == ["b", "a", "d", "c"]


def test_an_overdue_timer_keeps_its_deadline_and_tells_when_it_fired() -> None:
    bench = Bench()
    started = bench.start()
    found_ns = BEGIN_NS + 10 * MINUTE_NS

    assert bench.engine.expire(found_ns, 1) == 1

    fired = bench.get()
    assert fired.due_at_ms == started.due_at_ms == (BEGIN_NS + MINUTE_NS) // NS_PER_MS
    assert fired.ended_at_ms == found_ns // NS_PER_MS
    assert fired.view(found_ns // NS_PER_MS).remaining_ms == 0


def test_a_request_that_comes_after_the_deadline_meets_a_fired_timer() -> None:
    bench = Bench()
    bench.start()

    with pytest.raises(Refusal) as refused:
        bench.ask(PauseParams("a"), BEGIN_NS + MINUTE_NS)

    assert refused.value.help["state"] == "fired"
    assert bench.commit() == ["started", "fired"]


def test_paused_timer_never_fires() -> None:
    bench = Bench()
    bench.start()
    bench.ask(PauseParams("a"), BEGIN_NS + NS_PER_S)

    assert bench.engine.next_due_ns() is None
    assert bench.engine.expire(BEGIN_NS + 1000 * MINUTE_NS, 10) == 0
    timer = bench.get(now_ns=BEGIN_NS + 1000 * MINUTE_NS)
    assert (timer.state, timer.due_at_ms, timer.remaining_ms) == ("paused", None, 59_000)


def test_resumed_timer_has_the_time_it_had() -> None:
    bench = Bench()
    bench.start()
    bench.ask(PauseParams("a"), BEGIN_NS + NS_PER_S)

    timer = bench.ask(ResumeParams("a"), BEGIN_NS + 5 * MINUTE_NS)

    assert timer.due_at_ms == (BEGIN_NS + 5 * MINUTE_NS) // NS_PER_MS + 59_000
    assert timer.duration_ms == 60_000


@pytest.mark.parametrize(("by_s", "due_after_s"), [(30, 90), (-30, 30), (0.001, 60.001), (-58.999, 1.001)])
def test_extension_moves_the_deadline_of_a_running_timer(by_s: float, due_after_s: float) -> None:
    bench = Bench()
    bench.start()

    timer = bench.ask(ExtendParams("a", seconds=by_s), BEGIN_NS + NS_PER_S)

    assert timer.due_at_ms == BEGIN_NS // NS_PER_MS + round(due_after_s * 1000)
    assert timer.duration_ms == round(due_after_s * 1000)
    assert (timer.hours, timer.minutes, timer.seconds) == (0, 1, 0)


def test_extension_of_a_paused_timer_adds_to_what_is_left() -> None:
    bench = Bench()
    bench.start()
    bench.ask(PauseParams("a"), BEGIN_NS + NS_PER_S)

    timer = bench.ask(ExtendParams("a", minutes=1, seconds=-30), BEGIN_NS + MINUTE_NS)

    assert (timer.remaining_ms, timer.duration_ms, timer.due_at_ms) == (89_000, 90_000, None)


def test_restart_runs_the_full_time_as_asked_again() -> None:
    bench = Bench()
    bench.start()
    bench.ask(ExtendParams("a", minutes=5), BEGIN_NS)

    timer = bench.ask(RestartParams("a"), BEGIN_NS + MINUTE_NS)

    now_ms = (BEGIN_NS + MINUTE_NS) // NS_PER_MS
    assert (timer.duration_ms, timer.started_at_ms, timer.due_at_ms) == (60_000, now_ms, now_ms + 60_000)
    assert timer.ended_at_ms is None
