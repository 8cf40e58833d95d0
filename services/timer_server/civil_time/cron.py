"""Cron rules: the moments that five fields name on the clocks of a zone (crontab(5), as Debian's cron takes them).

A rule with a fixed minute and hour comes once a day, whatever the clocks do: what they skip comes when they do, and
what they show twice comes the first time. A rule whose minute or hour begins with `*` follows elapsed time.
"""

from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

from timer_protocol.civil_clocks import first_change_ms, offset_at, shown_at, shown_first_ms, to_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.plurals import counted

_FIELDS = 5
_EPOCH = datetime(1970, 1, 1)  # what clocks without a zone show


class Cron:
    """A rule in the zone `where`. Raises `Refusal` (invalid_params) for an expression that is none.

    The library is asked about clocks that are never set. Where those of the zone are, is looked up here: its own way
    through an hour with two offsets misses moments in zones that skip midnight or half an hour.
    """

    def __init__(self, expression: str, where: tzinfo) -> None:
        fields = expression.split()
        if len(fields) != _FIELDS:
            raise _not_a_rule(expression, f"it has {counted(len(fields), 'field')} where 5 are expected")
        self._expression = " ".join(fields)
        self._where = where
        self._is_elapsed = fields[0].startswith("*") or fields[1].startswith("*")
        if (fault := _fault(*fields)) is not None:
            if _has_no_such_day(*fields):
                what = f"{expression!r} never comes: no month that it names has such a day"
                raise Refusal(ErrorCode.INVALID_PARAMS, what)
            raise _not_a_rule(expression, fault)

    def after(self, instant_ms: int) -> int | None:
        """The first moment of the rule after another one, in Unix milliseconds; None where it does not come again."""
        try:
            return self._elapsed_after(instant_ms) if self._is_elapsed else self._fixed_after(instant_ms)
        except (OverflowError, StopIteration):  # not before the year 9999, or not within 50 years
            return None

    def _fixed_after(self, instant_ms: int) -> int | None:
        for shown in CronSim(self._expression, shown_at(instant_ms, self._where)):
            moment_ms = shown_first_ms(shown, self._where)
            if moment_ms > instant_ms:  # clocks that were set back show again what had come
                return moment_ms
        return None

    def _elapsed_after(self, instant_ms: int) -> int:
        begin_ms, shown = instant_ms, shown_at(instant_ms, self._where)
        while True:
            offset_ms = offset_at(begin_ms, self._where)
            moment_ms = to_ms(next(CronSim(self._expression, shown)).replace(tzinfo=UTC)) - offset_ms
            change_ms = first_change_ms(begin_ms, moment_ms, self._where)
            if change_ms is None:
                return moment_ms
            begin_ms, shown = change_ms, shown_at(change_ms, self._where) - timedelta(seconds=1)


def _fault(*fields: str) -> str | None:
    """What the library does not take of five fields."""
    try:
        CronSim(" ".join(fields), _EPOCH)
    except CronSimError as error:
        return str(error).lower()
    return None


def _has_no_such_day(minute: str, hour: str, day: str, month: str, weekday: str) -> bool:
    """Whether it is only the day and the month together that the library does not take, as of 31 February."""
    return _fault(minute, hour, day, "*", weekday) is None and _fault(minute, hour, "*", month, weekday) is None


def _not_a_rule(expression: str, what: str) -> Refusal:
    return Refusal(
        ErrorCode.INVALID_PARAMS,
        f"{expression!r} is no cron rule: {what}; expected minute, hour, day of the month, month and day of the week,"
        " such as '0 9 * * 1-5'",
    )
