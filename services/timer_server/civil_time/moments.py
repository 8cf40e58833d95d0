"""Moments as people write them: from text to Unix milliseconds and back (RFC 3339)."""

from datetime import tzinfo

from timer_protocol.civil_clocks import from_ms, shown_first_ms, to_ms
from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.written_moments import not_a_moment, read_moment
from timer_server.civil_time.zones import zone


def moment_ms(text: str, zone_name: str | None = None) -> int:
    """The moment that a text stands for, as Unix milliseconds, rounded up.

    The text has an offset (`2026-12-01T09:00:00+01:00`), or it is the local time of a zone. A local time that the
    clocks skip is the moment at which they do; one that they show twice is the first of the two. Raises `Refusal`
    (invalid_params).
    """
    moment, fraction_ms = read_moment(text, has_zone=zone_name is not None)
    try:
        return fraction_ms + (to_ms(moment) if zone_name is None else shown_first_ms(moment, zone(zone_name)))
    except (ValueError, OverflowError) as error:
        raise not_a_moment(text, str(error)) from None


def local(instant_ms: int, where: tzinfo) -> str:
    """A moment as a zone's clocks show it, with their offset (RFC 3339)."""
    moment = from_ms(instant_ms, where)
    return moment.isoformat(timespec="milliseconds" if instant_ms % MS_PER_SECOND else "seconds")
