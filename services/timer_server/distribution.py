"""A histogram of durations, cheap enough to count each of a hundred thousand ends."""

from bisect import bisect_left
from itertools import accumulate

_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Distribution:
    """Counts durations in seconds by the smallest bound that they do not exceed."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Counts a duration."""
        self._counts[bisect_left(_BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    def buckets(self) -> list[tuple[str, float]]:
        """For each bound, as text, the number of durations that did not exceed it; the last is `+Inf`."""
        return list(zip([*map(str, map(float, _BOUNDS_S)), "+Inf"], accumulate(self._counts), strict=True))
