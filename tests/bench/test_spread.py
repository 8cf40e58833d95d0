"""Medians, spreads and percentiles."""

import pytest

from bench.spread import half_range, median, percentile


def test_the_spread_is_half_the_range_as_a_part_of_the_median() -> None:
    assert median([90, 100, 120]) == 100
    assert half_range([90, 100, 120]) == pytest.approx(0.15)
    assert half_range([7]) == 0
    assert half_range([-1, 0, 1]) == 0  # of a median of nothing there is no part


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: int) -> None:
    assert percentile(range(1, 101), percent) == expected


def test_a_percentile_of_one_and_of_none() -> None:
    assert percentile([3.0], 99) == 3.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)
