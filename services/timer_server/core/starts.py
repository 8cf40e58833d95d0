"""What a start asks for: whether it makes sense, and whether a timer was started by the same request."""

from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import StartParams
from timer_server.core.model import Countdown
from timer_server.core.payloads import is_same_json


def check_moment(params: StartParams) -> None:
    """Raises `Refusal` (invalid_params) for a start that asks for a moment and an amount, or for half of a moment."""
    if params.at is None:
        raise Refusal(ErrorCode.INVALID_PARAMS, "`zone` and `past` belong to `at`, which is missing")
    if params.hours or params.minutes or params.seconds:
        raise Refusal(ErrorCode.INVALID_PARAMS, "`at` takes the place of hours, minutes and seconds; both were given")


def is_asked_again(params: StartParams, payload: bytes, timer: Countdown) -> bool:
    """Whether a start asks for what a timer was started with."""
    wall = timer.wall
    asked = (params.hours, params.minutes, params.seconds, params.label, params.at, params.zone)
    had = (timer.hours, timer.minutes, timer.seconds, timer.label, *((wall.at, wall.zone) if wall else (None, None)))
    return asked == had and is_same_json(payload, timer.payload)


def conflict(timer: Countdown, now_ms: int, retention_s: int) -> str:
    """What is said of a timer where a start asks for another one with its id."""
    ended = ""
    if timer.has_ended:
        how = "fired" if timer.state == "fired" else "was cancelled"
        ago_s = max(now_ms - timer.at_ms, 0) // MS_PER_SECOND
        ended = f": it {how} {ago_s} s ago, and is remembered for {retention_s} s (TIMER_RETENTION_S)"
    return (
        f"exists with other hours, minutes, seconds, at, zone, label or payload{ended}; "
        "restart runs it again as it was, another id starts another"
    )
