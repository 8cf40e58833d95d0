"""The effects of requests about many timers, in columns: which times each of them sets.

They come to what `effects` sets of each, where no timer is bound to the wall clock or of a plan.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from timer_protocol.durations import NS_PER_MS, check_durations, total_ms, totals_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import Limits
from timer_protocol.many import Action, ChangeManyParams
from timer_server.core.effects import round_up
from timer_server.core.records import Columns


class Times(NamedTuple):
    """The times of some timers in columns, in milliseconds: deadlines, None while paused, starts, durations, and what
    is to go of those that are paused, otherwise 0."""

    dues_ms: Sequence[int | None]
    started_ms: Sequence[int]
    durations_ms: Sequence[int]
    paused_ms: Sequence[int]


def remaining_ms(before: Columns, now_ns: int) -> list[int]:
    """Time to go of each timer; zero or less once its deadline has passed."""
    now_ms = now_ns // NS_PER_MS
    return [
        revision.remaining_ms if due_ms is None and revision is not None else min((due_ms or 0) - now_ms, duration_ms)
        for due_ms, duration_ms, revision in zip(before.dues_ms, before.durations_ms, before.revisions, strict=True)
    ]


def ended(before: Columns) -> Times:
    """The times of timers that end."""
    return Times(before.dues_ms, before.started_ms, before.durations_ms, [0] * len(before.ids))


def _pause(before: Columns, _: ChangeManyParams, now_ns: int, __: Limits) -> Times:
    none = [None] * len(before.ids)
    return Times(none, before.started_ms, before.durations_ms, remaining_ms(before, now_ns))


def _resume(before: Columns, _: ChangeManyParams, now_ns: int, __: Limits) -> Times:
    at_ms = round_up(now_ns)
    dues_ms = [at_ms + left_ms for left_ms in remaining_ms(before, now_ns)]
    return Times(dues_ms, before.started_ms, before.durations_ms, [0] * len(dues_ms))


def _cancel(before: Columns, _: ChangeManyParams, __: int, ___: Limits) -> Times:
    return ended(before)


def _extend(before: Columns, params: ChangeManyParams, now_ns: int, limits: Limits) -> Times:
    by_ms = total_ms(0, 0, params.seconds or 0)
    if by_ms == 0:
        raise Refusal(ErrorCode.INVALID_PARAMS, "this adds no time")
    to_go_ms = [left_ms + by_ms for left_ms in remaining_ms(before, now_ns)]
    check_durations(to_go_ms, limits.max_duration_s)
    dues_ms = [None if due_ms is None else due_ms + by_ms for due_ms in before.dues_ms]
    durations_ms = [duration_ms + by_ms for duration_ms in before.durations_ms]
    paused_ms = [left_ms if due_ms is None else 0 for left_ms, due_ms in zip(to_go_ms, dues_ms, strict=True)]
    return Times(dues_ms, before.started_ms, durations_ms, paused_ms)


def _restart(before: Columns, _: ChangeManyParams, now_ns: int, __: Limits) -> Times:
    at_ms, count = round_up(now_ns), len(before.ids)
    durations_ms = totals_ms(before.hours, before.minutes, before.seconds)
    return Times([at_ms + duration_ms for duration_ms in durations_ms], [at_ms] * count, durations_ms, [0] * count)


BULK_EFFECTS: Mapping[Action, Callable[[Columns, ChangeManyParams, int, Limits], Times]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "extend": _extend,
    "restart": _restart,
}
"""For each request what sets the times of timers that it changes, at a moment on the timeline. They raise `Refusal`
where one of the timers is refused, which is said by its own request."""
