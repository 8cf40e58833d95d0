"""Hours, minutes and seconds as whole milliseconds."""

from collections.abc import Sequence

from timer_protocol.errors import ErrorCode, Refusal

MS_PER_SECOND = 1000
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000
NS_PER_MS = 1_000_000

MAXIMUM_MS = 2**53
"""The largest sum: every JSON reader takes it exactly (RFC 8259, section 6), and no duration comes near it."""

LONGEST_S = 3_153_600_000
"""A hundred years: no operator can allow a timer more."""

Number = int | float


def total_ms(hours: Number, minutes: Number, seconds: Number) -> int:
    """The sum of the three in milliseconds, rounded to the nearest; negative parts subtract.

    Raises `Refusal` (invalid_params) for a sum beyond `MAXIMUM_MS`.
    """
    try:
        total = round(hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND)
    except (OverflowError, ValueError):  # infinity, or one infinity less another
        total = MAXIMUM_MS + 1
    if not -MAXIMUM_MS <= total <= MAXIMUM_MS:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"hours, minutes and seconds come to more than {MAXIMUM_MS} ms")
    return total


def totals_ms(hours: Sequence[Number], minutes: Sequence[Number], seconds: Sequence[Number]) -> list[int]:
    """`total_ms` of columns, which have some. Larger sums than that allows may be among them.

    Raises `Refusal` for what is no sum.
    """
    count = len(seconds)
    if all(column.count(column[0]) == count for column in (seconds, minutes, hours)):  # mostly it is one sum for all
        return [total_ms(hours[0], minutes[0], seconds[0])] * count
    try:
        return [
            round(of_hours * MS_PER_HOUR + of_minutes * MS_PER_MINUTE + of_seconds * MS_PER_SECOND)
            for of_hours, of_minutes, of_seconds in zip(hours, minutes, seconds, strict=True)
        ]
    except (OverflowError, ValueError):
        return list(map(total_ms, hours, minutes, seconds))


def durations_ms(
    hours: Sequence[Number], minutes: Sequence[Number], seconds: Sequence[Number], max_duration_s: int
) -> list[int]:
    """Columns of amounts in milliseconds. Raises `Refusal` unless `total_ms` and `check_duration` take all of them."""
    durations = totals_ms(hours, minutes, seconds)
    check_durations(durations, max_duration_s)
    return durations


def check_durations(durations: Sequence[int], max_duration_s: int) -> None:
    """Raises what `check_duration` does, unless it takes all of these, of which there are some."""
    check_duration(min(durations), max_duration_s)
    check_duration(max(durations), max_duration_s)


def check_duration(duration_ms: int, max_duration_s: int) -> None:
    """Raises `Refusal` (invalid_params) unless the duration is more than zero and at most the maximum."""
    if duration_ms <= 0:
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"a timer needs more than zero time; hours, minutes and seconds came to {duration_ms} ms",
            duration_ms=duration_ms,
        )
    if duration_ms > max_duration_s * MS_PER_SECOND:
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"a timer may run for at most {max_duration_s} s; hours, minutes and seconds came to more",
            limit="max_duration_s",
            maximum=max_duration_s,
        )
