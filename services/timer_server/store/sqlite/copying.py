"""A copy of the log as it was at one commit, read in slices while the store goes on.

New blocks come behind the end of the copy. Before a block is rewritten or deleted that the copy has yet to read, the
copy keeps it as it was. So the store need not put off what it removes: a list of what it still has to remove would be
lost with the process, and what was never removed would come back as a timer.
"""

import sqlite3
from bisect import bisect_right, insort
from collections.abc import Iterator
from contextlib import closing
from heapq import merge
from operator import itemgetter

from timer_server.store.blocks import Row
from timer_server.store.copied import CopyLost
from timer_server.store.sqlite.schema import BETWEEN
from timer_server.store.state import LogState

KEPT_BYTES = 64 * 2**20
"""What a copy may keep of blocks that are removed before it has read them."""


class Copy:
    """The blocks of a log up to where it ended when the copy began."""

    def __init__(self, database: sqlite3.Connection, state: LogState) -> None:
        self._database = database
        self._last_place = state.ends.last_place
        self._read_place = 0
        """All blocks up to this place were read."""
        self._kept: dict[int, Row] = {}
        self._kept_places: list[int] = []
        """The places of the blocks that are kept, in order."""
        self._kept_bytes = 0
        self._is_lost = False
        """Whether more would have had to be kept."""

    def keep(self, row: Row) -> None:
        """Keeps a block that is about to be rewritten or deleted, if it is yet to be read."""
        place = row[0]
        if self._is_lost or not self._read_place < place <= self._last_place or place in self._kept:
            return
        self._kept[place] = row
        self._kept_bytes += len(row[2])
        insort(self._kept_places, place)
        if self._kept_bytes > KEPT_BYTES:
            self._is_lost = True
            self._kept.clear()
            self._kept_places.clear()

    def take(self, most_bytes: int) -> list[Row]:
        """The next blocks, in order, up to the one that goes beyond so many bytes; none once all were read.

        Raises `CopyLost` where too much had to be kept, and whatever reading the database does.
        """
        if self._is_lost:
            raise CopyLost("more was removed from the log than can be kept for a copy; it has to be read faster")
        rows: list[Row] = []
        read_place, left_bytes = self._last_place, most_bytes
        with closing(self._database.execute(BETWEEN, (self._read_place, self._last_place))) as stored:
            for row in merge(self._rows_kept(), stored, key=itemgetter(0)):
                if rows and rows[-1][0] == row[0]:
                    continue  # as it is now: as it was came before
                rows.append(row)
                left_bytes -= len(row[2])
                if left_bytes <= 0:
                    read_place = row[0]
                    break
        self._read_place = read_place
        self._forget_read()
        return rows

    def _rows_kept(self) -> Iterator[Row]:
        return map(self._kept.__getitem__, self._kept_places)

    def _forget_read(self) -> None:
        """Drops what was kept and has been read."""
        count = bisect_right(self._kept_places, self._read_place)
        for place in self._kept_places[:count]:
            self._kept_bytes -= len(self._kept.pop(place)[2])
        del self._kept_places[:count]
