"""The effects of requests: which fields of a timer each of them sets.

A timer that is bound to the wall clock is due by that clock; all others are due on the timeline. `Now` has both times.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS, check_duration, total_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams
from timer_server.core.model import Countdown, Wall
from timer_server.core.transitions import Request

OFFSET_NOTED_MS = 50
"""A wall clock that has moved by less against the timeline counts as slewed, not set."""

Fields = dict[str, Any]
"""Fields of a `Countdown`, and of its `Revision` `remaining_ms` and `ahead_ms`; those are 0 and None if not set."""


class WallClock(NamedTuple):
    """The wall clock, as the engine asks about it.

    `ahead_ns` tells by how much it is ahead of the timeline at this moment; `moment_ms` makes Unix time of a moment as
    people write it, and its zone, and may raise `Refusal`.
    """

    ahead_ns: Callable[[], int]
    moment_ms: Callable[[str, str | None], int]


def _not_a_moment(text: str, _: str | None) -> int:
    raise Refusal(ErrorCode.INVALID_PARAMS, f"{text!r} cannot be read: no wall clock is known here")


STANDING = WallClock(lambda: 0, _not_a_moment)
"""For whoever has no timers that are bound to a wall clock."""


class Now(NamedTuple):
    """This moment: nanoseconds on the timeline, and by how many the wall clock is ahead of that.

    `ahead_ns` is only looked at for timers that were started for a moment of the wall clock.
    """

    ns: int
    ahead_ns: int = 0

    @property
    def ahead_ms(self) -> int:
        """By how much the wall clock is ahead, in whole milliseconds, rounded down."""
        return self.ahead_ns // NS_PER_MS

    def by_clock_of(self, timer: Countdown) -> int:
        """Nanoseconds by the clock that decides when a timer fires."""
        return self.ns + self.ahead_ns if timer.is_wall_bound else self.ns


def remaining_ms(timer: Countdown, now: Now) -> int:
    """Time to go, rounded up to whole milliseconds; zero or less once the deadline has passed."""
    if timer.due_at_ms is None:
        return timer.remaining_ms
    left_ms = timer.due_at_ms - now.by_clock_of(timer) // NS_PER_MS
    return left_ms if timer.is_wall_bound else min(left_ms, timer.duration_ms)


def round_up(now_ns: int) -> int:
    """Nanoseconds as whole milliseconds, rounded up."""
    return -(-now_ns // NS_PER_MS)


def aim(wall: Wall, now: Now, limits: Limits) -> int:
    """How long it takes until a moment of the wall clock, in milliseconds; 0 where it has passed and that is allowed.

    Raises `Refusal` (invalid_params) where it is not, or the moment is too far away.
    """
    to_go_ms = wall.moment_ms - (now.ns + now.ahead_ns) // NS_PER_MS
    if to_go_ms <= 0:
        if wall.fires_late:
            return 0
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f'the moment in `at` passed {-to_go_ms} ms ago; `past` "fire" starts a timer that ends at once',
            late_ms=-to_go_ms,
        )
    check_duration(to_go_ms, limits.max_duration_s)
    return to_go_ms


def bound_as_before(timer: Countdown, now: Now) -> Fields:
    """What every event but a pause sets of a timer that is bound to the wall clock: how far that is ahead now."""
    return {"ahead_ms": now.ahead_ms} if timer.is_wall_bound else {}


def is_moved(timer: Countdown, now: Now) -> bool:
    """Whether the wall clock was set since the latest event of a timer that it binds, and has not reached it."""
    ahead_ms = None if timer.wall is None else timer.wall.ahead_ms
    return ahead_ms is not None and abs(now.ahead_ms - ahead_ms) >= OFFSET_NOTED_MS and remaining_ms(timer, now) > 0


def moved(timer: Countdown, now: Now) -> Fields:
    """What a step of the wall clock sets of a timer that it binds: the whole countdown, from its start, is another."""
    whole_ms = (timer.due_at_ms or 0) - now.ahead_ms - timer.started_at_ms
    return {"ahead_ms": now.ahead_ms, "duration_ms": max(whole_ms, 0)}


def _pause(timer: Countdown, _: PauseParams, now: Now, __: Limits) -> Fields:
    # The wall clock may have been set to the moment or beyond since the timer was looked up: then none is to go.
    return {"due_at_ms": None, "remaining_ms": max(remaining_ms(timer, now), 0)}


def _resume(timer: Countdown, _: ResumeParams, now: Now, __: Limits) -> Fields:
    return {"due_at_ms": round_up(now.ns) + timer.remaining_ms}


def _cancel(timer: Countdown, _: CancelParams, now: Now, __: Limits) -> Fields:
    return bound_as_before(timer, now)


def _extend(timer: Countdown, params: ExtendParams, now: Now, limits: Limits) -> Fields:
    """Adds time. Raises `Refusal` (invalid_params) where that is none, or the time to go would be none or too long."""
    by_ms = total_ms(params.hours, params.minutes, params.seconds)
    to_go_ms = remaining_ms(timer, now)
    if by_ms == 0:
        raise Refusal(ErrorCode.INVALID_PARAMS, "extend needs hours, minutes or seconds; they came to 0 ms")
    if to_go_ms + by_ms <= 0:
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"timer {timer.id!r} has {to_go_ms} ms to go and cannot be shortened by {-by_ms} ms; cancel ends it",
            remaining_ms=to_go_ms,
        )
    check_duration(to_go_ms + by_ms, limits.max_duration_s)
    # Where the wall clock was set back, more may be to go than the whole was, and more may be taken away.
    changed: Fields = {"duration_ms": max(timer.duration_ms + by_ms, 0), **bound_as_before(timer, now)}
    if timer.due_at_ms is None:
        changed["remaining_ms"] = to_go_ms + by_ms
    else:
        changed["due_at_ms"] = timer.due_at_ms + by_ms
    return changed


def _restart(timer: Countdown, _: RestartParams, now: Now, limits: Limits) -> Fields:
    """Runs the whole time again, or aims at the same moment again. Raises `Refusal` (invalid_params) as `aim` does."""
    at_ms, wall = round_up(now.ns), timer.wall
    if wall is not None:
        return {
            "duration_ms": aim(wall, now, limits),
            "due_at_ms": wall.moment_ms,
            "started_at_ms": at_ms,
            "ahead_ms": now.ahead_ms,
        }
    duration_ms = total_ms(timer.hours, timer.minutes, timer.seconds)
    return {
        "duration_ms": duration_ms,
        "due_at_ms": at_ms + duration_ms,
        "started_at_ms": at_ms,
    }


EFFECTS: dict[type[Struct], tuple[Request, Callable[[Countdown, Any, Now, Limits], Fields]]] = {
    PauseParams: ("pause", _pause),
    ResumeParams: ("resume", _resume),
    CancelParams: ("cancel", _cancel),
    ExtendParams: ("extend", _extend),
    RestartParams: ("restart", _restart),
}
"""For each request that changes a timer: its name in the table of transitions, and what sets the fields."""
