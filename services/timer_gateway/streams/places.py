"""How many streams there may be at once, and how long a reader that was cut off is to wait before it comes back."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

STREAMS: Final = 3_000
STREAMS_OF_ONE: Final = 1_000
"""Streams of one caller; and of all, which leaves connections for requests."""

RETRY_MS: Final = 1_000
RETRY_MOST_MS: Final = 60_000
"""The pause before a reader connects again: twice as long each time that it was cut off."""

FORGIVEN_AFTER_S: Final = 600.0
_REMEMBERED = 1_000


class StreamPlaces:
    """Places for streams."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: Counter[str] = Counter()
        self._cuts: dict[tuple[str, str], tuple[int, float]] = {}
        """How often in a row a caller was cut off with a prefix, and when that is forgiven."""

    @property
    def taken(self) -> int:
        """How many streams there are."""
        return self._taken.total()

    @contextmanager
    def one_of(self, caller: str) -> Iterator[bool]:
        """Takes a place while the block runs, and gives whether there was one."""
        is_free = self._taken[caller] < STREAMS_OF_ONE and self.taken < STREAMS
        self._taken[caller] += is_free
        try:
            yield is_free
        finally:
            self._taken[caller] -= is_free
            if not self._taken[caller]:
                del self._taken[caller]

    def note_cut(self, caller: str, prefix: str) -> None:
        """Notes that a reader was cut off."""
        now_s = self._clock()
        if len(self._cuts) >= _REMEMBERED:
            self._cuts = {reader: cuts for reader, cuts in self._cuts.items() if cuts[1] > now_s}
        if len(self._cuts) < _REMEMBERED:
            self._cuts[caller, prefix] = (self._times_cut(caller, prefix) + 1, now_s + FORGIVEN_AFTER_S)

    def retry_ms(self, caller: str, prefix: str) -> int:
        """The pause for a reader. Some of it is left to chance, so that those cut off together do not come together."""
        pause_ms = min(RETRY_MS << min(self._times_cut(caller, prefix), 10), RETRY_MOST_MS)
        return round(pause_ms * random.uniform(1, 1.5))  # noqa: S311 - no secret

    def _times_cut(self, caller: str, prefix: str) -> int:
        times, until_s = self._cuts.get((caller, prefix), (0, 0.0))
        return times if until_s > self._clock() else 0
