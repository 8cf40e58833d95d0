"""Moments of the wall clock as people write them and read them."""

import re
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

from timer_client.calls import Past
from timer_client.cli.zones import MachineZone, named_zone
from timer_client.moments import rfc_3339
from timer_protocol.civil_clocks import from_ms, shown_at, shown_first_ms, to_ms

EXAMPLES = (
    ("14:30", "today, or tomorrow where that has passed"),
    ("tomorrow 9:00", "today and tomorrow may be said"),
    ("2026-12-01 09:00", "a day and a time on this machine's clocks, or on those of --zone"),
    ("2026-12-01T09:00:00+01:00", "a moment with its offset from UTC, or Z"),
)
"""Each form that is taken, and what it is. The help text and the table in docs/command.md are made from them."""

_TIME = r"(?P<time>\d{1,2}:\d\d(?::\d\d)?)"
_WITHOUT_DATE = re.compile(
    rf"(?:(?P<day>today|tomorrow) )?{_TIME}(?: (?P<day_after>today|tomorrow))?", re.IGNORECASE | re.ASCII
)
_WITH_DATE = re.compile(rf"(?P<date>\d{{4}}-\d\d-\d\d)[T ]{_TIME}", re.IGNORECASE | re.ASCII)
_WITH_OFFSET = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII
)
_DAY = timedelta(days=1)


class Moment(NamedTuple):
    """A moment as the server gets it, and whether it is tomorrow's because today's has passed."""

    at: str
    zone: str | None
    is_next_day: bool = False

    def asked(self, past: Past | None) -> dict[str, Any]:
        """The members of the request that say when the timer is to fire."""
        return {"at": self.at, "zone": self.zone, "past": past or "refuse"}


def parse_moment(text: str, zone: str | None, now_ms: int) -> Moment:
    """The moment in a text, on the clocks of `zone` or of this machine. Raises `ValueError` with a sentence.

    A local time of this machine gets its offset here. One of a named zone is left to the server, which has the zones
    that count; here that zone only tells which day it is.
    """
    text = " ".join(text.split())
    try:
        if (match := _WITH_OFFSET.fullmatch(text)) is not None:
            return Moment(_checked("{}T{}{}".format(*match.groups()).upper(), zone), None)
        shown, is_next_day = _shown(text, zone, now_ms)
        if zone is not None:
            return Moment(shown.isoformat(timespec="seconds" if shown.second else "minutes"), zone, is_next_day)
        machine = MachineZone()
        return Moment(rfc_3339(from_ms(shown_first_ms(shown, machine), machine)), None, is_next_day)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no moment: {error}") from None


def moment_ms(text: str, zone: str | None, now_ms: int) -> int:
    """The moment in a text as Unix milliseconds. One with its offset may be given beside a zone, which it leaves aside.

    Raises `ValueError` with a sentence.
    """
    has_offset = _WITH_OFFSET.fullmatch(" ".join(text.split())) is not None
    moment = parse_moment(text, None if has_offset else zone, now_ms)
    return instant_ms(moment.at, MachineZone() if moment.zone is None else named_zone(moment.zone))


def instant_ms(at: str, where: tzinfo) -> int:
    """A moment with its offset, or one on the clocks of a zone, as Unix milliseconds. Raises `ValueError`."""
    written = datetime.fromisoformat(at)
    return to_ms(written) if written.tzinfo else shown_first_ms(written, where)


def is_time_of_day(text: str) -> bool:
    """Whether a text such as 14:30 may be meant as a time of the day."""
    match = _WITHOUT_DATE.fullmatch(text)
    if match is None:
        return False
    try:
        _clock_time(match["time"])
    except ValueError:
        return False
    return True


def spoken(at: str, zone: str | None, now_ms: int) -> str:
    """A moment that the server repeats, in words: `tomorrow at 14:30 CET`."""
    try:
        where = MachineZone() if zone is None else named_zone(zone)
        moment = from_ms(instant_ms(at, where), where)
    except (ValueError, OverflowError):  # a zone that only the server knows
        return at if zone is None else f"{at} {zone}"
    days = (moment.date() - shown_at(now_ms, where).date()).days
    day = {0: "today", 1: "tomorrow"}.get(days, f"on {moment.date()}")
    return f"{day} at {moment:%H:%M:%S} {moment.tzname()}".replace(":00 ", " ", 1)


def _shown(text: str, zone: str | None, now_ms: int) -> tuple[datetime, bool]:
    """What the clocks show at the moment in a text, and whether it is tomorrow's because today's has passed."""
    if (match := _WITH_DATE.fullmatch(text)) is not None:
        return datetime.combine(date.fromisoformat(match["date"]), _clock_time(match["time"])), False
    match = _WITHOUT_DATE.fullmatch(text)
    if match is None or (match["day"] and match["day_after"]):
        raise ValueError(f"expected {', '.join(example for example, _ in EXAMPLES)}")
    where: tzinfo = MachineZone() if zone is None else named_zone(zone)
    today = datetime.combine(shown_at(now_ms, where).date(), _clock_time(match["time"]))
    day = (match["day"] or match["day_after"] or "").lower()
    is_next_day = not day and shown_first_ms(today, where) <= now_ms
    return today + _DAY if is_next_day or day == "tomorrow" else today, is_next_day


def _checked(moment: str, zone: str | None) -> str:
    """A moment with its offset. Raises `ValueError` where there is none such, or a zone beside it."""
    datetime.fromisoformat(moment)
    if zone is not None:
        raise ValueError("it has its offset from UTC, so that no --zone goes with it")
    return moment


def _clock_time(text: str) -> time:
    """A time of the day, whose hour may be one digit. Raises `ValueError`."""
    return time.fromisoformat(f"0{text}" if text[1] == ":" else text)
