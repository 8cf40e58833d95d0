"""A histogram of durations, cheap enough to count each of a hundred thousand ends."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_MS_PER_S = 1000


class Distribution:
    """Counts durations in seconds by the smallest bound that they do not exceed."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Counts a duration."""
        self._counts[bisect_left(_BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    def add_lapsed(self, dues_ms: Sequence[int], now_ms: float) -> None:
        """Counts how long ago some moments were, which are in order: of many only those at the bounds are looked at."""
        not_counted = len(dues_ms)
        for number, bound_s in enumerate(_BOUNDS_S):
            before = bisect_left(dues_ms, now_ms - bound_s * _MS_PER_S, 0, not_counted)
            self._counts[number] += not_counted - before
            not_counted = before
        self._counts[-1] += not_counted
        self.sum_s += (len(dues_ms) * now_ms - sum(dues_ms)) / _MS_PER_S

    def buckets(self) -> list[tuple[str, float]]:
        """For each bound, as text, the number of durations that did not exceed it; the last is `+Inf`."""
        return list(zip([*map(str, map(float, _BOUNDS_S)), "+Inf"], accumulate(self._counts), strict=True))
