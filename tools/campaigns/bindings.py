"""To which moments of the wall clock a timer was bound, as its log tells: read anew, not by the server's own code."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import UNSET

from timer_protocol.messages import Event

_EPOCH = datetime.fromtimestamp(0, UTC)
_MS = timedelta(milliseconds=1)


def moment_ms(at: str, zone: str | None = None) -> int:
    """The Unix time of a moment with its offset, or of a local time in a zone; the first of two in a fold."""
    moment = datetime.fromisoformat(at)
    if zone is not None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return -(-(moment - _EPOCH) // _MS)


def bound_moments(life: Sequence[Event]) -> dict[int, int]:
    """Of each version of a timer that the wall clock binds, the Unix time that this has to reach.

    A start and a restart bind it, an extension moves it, and a pause, which is among them, lets it go.
    """
    moments_ms: dict[int, int] = {}
    bound_ms: int | None = None
    before_ms = 0
    for event in life:
        timer = event.timer
        if event.kind in ("started", "restarted") and timer.at is not UNSET:
            bound_ms = moment_ms(timer.at, None if timer.zone is UNSET else timer.zone)
        elif event.kind == "extended" and event.cause is UNSET and bound_ms is not None:
            bound_ms += timer.duration_ms - before_ms
        if bound_ms is not None:
            moments_ms[timer.version] = bound_ms
        if timer.state != "running":
            bound_ms = None
        before_ms = timer.duration_ms
    return moments_ms
