"""Moments as people write them: from text to Unix milliseconds and back (RFC 3339)."""

import re
from datetime import datetime, tzinfo

from timer_protocol.civil_clocks import from_ms, shown_first_ms, to_ms
from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.civil_time.zones import zone

_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-]\d\d:\d\d))?", re.ASCII
)


def moment_ms(text: str, zone_name: str | None = None) -> int:
    """The moment that a text stands for, as Unix milliseconds, rounded up.

    The text has an offset (`2026-12-01T09:00:00+01:00`), or it is the local time of a zone. A local time that the
    clocks skip is the moment at which they do; one that they show twice is the first of the two. Raises `Refusal`
    (invalid_params).
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise _not_a_moment(text, "expected a moment such as 2026-12-01T09:00:00+01:00, or a local time with a zone")
    day, minute, second, fraction, utc, offset = written.groups()
    is_local = utc is None and offset is None
    if is_local == (zone_name is None):
        what = "a local time needs a zone" if is_local else "a moment with an offset takes no zone beside it"
        raise _not_a_moment(text, what)
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{'+00:00' if utc else offset or ''}")
        instant_ms = to_ms(moment) if zone_name is None else shown_first_ms(moment, zone(zone_name))
    except (ValueError, OverflowError) as error:
        raise _not_a_moment(text, str(error)) from None
    fraction_ms = -(-int((fraction or "").ljust(9, "0")) // 1_000_000)
    return instant_ms + fraction_ms


def local(instant_ms: int, where: tzinfo) -> str:
    """A moment as a zone's clocks show it, with their offset (RFC 3339)."""
    moment = from_ms(instant_ms, where)
    return moment.isoformat(timespec="milliseconds" if instant_ms % MS_PER_SECOND else "seconds")


def _not_a_moment(text: str, what: str) -> Refusal:
    return Refusal(ErrorCode.INVALID_PARAMS, f"{text!r} is no moment: {what}")
