"""When timers end: by the log's own arithmetic, and by the clock of the clients, which the server does not know.

What the wall clock does to timers that it binds is judged in `invariants_of_clocks`.
"""

from collections.abc import Iterator
from itertools import pairwise

from msgspec import UNSET

from campaigns.facts import Facts, Run, Try, position
from timer_protocol.durations import total_ms
from timer_protocol.messages import Event

OVERDUE_MS = 1_000
"""How long a deadline may have passed before a timer that has not fired counts as forgotten."""

READING_S = 1e-6
"""How far two readings of a clock, as floating-point seconds, may be off."""


def no_event_before_its_deadline(facts: Facts) -> Iterator[str]:
    """By the server's clock nothing fires before it is due; by the clients' it has run for its whole time."""
    for timer_id, runs in facts.runs.items():
        for run in runs:
            for end in run.ends:
                due_at_ms = end.timer.due_at_ms
                if due_at_ms is None or end.at_ms < due_at_ms:
                    yield f"timer {timer_id} seq {end.seq} fired at {end.at_ms}; expected {due_at_ms} or later"
                ran_s = _longest_possible_s(facts, run, facts.first_heard_s.get(position(end)))
                is_elapsed = end.timer.at is UNSET
                if is_elapsed and ran_s is not None and ran_s + READING_S < end.timer.duration_ms / 1000:
                    yield (
                        f"timer {timer_id} seq {end.seq} fired after at most {ran_s:.6f} s by the clients' clock; "
                        f"expected {end.timer.duration_ms / 1000} s"
                    )


def no_deadline_moves(facts: Facts) -> Iterator[str]:
    """A deadline is the start plus the duration, and only what was asked for moves it."""
    for timer_id, life in facts.lives.items():
        for event in life:
            timer = event.timer
            if event.kind in ("started", "restarted") and not facts.is_bound(event):
                asked_ms = total_ms(timer.hours, timer.minutes, timer.seconds)
                if (timer.duration_ms, timer.due_at_ms) != (asked_ms, event.at_ms + asked_ms):
                    yield (
                        f"timer {timer_id} seq {event.seq} is due at {timer.due_at_ms}; "
                        f"expected {event.at_ms} + {asked_ms} ms"
                    )
        for before, event in pairwise(life):
            expected_ms = None if facts.is_bound(event) else _unmoved_ms(before, event)
            if expected_ms is not None and event.timer.due_at_ms != expected_ms:
                yield (
                    f"timer {timer_id} seq {event.seq}: {event.kind} moved the deadline from "
                    f"{before.timer.due_at_ms} to {event.timer.due_at_ms}; expected {expected_ms}"
                )


def no_deadline_is_forgotten(facts: Facts) -> Iterator[str]:
    """In the end no timer is still running whose time has long come."""
    for timer_id, timer in facts.listed.items():
        life = facts.lives.get(timer_id)
        if facts.closed is None or timer.state != "running" or timer.due_at_ms is None or not life:
            continue
        late_ms = facts.closed.now_ms[life[-1].log] - timer.due_at_ms
        if late_ms > OVERDUE_MS:
            yield f"timer {timer_id} was due {late_ms} ms ago and is still running; expected that it has fired"


def paused_time_never_counts(facts: Facts) -> Iterator[str]:
    """A pause keeps the time to go, rounded up by at most a millisecond, and a resume gives it back in full."""
    for timer_id, life in facts.lives.items():
        for before, event in pairwise(life):
            remaining_ms, was_ms = event.timer.remaining_ms, before.timer.remaining_ms
            extended_ms = event.timer.duration_ms - before.timer.duration_ms
            if event.kind == "paused" and before.timer.due_at_ms is not None and not facts.is_bound(event):
                to_go_ms = before.timer.due_at_ms - event.at_ms
                if not min(to_go_ms, event.timer.duration_ms) <= remaining_ms <= to_go_ms + 1:
                    yield f"timer {timer_id} seq {event.seq}: paused with {remaining_ms} ms to go; expected {to_go_ms}"
            if event.kind == "extended" and before.timer.state == "paused" and remaining_ms != was_ms + extended_ms:
                yield (
                    f"timer {timer_id} seq {event.seq}: {remaining_ms} ms to go while paused; "
                    f"expected {was_ms} + {extended_ms}"
                )
            if event.kind == "resumed" and event.timer.due_at_ms != event.at_ms + was_ms:
                yield (
                    f"timer {timer_id} seq {event.seq}: resumed and due at {event.timer.due_at_ms}; "
                    f"expected {event.at_ms} + {was_ms} ms, so paused time has counted"
                )


def _unmoved_ms(before: Event, event: Event) -> int | None:
    """The deadline that a running timer has to have after an event that neither starts nor stops it."""
    if before.timer.due_at_ms is None or before.timer.state != "running":
        return None
    if event.kind == "extended":
        return before.timer.due_at_ms + event.timer.duration_ms - before.timer.duration_ms
    return before.timer.due_at_ms if event.kind in ("fired", "cancelled") else None


def _longest_possible_s(facts: Facts, run: Run, heard_s: float | None) -> float | None:
    """The most that a run can have been running when its end was heard; None where nobody heard it.

    It cannot have begun before it was first asked for, nor run between a reply that showed it paused and the first
    wish to resume it.
    """
    tries = facts.tries_of.get(run.events[0].timer.id, [])
    begun_s = _earliest_s(tries, run.number)
    if heard_s is None or begun_s is None:
        return None
    ran_s = heard_s - begun_s + facts.skipped_s(begun_s, heard_s)
    paused: Event | None = None
    for event in run.events:
        if event.kind == "paused":
            paused = event
        elif event.kind == "resumed" and paused is not None:
            ran_s -= _surely_paused_s(facts, tries, paused.timer.version, event.timer.version)
            paused = None
    return ran_s


def _earliest_s(tries: list[Try], restarts: int) -> float | None:
    """When a timer can have been started, or restarted for the n-th time, at the earliest: each key does it once."""
    first_asked_s: dict[str | None, float] = {}
    method = "timer.restart" if restarts else "timer.start"
    for one in tries:
        if one.asked.method == method:
            first_asked_s.setdefault(one.asked.params.get("key"), one.asked.at_s)
    moments_s = sorted(first_asked_s.values())
    nth = max(restarts - 1, 0)
    return moments_s[nth] if nth < len(moments_s) else None


def _surely_paused_s(facts: Facts, tries: list[Try], paused_version: int, resumed_version: int) -> float:
    """How long a pause has lasted at least: from the first reply that showed it to a wish that can have ended it."""
    shown_s = [
        one.answered.at_s
        for one in tries
        if one.answered is not None and one.timer is not None and paused_version <= one.timer.version < resumed_version
    ]
    if not shown_s:
        return 0
    since_s = min(shown_s)
    wishes_s = [
        one.asked.at_s for one in tries if one.asked.method == "timer.resume" and one.may_have_made(resumed_version)
    ]
    if not wishes_s or min(wishes_s) < since_s:
        return 0
    return min(wishes_s) - since_s + facts.skipped_s(since_s, min(wishes_s))
