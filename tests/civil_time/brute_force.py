"""The moments of a cron rule, found by walking through every minute of a zone's clocks, or every quarter of an hour."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from timer_server.civil_time.zones import zone

_MS = timedelta(milliseconds=1)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


class Walk:
    """A rule of numbers, ranges, lists and steps over `*`, in a zone.

    It is walked through in steps: those of a quarter of an hour do for a rule of such minutes, as all zones are whole
    quarters apart.
    """

    def __init__(self, expression: str, name: str, step_minutes: int = 1) -> None:
        fields = expression.split()
        self._zone = zone(name)
        self._wanted = [_numbers(field, *bounds) for field, bounds in zip(fields, _RANGES, strict=True)]
        self._step_ms = step_minutes * 60_000
        self._is_elapsed = fields[0].startswith("*") or fields[1].startswith("*")

    def moments(self, begin_ms: int, end_ms: int) -> Iterator[int]:
        """The moments after one, and not after another; both are whole steps."""
        highest = self._shown(begin_ms)
        for moment_ms in range(begin_ms + self._step_ms, end_ms + 1, self._step_ms):
            shown = self._shown(moment_ms)
            fresh = [shown] if self._is_elapsed else self._between(highest, shown)
            highest = max(highest, shown)
            if any(map(self._names, fresh)):
                yield moment_ms

    def _shown(self, moment_ms: int) -> datetime:
        return datetime.fromtimestamp(moment_ms / 1000, self._zone).replace(tzinfo=None)

    def _between(self, after: datetime, until: datetime) -> list[datetime]:
        step = self._step_ms * _MS
        return [after + count * step for count in range(1, (until - after) // step + 1)]

    def _names(self, shown: datetime) -> bool:
        minutes, hours, days, months, weekdays = self._wanted
        return (
            shown.minute in minutes
            and shown.hour in hours
            and shown.day in days
            and shown.month in months
            and shown.isoweekday() % 7 in weekdays
        )


def _numbers(field: str, low: int, high: int) -> set[int]:
    if field.startswith("*"):
        return set(range(low, high + 1, int(field.partition("/")[2] or 1)))
    numbers: set[int] = set()
    for term in field.split(","):
        first, _, last = term.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers
