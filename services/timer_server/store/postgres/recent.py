"""Blocks that were committed lately, in memory: fresh ends, takes and the tails of pages need no round trip."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice

from timer_server.store.blocks import Row

MOST_BYTES = 64 * 2**20
"""Bytes of blocks over all shards."""

_ROW_BYTES = 400
"""About what a block takes beside its body."""


class RecentBlocks:
    """The ends of all logs of a server, as far as they fit. What was committed first goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left_bytes = most_bytes
        self._oldest: deque[tuple[Tail, int, int]] = deque()
        """Each block's tail, its place and its bytes, in the order of the commits."""

    def tail(self, place: int, seq: int) -> "Tail":
        """The end of a log behind a place and the `seq` there, which is where it ends now."""
        return Tail(self, place, seq)

    def note(self, tail: "Tail", rows: Sequence[Row]) -> None:
        """Counts blocks of a tail, and lets it, or others, forget the oldest where they are too many."""
        for row in rows:
            size = len(row[2]) + _ROW_BYTES
            self._left_bytes -= size
            self._oldest.append((tail, row[0], size))
        while self._left_bytes < 0:
            oldest, place, size = self._oldest.popleft()
            oldest.forget(place)
            self._left_bytes += size


class Tail:
    """The blocks of one log behind a place, all of them."""

    def __init__(self, recent: RecentBlocks, place: int, seq: int) -> None:
        self._recent = recent
        self.begin = place
        """Blocks that end behind this place are here. It rises as they are forgotten."""
        self._begin_seq = seq
        self._places: list[int] = []
        self._seqs: list[int] = []
        """The last place and the last `seq` of each block, also of those of which nothing is left."""
        self._first = 0
        """The index of the first of them that was not forgotten."""
        self._rows: dict[int, Row] = {}

    def change(self, inserted: Sequence[Row], rewritten: Sequence[Row], deleted: Sequence[int]) -> None:
        """Takes up what a commit has done."""
        for row in inserted:
            self._places.append(row[0])
            self._seqs.append(row[1])
            self._rows[row[0]] = row
        for row in rewritten:
            if row[0] in self._rows:
                self._rows[row[0]] = row
        for place in deleted:
            self._rows.pop(place, None)
        self._recent.note(self, inserted)

    def forget(self, place: int) -> None:
        """Forgets its first block, which ends at this place."""
        self._rows.pop(place, None)
        self.begin, self._begin_seq = place, self._seqs[self._first]
        self._first += 1
        if self._first > len(self._places) // 2:
            del self._places[: self._first], self._seqs[: self._first]
            self._first = 0

    def rows_after(self, place: int, most: int) -> list[Row]:
        """The first blocks that end behind a place, which is not before the beginning."""
        rows = self._rows
        indexes = range(bisect_right(self._places, place, self._first), len(self._places))
        found = (row for index in indexes if (row := rows.get(self._places[index])) is not None)
        return list(islice(found, most))

    def place_before_those_after(self, seq: int) -> int | None:
        """The place behind which the first block holds what is behind an event; None where there may be one before the
        beginning."""
        if seq < self._begin_seq:
            return None
        index = bisect_right(self._seqs, seq, self._first)
        return self._places[index - 1] if index > self._first else self.begin
