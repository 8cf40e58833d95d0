"""Hours, minutes and seconds as milliseconds."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_protocol.durations import check_duration, total_ms
from timer_protocol.errors import ErrorCode, Refusal

YEARS = 87_600


@pytest.mark.parametrize(
    ("hours", "minutes", "seconds", "milliseconds"),
    [
        (0, 0, 0, 0),
        (1, 2, 3, 3_723_000),
        (0, 0, 0.001, 1),
        (0, 0, 0.0015, 2),
        (0, 0, 0.0004, 0),
        (1.5, 0, 0, 5_400_000),
        (0, 0.5, 0.25, 30_250),
        (1, -60, 0, 0),
        (0, -1, 30, -30_000),
        (0, 0, 90, 90_000),
        (YEARS, 0, 0, 315_360_000_000),
    ],
)
def test_sum_in_milliseconds(hours: float, minutes: float, seconds: float, milliseconds: int) -> None:
    total = total_ms(hours, minutes, seconds)

    assert total == milliseconds
    assert isinstance(total, int)


amounts = st.integers(-YEARS, YEARS) | st.floats(-YEARS, YEARS)


@given(amounts, amounts, amounts)
def test_sum_is_exact_to_a_millisecond(hours: float, minutes: float, seconds: float) -> None:
    exact = Fraction(hours) * 3_600_000 + Fraction(minutes) * 60_000 + Fraction(seconds) * 1000

    assert abs(total_ms(hours, minutes, seconds) - exact) <= Fraction(51, 100)


HUGE = st.sampled_from([1e308, -1e308, float("inf"), float("-inf"), 10**400, -(10**400), 10**4299, -(10**4299), 1, 0.5])


@given(HUGE, HUGE, HUGE)
def test_what_is_too_large_is_refused_and_never_raises_anything_else(
    hours: float, minutes: float, seconds: float
) -> None:
    total: object = None
    code = ErrorCode.INVALID_PARAMS
    try:
        total = total_ms(hours, minutes, seconds)
    except Refusal as refusal:
        code = refusal.code

    assert code is ErrorCode.INVALID_PARAMS
    assert total is None or isinstance(total, int)


@pytest.mark.parametrize("duration_ms", [1, 999, 1000, 60_000])
def test_duration_from_one_millisecond_to_the_maximum_is_allowed(duration_ms: int) -> None:
    check_duration(duration_ms, 60)


@pytest.mark.parametrize("duration_ms", [0, -1, 60_001, -(10**30), 10**30])
def test_other_durations_are_refused(duration_ms: int) -> None:
    with pytest.raises(Refusal) as refused:
        check_duration(duration_ms, 60)

    assert refused.value.code is ErrorCode.INVALID_PARAMS


def test_a_duration_that_is_too_long_tells_the_limit() -> None:
    with pytest.raises(Refusal) as refused:
        check_duration(60_001, 60)

    assert refused.value.help == {"limit": "max_duration_s", "maximum": 60}
