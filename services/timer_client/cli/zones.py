"""Time zones on this machine: its own, and those with a name."""

import calendar
import time
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import click


class MachineZone(tzinfo):
    """The zone of this machine's clocks, which the system knows: from `TZ`, or `/etc/localtime`."""

    def utcoffset(self, when: datetime | None, /) -> timedelta:
        """By how much the clocks are ahead of UTC when they show something."""
        assert when is not None
        shown = when.replace(tzinfo=None, microsecond=0)
        return timedelta(seconds=calendar.timegm(shown.timetuple()) - int(shown.timestamp()))

    def dst(self, _when: datetime | None, /) -> None:
        """Not known: the offset says all that is needed."""

    def tzname(self, when: datetime | None, /) -> str:
        """What the zone is called when the clocks show something, such as CET."""
        assert when is not None
        return time.localtime(when.replace(tzinfo=None, microsecond=0).timestamp()).tm_zone

    def fromutc(self, when: datetime, /) -> datetime:
        """What the clocks show, given the same moment as UTC shows it."""
        moment = when.replace(tzinfo=UTC, microsecond=0)
        return datetime.fromtimestamp(moment.timestamp()).replace(tzinfo=self, microsecond=when.microsecond)


def named_zone(name: str) -> tzinfo:
    """The zone with this name. Raises `ValueError` with a sentence where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may be no path, or that of a folder
        pass
    names = available_timezones()
    if not names:
        raise ValueError(
            "this machine has no time zone data, which tell what day it is there: write the day too, as in "
            "'2026-12-01 09:00', or install the package tzdata"
        )
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "expected a name such as Europe/Rome"
    raise ValueError(f"{name!r} is no time zone that this machine knows; {hint}")


def complete_zone(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names that begin as typed."""
    return sorted(name for name in available_timezones() if name.startswith(incomplete))
