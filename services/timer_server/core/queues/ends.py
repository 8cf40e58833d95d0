"""Ends that a queue holds and has never delivered: a place in the log and little more, in the order of the log.

They are kept in arrays, in chunks that are filled at the end and used up at the front. So an end takes 20 bytes and a
tenth of that for what arrays have in reserve, and no call moves more than a chunk.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

CHUNK_ENDS = 1024


class Columns(NamedTuple):
    """Ends by columns: their places in the log, when they were, and how many bytes of payload each has."""

    places: list[int]
    moments_ms: list[int]
    sizes: list[int]

    def add(self, place: int, moment_ms: int, size: int) -> None:
        """Adds an end behind the others."""
        self.places.append(place)
        self.moments_ms.append(moment_ms)
        self.sizes.append(size)

    def followed_by(self, later: "Columns") -> "Columns":
        """These ends, and others behind them."""
        return Columns(self.places + later.places, self.moments_ms + later.moments_ms, self.sizes + later.sizes)


class _Chunk:
    """Some ends. All but the last chunk stay as they are until they are used up."""

    __slots__ = ("moments_ms", "places", "sizes")

    def __init__(self) -> None:
        self.places = array("q")
        self.moments_ms = array("q")
        self.sizes = array("I")

    def columns(self, start: int, stop: int) -> Columns:
        return Columns(
            self.places[start:stop].tolist(), self.moments_ms[start:stop].tolist(), self.sizes[start:stop].tolist()
        )


class Ends:
    """Ends in the order of their places. They are added at the end and taken at the front."""

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()
        self._front = 0
        """How many ends of the first chunk have been taken."""
        self._count = 0
        self.payload_bytes = 0
        """Of all ends together."""

    def __len__(self) -> int:
        return self._count

    def append(self, place: int, moment_ms: int, size: int) -> None:
        """Adds an end behind the others."""
        chunks = self._chunks
        if not chunks or len(chunks[-1].places) >= CHUNK_ENDS:
            chunks.append(_Chunk())
        chunk = chunks[-1]
        chunk.places.append(place)
        chunk.moments_ms.append(moment_ms)
        chunk.sizes.append(size)
        self._count += 1
        self.payload_bytes += size

    def join(self, later: "Ends") -> None:
        """Moves all ends of another to the end of this one. None of those has been taken."""
        if not self._chunks:
            self._front = 0
        self._chunks += later._chunks
        self._count += later._count
        self.payload_bytes += later.payload_bytes
        later._chunks, later._count, later.payload_bytes = deque(), 0, 0

    def first(self) -> tuple[int, int, int] | None:
        """Place, moment and size of the first end; None where there is none."""
        if not self._count:
            return None
        chunk, front = self._chunks[0], self._front
        return chunk.places[front], chunk.moments_ms[front], chunk.sizes[front]

    def peek(self, most: int) -> Columns:
        """The first ends, up to `most`."""
        front, found = self._front, None
        for chunk in self._chunks:
            more = chunk.columns(front, front + most)
            found = more if found is None else found.followed_by(more)
            most -= len(more.places)
            if most == 0:
                break
            front = 0
        return Columns([], [], []) if found is None else found

    def take(self, places: list[int]) -> Columns | None:
        """Takes the ends at these places, if they are the first."""
        taken = self.peek(len(places))
        if taken.places != places:
            return None
        self._count -= len(places)
        self.payload_bytes -= sum(taken.sizes)
        self._front += len(places)
        while self._chunks and self._front >= len(self._chunks[0].places):
            self._front -= len(self._chunks.popleft().places)
        return taken

    def next_from(self, place: int) -> int | None:
        """The first place of an end that is not before this one."""
        first = self.first()
        if first is None or first[0] >= place:
            return None if first is None else first[0]
        chunks = self._chunks
        at = bisect_right(chunks, place, key=lambda chunk: chunk.places[0]) - 1
        places = chunks[at].places
        found = bisect_left(places, place)
        if found < len(places):
            return places[found]
        return chunks[at + 1].places[0] if at + 1 < len(chunks) else None

    def frozen(self) -> Iterator[Columns]:
        """The ends as they are now, by chunks, for a reader that goes on while others are added and taken.

        What a chunk holds does not change, so only the borders are noted.
        """
        parts = [(chunk, 0, len(chunk.places)) for chunk in self._chunks]
        if parts:
            parts[0] = (parts[0][0], self._front, parts[0][2])
        return (chunk.columns(start, stop) for chunk, start, stop in parts)
