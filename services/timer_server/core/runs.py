"""Runs of records: those of timers that were started together come in the order of their deadlines, and keep it.

To add them costs less than a heap, and so does to take many that are due together.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

from timer_server.core.records import Record

CHUNK = 512
"""Most records in a part of a run: to look at all of them takes a tenth of a millisecond."""

_LEAST = 32
"""Records that make it worth to begin a run, or to go on with one."""

_MOST = 8
"""Most runs. What is due next is the first of one of them, so each costs every look a little."""


class Run:
    """Records in order, in chunks, of which the first is not empty."""

    __slots__ = ("chunks", "count", "last")

    def __init__(self, chunk: list[Record]) -> None:
        self.chunks = deque([chunk])
        self.count = len(chunk)
        self.last = chunk[-1]
        """The last record that was added."""

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.chunks)

    @property
    def first(self) -> Record:
        """The earliest record."""
        return self.chunks[0][0]

    def add(self, chunk: list[Record]) -> None:
        """Adds records in order, of which none sorts before `last`."""
        self.chunks.append(chunk)
        self.count += len(chunk)
        self.last = chunk[-1]

    def before(self, bound: Record, most: int) -> list[Record]:
        """The first records, as far as they sort before `bound`: at most so many, and none beyond a chunk."""
        chunk = self.chunks[0]
        return chunk[: bisect_left(chunk, bound, 0, min(most, len(chunk)))]


class Runs:
    """A few runs. Where something was removed, those that are empty go."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __len__(self) -> int:
        return sum(run.count for run in self._runs) if self._runs else 0

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def add(self, batch: list[Record]) -> Sequence[Record]:
        """Takes in up to `CHUNK` records, and returns those for which there is no run: these, if they are in no order,
        or, where there are enough runs, those of one that is no longer.
        """
        if len(batch) < _LEAST or not _is_in_order(batch):
            return batch
        run = max((run for run in self._runs if run.last <= batch[0]), key=attrgetter("last"), default=None)
        if run is not None:
            run.add(batch)
            return ()
        given_up: Sequence[Record] = ()
        if len(self._runs) >= _MOST:
            shortest = min(self._runs, key=attrgetter("count"))
            if shortest.count > len(batch):
                return batch
            given_up = list(shortest)
            for chunk in shortest.chunks:
                chunk.clear()  # somebody may hold it, to sweep it
            self._runs.remove(shortest)
        self._runs.append(Run(batch))
        return given_up

    def earliest(self) -> Run | None:
        """The run with the earliest record; None where there is no run."""
        return min(self._runs, key=attrgetter("first"), default=None)

    def bound(self, run: Run, bound: Record) -> Record:
        """`bound`, or the earliest record of all other runs if that sorts before it."""
        return min(bound, *(other.first for other in self._runs if other is not run), bound)

    def drop(self, run: Run, count: int) -> None:
        """Removes so many of the first records of a run, none beyond a chunk."""
        del run.chunks[0][:count]
        self._note_removed(run, count)

    def sweep(self, run: Run, chunk: list[Record], is_alive: Callable[[Record], bool]) -> int:
        """Leaves only what is alive in a chunk, and returns how many have gone."""
        before = len(chunk)
        chunk[:] = filter(is_alive, chunk)
        self._note_removed(run, before - len(chunk))
        return before - len(chunk)

    def _note_removed(self, run: Run, count: int) -> None:
        run.count -= count
        while run.chunks and not run.chunks[0]:
            run.chunks.popleft()
        if not run.chunks:
            self._runs.remove(run)


def _is_in_order(batch: list[Record]) -> bool:
    """Whether records are in order, which the first of most that are not tell already."""
    few = batch[:_LEAST]
    return few == sorted(few) and batch == sorted(batch)
