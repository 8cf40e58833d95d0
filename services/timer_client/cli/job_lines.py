"""Timers as lines of JSON: what a file of jobs holds, one object with the parameters of `timer.start` a line."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from timer_client.calls import new_id
from timer_protocol.durations import LONGEST_S, MS_PER_SECOND, check_duration, total_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.ids import check_id
from timer_protocol.messages import NULL, StartParams, Timer


class Job(Struct, frozen=True):
    """A timer to start, and the number of its line."""

    line: int
    id: str
    seconds: int | float
    label: str
    payload: Any
    is_paused: bool = False


class Fault(Struct, frozen=True):
    """A line that cannot be used, and why."""

    line: int
    reason: str


class _Line(StartParams, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """`state` stands in lines of timers that are to be paused."""

    state: Literal["running", "paused"] = "running"


_decoder = msgspec.json.Decoder(_Line)


def read_jobs(lines: Iterable[bytes], id_prefix: str) -> Iterator[Job | Fault]:
    """The jobs of a file, whose empty lines are left out. One without an id gets one, which begins with `id_prefix`."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _job(number, line, id_prefix)
            except Refusal as refusal:
                yield Fault(number, refusal.reason)
            except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield Fault(number, f"it is no timer in JSON: {error}")


def line_of(timer: Timer) -> bytes:
    """The line that starts a timer anew, with the time that it has left."""
    whole, rest_ms = divmod(timer.remaining_ms, MS_PER_SECOND)
    line = _Line(
        id=timer.id,
        seconds=timer.remaining_ms / MS_PER_SECOND if rest_ms else whole,
        label=timer.label,
        payload=NULL if timer.payload is None else Raw(msgspec.json.encode(timer.payload)),
        state="paused" if timer.state == "paused" else "running",
    )
    return msgspec.json.encode(line) + b"\n"


def _job(number: int, line: bytes, id_prefix: str) -> Job:
    """Raises `Refusal`, or an error of msgspec's."""
    line.decode()
    asked = _decoder.decode(line)
    timer_id = id_prefix + new_id() if asked.id is None else asked.id
    check_id(timer_id)
    if asked.at is not None:
        raise Refusal(ErrorCode.INVALID_PARAMS, "a file cannot start a timer `at` a moment; start --at can")
    duration_ms = total_ms(asked.hours, asked.minutes, asked.seconds)
    check_duration(duration_ms, LONGEST_S)
    is_in_seconds = asked.hours == asked.minutes == 0
    return Job(
        number,
        timer_id,
        asked.seconds if is_in_seconds else duration_ms / MS_PER_SECOND,
        asked.label,
        msgspec.json.decode(asked.payload),
        asked.state == "paused",
    )
