"""What the clocks of a zone show at a moment, and when they show something: one rule for server and client.

A moment is Unix milliseconds. What clocks show is a `datetime` without a zone. Nothing here asks what time it is.
"""

from datetime import UTC, datetime, timedelta, tzinfo

from timer_protocol.durations import MS_PER_SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_WEEK_MS = 7 * 86_400 * MS_PER_SECOND
"""No zone sets its clocks twice within a week."""


def to_ms(moment: datetime) -> int:
    """A moment with a zone as Unix milliseconds, rounded down."""
    return (moment - _EPOCH) // _MS


def from_ms(instant_ms: int, where: tzinfo) -> datetime:
    """Unix milliseconds as a moment in a zone. Raises `OverflowError` beyond the year 9999."""
    return (_EPOCH + instant_ms * _MS).astimezone(where)


def shown_at(instant_ms: int, where: tzinfo) -> datetime:
    """What the clocks show at a moment."""
    return from_ms(instant_ms, where).replace(tzinfo=None)


def offset_at(instant_ms: int, where: tzinfo) -> int:
    """By how many milliseconds the clocks are ahead of UTC at a moment."""
    offset = from_ms(instant_ms, where).utcoffset()
    assert offset is not None
    return offset // _MS


def shown_first_ms(shown: datetime, where: tzinfo) -> int:
    """The first moment at which the clocks show something or more than that: where they skip it, that of the skip."""
    early_ms, late_ms = sorted(to_ms(shown.replace(tzinfo=where, fold=fold)) for fold in (0, 1))
    if early_ms == late_ms or shown_at(early_ms, where) == shown:
        return early_ms
    skip_ms = first_change_ms(early_ms, late_ms, where)
    assert skip_ms is not None
    return skip_ms


def first_change_ms(after_ms: int, until_ms: int, where: tzinfo) -> int | None:
    """The first moment of another offset, after one moment and not after another; None where there is none."""
    offset_ms = offset_at(after_ms, where)
    while after_ms < until_ms:
        week_ms = min(after_ms + _WEEK_MS, until_ms)
        if offset_at(week_ms, where) != offset_ms:
            return _bisect_change(after_ms, week_ms, offset_ms, where)
        after_ms = week_ms
    return None


def _bisect_change(before_ms: int, after_ms: int, offset_ms: int, where: tzinfo) -> int:
    """The change between two moments; offsets change at whole seconds."""
    low, high = before_ms // MS_PER_SECOND, -(-after_ms // MS_PER_SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(middle * MS_PER_SECOND, where) == offset_ms:
            low = middle
        else:
            high = middle
    return high * MS_PER_SECOND
