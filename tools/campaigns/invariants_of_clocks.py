"""What setting the wall clock does: it decides about timers that are bound to it, and about nothing else.

The campaign sets the server's clocks, so it knows what they showed at each moment of the clients' clock.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from campaigns.facts import Facts, position
from campaigns.invariants_of_effect import LATE
from campaigns.wall_clock import Span, WallClock
from timer_protocol.messages import Event

OFF_S = 0.1
"""How far the timeline may be off, since the server reads its clocks one after the other as it starts."""

ROUNDED_MS = 1
"""How far a moment in whole milliseconds may be off."""

DUE_OFF_MS = 150
"""How far `due_at_ms` of one that is bound may be off: that, and what the wall clock may move before it is told."""

PROMPT_S = 2.0
"""How late a timer may be while the server is there: a second until a set clock is noticed, another for other load."""


def the_timeline_ignores_the_wall_clock(facts: Facts) -> Iterator[str]:
    """Events happen, by the server's clock as it was in the beginning, after they were asked for and before they are
    heard of, however the wall clock is set meanwhile.
    """
    clock = facts.wall_clock
    if clock is None:
        return
    for one in facts.heard:
        early_s = one.at_s - clock.monotonic_s(one.event.at_ms)
        if early_s < -OFF_S:
            yield f"timer {one.event.timer.id} seq {one.event.seq} was heard {-early_s:.3f} s before it happened"
    for timer_id, life in facts.lives.items():
        asked_s = min((one.asked.at_s for one in facts.tries_of.get(timer_id, [])), default=None)
        late_s = 0 if asked_s is None else clock.monotonic_s(life[0].at_ms) - asked_s
        if late_s < -OFF_S:
            yield f"timer {timer_id} seq {life[0].seq} was asked for {-late_s:.3f} s after it was started"


def no_wall_bound_before_its_moment(facts: Facts) -> Iterator[str]:
    """A timer that the wall clock binds fires once that, as it stands then, has reached the moment."""
    clock = facts.wall_clock
    if clock is None:
        return
    for event, due_ms in _bound_events(facts, clock):
        if event.kind != "fired":
            continue
        heard_ms = 1000 * (facts.first_heard_s.get(position(event), inf) - clock.monotonic_s(event.at_ms))
        early_ms = min(due_ms) - event.at_ms - min(heard_ms, 1000 * OFF_S)
        if early_ms > ROUNDED_MS:
            yield (
                f"timer {event.timer.id} seq {event.seq} fired {early_ms:.0f} ms before its moment, "
                "by the wall clock as it stood; expected not before"
            )


def wall_bound_are_due_at_their_moment(facts: Facts) -> Iterator[str]:
    """`due_at_ms` is when the wall clock, as it stood at the event, has reached the moment; so is a pause's time to go.

    In the end the list has it by the wall clock as it stands then, so that every step was noticed.
    """
    clock = facts.wall_clock
    if clock is None or facts.closed is None:
        return
    for event, expected_ms in _bound_events(facts, clock):
        timer = event.timer
        due_at_ms = event.at_ms + timer.remaining_ms if timer.due_at_ms is None else timer.due_at_ms
        if not _is_one_of(due_at_ms, expected_ms):
            yield f"timer {timer.id} seq {event.seq}: {event.kind} and due at {due_at_ms}; expected {expected_ms}"
    for timer_id, timer in facts.listed.items():
        bound_ms = facts.bound.get((timer_id, timer.version))
        if bound_ms is None or timer.state != "running" or timer.due_at_ms is None:
            continue
        expected_ms = clock.due_ms(bound_ms, facts.closed.at_s, facts.closed.at_s)
        if not _is_one_of(timer.due_at_ms, expected_ms):
            yield f"timer {timer_id} is listed as due at {timer.due_at_ms}; expected {expected_ms}"


def only_wall_bound_are_moved_by_the_clock(facts: Facts) -> Iterator[str]:
    """`extended` because of the clock is told of running timers that the wall clock binds, and of no others."""
    for event in facts.log:
        if event.cause == "clock" and not (facts.is_bound(event) and event.timer.state == "running"):
            yield f"timer {event.timer.id} seq {event.seq} was moved by the wall clock, which does not bind it"


def what_is_due_fires_promptly(facts: Facts) -> Iterator[str]:
    """While the server is there, a timer runs on for a moment at most once its own clock has reached its deadline."""
    clock = facts.wall_clock
    if clock is None or facts.closed is None:
        return
    for timer_id, life in facts.lives.items():
        ends_s = [clock.monotonic_s(event.at_ms) for event in life[1:]]
        for event, end_s in zip(life, [*ends_s, facts.closed.at_s], strict=True):
            if event.timer.state != "running":
                continue
            begin_s = clock.monotonic_s(event.at_ms)
            late_s = max((_there_s(facts, span, begin_s, end_s) for span in _due(facts, clock, event)), default=0)
            if late_s > PROMPT_S:
                yield (
                    f"timer {timer_id} seq {event.seq}: ran on for {late_s:.3f} s after its deadline; "
                    f"expected {PROMPT_S} s at most"
                )


def only_moments_that_have_passed_are_refused(facts: Facts) -> Iterator[str]:
    """A start or restart for a moment of the wall clock is refused as late only once that has reached it."""
    clock = facts.wall_clock
    for one in facts.tries:
        moment_ms = facts.asked_moment(one) if clock is not None and one.error == LATE else None
        if clock is None or moment_ms is None or one.answered is None:
            continue
        shown_ms = clock.latest_ms(one.asked.at_s, one.answered.at_s)
        if shown_ms < moment_ms:
            yield (
                f"timer {one.timer_id}: {one.asked.method} was refused as late {moment_ms - shown_ms:.0f} ms "
                "before its moment; expected that only where it has passed"
            )


def _bound_events(facts: Facts, clock: WallClock) -> Iterator[tuple[Event, list[int]]]:
    """The events of timers that the wall clock binds, and when they were due by the settings that can have counted.

    A server that is held up reads the wall clock later than it has noted, but before anybody hears of the event.
    """
    for event in facts.log:
        moment_ms = facts.bound.get((event.timer.id, event.timer.version))
        if moment_ms is not None:
            at_s = clock.monotonic_s(event.at_ms)
            until_s = max(at_s + OFF_S, facts.first_heard_s.get(position(event), 0))
            yield event, clock.due_ms(moment_ms, at_s - OFF_S, until_s)


def _is_one_of(due_at_ms: int, expected_ms: list[int]) -> bool:
    return any(abs(due_at_ms - one_ms) <= DUE_OFF_MS for one_ms in expected_ms)


def _due(facts: Facts, clock: WallClock, event: Event) -> Iterator[Span]:
    """When a timer as an event left it is to end, by the clock that decides about it."""
    bound_ms = facts.bound.get((event.timer.id, event.timer.version))
    if bound_ms is not None:
        yield from clock.reached(bound_ms)
    elif event.timer.due_at_ms is not None:
        yield clock.monotonic_s(event.timer.due_at_ms), inf


def _there_s(facts: Facts, span: Span, begin_s: float, end_s: float) -> float:
    """The longest time within a span, and between two moments, that the server was there."""
    begin_s, end_s = max(span[0], begin_s), min(span[1], end_s)
    edges_s = [begin_s, *(edge_s for outage in facts.outages for edge_s in outage), end_s]
    inside_s = [min(max(edge_s, begin_s), end_s) for edge_s in edges_s]
    return max(later_s - edge_s for edge_s, later_s in list(pairwise(inside_s))[::2])
