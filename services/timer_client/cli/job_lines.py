"""Timers, plans and queues as lines of JSON: what a file of jobs holds.

A line is an object with the parameters of `timer.start`, `plan.put` or `queue.put`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from timer_client.calls import Past, new_id
from timer_client.cli.moments import instant_ms
from timer_client.cli.zones import named_zone
from timer_client.plan_calls import PlanSpec
from timer_protocol.durations import LONGEST_S, MS_PER_SECOND, check_duration, total_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.ids import check_id
from timer_protocol.messages import NULL, StartParams, Timer
from timer_protocol.plan_messages import Plan
from timer_protocol.queue_messages import PutQueueParams, Queue
from timer_protocol.written_moments import read_moment


class TimerJob(Struct, frozen=True):
    """A timer to start, for so many seconds or for a moment, and the number of its line."""

    line: int
    id: str
    seconds: int | float
    label: str
    payload: Any
    is_paused: bool
    at: str | None
    zone: str | None
    past: Past


class PlanJob(Struct, frozen=True):
    """A plan to put, and the number of its line."""

    line: int
    spec: PlanSpec


class QueueJob(Struct, frozen=True):
    """A queue to put, and the number of its line."""

    line: int
    params: PutQueueParams


Job = TimerJob | PlanJob | QueueJob


class Fault(Struct, frozen=True):
    """A line that cannot be used, and why."""

    line: int
    reason: str


class _Line(StartParams, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """`state` stands in lines of timers that are to be paused."""

    state: Literal["running", "paused"] = "running"


class _PlanLine(PlanSpec, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    pass


class _Kind(Struct):
    """What tells a plan and a queue from a timer."""

    plan: Raw | UnsetType = UNSET
    queue: Raw | UnsetType = UNSET


_decoder = msgspec.json.Decoder(_Line)
_plan_decoder = msgspec.json.Decoder(_PlanLine)
_queue_decoder = msgspec.json.Decoder(PutQueueParams)
_kind_decoder = msgspec.json.Decoder(_Kind)


def read_jobs(lines: Iterable[bytes], id_prefix: str, *, with_plans: bool) -> Iterator[Job | Fault]:
    """The jobs of a file, whose empty lines are left out. Plans and queues are jobs only where they are wanted.

    A timer without an id gets one, which begins with `id_prefix`.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                line.decode()
                yield (with_plans and _other_job(number, line)) or _timer_job(number, line, id_prefix)
            except Refusal as refusal:
                yield Fault(number, refusal.reason)
            except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                wanted = "timer, plan or queue" if with_plans else "timer"
                yield Fault(number, f"it is no {wanted} in JSON: {error}")


def line_of(timer: Timer) -> bytes:
    """The line that starts a timer anew: with the time that it has left, or for the moment that it was started for."""
    line = _Line(
        id=timer.id,
        label=timer.label,
        payload=NULL if timer.payload is None else Raw(msgspec.json.encode(timer.payload)),
        state="paused" if timer.state == "paused" else "running",
    )
    if timer.at and _is_due_at(timer, timer.at):
        line = replace(line, at=timer.at, zone=timer.zone or None, past="fire")
    else:
        whole, rest_ms = divmod(timer.remaining_ms, MS_PER_SECOND)
        line = replace(line, seconds=timer.remaining_ms / MS_PER_SECOND if rest_ms else whole)
    return msgspec.json.encode(line) + b"\n"


def plan_line(plan: Plan) -> bytes:
    """The line that puts a plan again, as far as it has yet to go: with what is left of its count.

    An interval keeps its moments.
    """
    due_at_ms = None if plan.pending is None else plan.pending.due_at_ms
    count = plan.count
    if count is not None:
        count = max(count - ((plan.round or 1) - 1 if plan.steps else plan.counts.fired), 1)
    spec = PlanSpec(
        plan=plan.plan,
        every=None if plan.every is None else msgspec.to_builtins(plan.every),
        cron=plan.cron,
        zone=plan.zone,
        steps=None if plan.steps is None else msgspec.to_builtins(list(plan.steps)),
        from_ms=due_at_ms if plan.every is not None and plan.from_ms is None else plan.from_ms,
        until_ms=plan.until_ms,
        count=count,
        missed=plan.missed,
        missed_window_ms=plan.missed_window_ms,
        overlap=plan.overlap,
        label=plan.label,
        payload=plan.payload,
        paused=True if plan.state == "paused" else None,
    )
    return msgspec.json.encode(spec) + b"\n"


def queue_line(queue: Queue) -> bytes:
    """The line that puts a queue again."""
    settings = {name: getattr(queue, name) for name in PutQueueParams.__struct_fields__ if hasattr(queue, name)}
    return msgspec.json.encode(settings) + b"\n"


def _is_due_at(timer: Timer, at: str) -> bool:
    """Whether a timer still goes by the moment that it was started for: it was neither paused nor extended since."""
    if timer.version == 1:
        return True
    try:
        moment_ms = instant_ms(at, named_zone(timer.zone) if timer.zone else UTC)
    except (ValueError, OverflowError):  # a zone that only the server knows
        return False
    return timer.due_at_ms is not None and abs(timer.due_at_ms - moment_ms) < MS_PER_SECOND


def _other_job(number: int, line: bytes) -> PlanJob | QueueJob | None:
    """The plan or queue in a line; None for anything else. Raises an error of msgspec's."""
    try:
        kind = _kind_decoder.decode(line)
    except msgspec.ValidationError:  # no object at all
        return None
    if kind.plan is not UNSET:
        return PlanJob(number, _plan_decoder.decode(line))
    return None if kind.queue is UNSET else QueueJob(number, _queue_decoder.decode(line))


def _timer_job(number: int, line: bytes, id_prefix: str) -> TimerJob:
    """Raises `Refusal`, or an error of msgspec's."""
    asked = _decoder.decode(line)
    timer_id = id_prefix + new_id() if asked.id is None else asked.id
    check_id(timer_id)
    duration_ms = total_ms(asked.hours, asked.minutes, asked.seconds)
    if asked.at is None:
        check_duration(duration_ms, LONGEST_S)
    elif duration_ms:
        raise Refusal(ErrorCode.INVALID_PARAMS, "a timer has either `at` or hours, minutes and seconds, not both")
    else:
        read_moment(asked.at, has_zone=asked.zone is not None)  # whether there is such a zone the server knows
    is_in_seconds = asked.hours == asked.minutes == 0
    return TimerJob(
        number,
        timer_id,
        asked.seconds if is_in_seconds else duration_ms / MS_PER_SECOND,
        asked.label,
        msgspec.json.decode(asked.payload),
        asked.state == "paused",
        asked.at,
        asked.zone,
        asked.past,
    )
