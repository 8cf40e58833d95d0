"""Medians, spreads and percentiles of repeated measurements."""

import statistics
from collections.abc import Sequence


def median(samples: Sequence[float]) -> float:
    """The value in the middle."""
    return statistics.median(samples)


def half_range(samples: Sequence[float]) -> float:
    """Half the distance from the smallest to the largest, as a part of the median."""
    middle = median(samples)
    return (max(samples) - min(samples)) / 2 / abs(middle) if middle else 0.0


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the sorted values that at least so many percent do not exceed."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    place = -(-len(ordered) * percent // 100) - 1
    return ordered[max(0, min(len(ordered) - 1, int(place)))]
