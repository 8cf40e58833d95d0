"""The deadlines of running timers: a heap of records, in which those of changed timers stay until they are met."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush, heapreplace, merge

from timer_server.core.model import Countdown
from timer_server.core.records import ID_IN_ROW, Record, Row, earliest_due, head, unpack, unpack_rows

_SLACK = 64

_MOVES = 8
"""Records moved from the old heap for each one that dies: it is empty before the dead have grown by an eighth."""

_DROPS = 500
"""Most dead records dropped in one call; the calls that follow drop the rest."""


class Deadlines:
    """The records of running timers in the order of their deadlines. `pending` has the present record of each id.

    A change leaves the timer's old record in the heap; it is dead, since `pending` has another one by then. Adding and
    taking cost O(log n). When the dead outnumber the living, a new heap is begun, and each record that dies moves a few
    living ones to it from the end of the old heap. So no call ever takes long.
    """

    def __init__(self, pending: Mapping[str, Record]) -> None:
        self._pending = pending
        self._heap: list[Record] = []
        self._old: list[Record] = []
        self._dead = 0

    def __len__(self) -> int:
        """Records held, dead ones among them."""
        return len(self._heap) + len(self._old)

    def load(self, records: Iterable[Record]) -> None:
        """Replaces all records by these, of running timers."""
        self._heap = list(records)
        heapify(self._heap)
        self._old = []
        self._dead = 0

    def add(self, record: Record) -> None:
        """Adds the record of a timer that has begun to run, or has another deadline."""
        heappush(self._heap, record)

    def add_all(self, records: Iterable[Record]) -> None:
        """Adds records of timers that have begun to run."""
        for record in records:
            heappush(self._heap, record)

    def leave(self, count: int = 1) -> None:
        """Notes that records have died: their timers were paused, ended or moved."""
        self._dead += count
        if self._old:
            self._move(count * _MOVES)
        elif self._dead > len(self._heap) // 2 + _SLACK:
            self._old, self._heap = self._heap, []

    def next_due_ms(self) -> int | None:
        """The earliest deadline; None where nothing runs.

        While many dead records are dropped it may be one of theirs: then nothing is due, and the caller asks again.
        """
        heap = self._earliest()
        return head(heap[0]).due_at_ms if heap else None

    def pop_due(self, now_ms: int) -> Countdown | None:
        """Takes out the timer with the earliest deadline, if that has come. Its record is not a dead one."""
        heap = self._earliest()
        if not heap:
            return None
        timer = unpack(heap[0])
        assert timer.due_at_ms is not None
        if timer.due_at_ms > now_ms or self._pending.get(timer.id) is not heap[0]:
            return None
        heappop(heap)
        return timer

    def take_due(self, now_ms: int, most: int, mark: str) -> list[Row]:
        """Takes out timers whose deadline has come, the earliest first, and returns what their records have.

        They are at most so many, dead records included, and end before the first one that has `mark` in its id.
        """
        later, mark_bytes = earliest_due(now_ms + 1), mark.encode()
        taken: list[Record] = []
        while len(taken) < most:
            heap = self._earlier() if self._old else self._heap
            if not heap or heap[0] >= later or (mark_bytes in heap[0] and mark in head(heap[0]).id):
                break
            taken.append(heappop(heap))
        rows, pending = unpack_rows(taken), self._pending
        living = [row for row, record in zip(rows, taken, strict=True) if pending.get(row[ID_IN_ROW]) is record]
        self._dead -= len(taken) - len(living)
        return living

    def living(self) -> Iterator[Countdown]:
        """The timers whose records are held now, in the order of their deadlines, without those that have changed
        meanwhile. The records are copied at once, and each is looked at when it comes up.
        """
        heap = self._heap + self._old if self._old else self._heap.copy()
        if self._old:
            heapify(heap)
        return self._pop_living(heap)

    def _pop_living(self, heap: list[Record]) -> Iterator[Countdown]:
        while heap:
            record = heappop(heap)
            if self._is_alive(record):
                yield unpack(record)

    def in_order(self) -> Iterator[Record]:
        """All records, dead ones among them, in the order of their deadlines. Nothing may change meanwhile."""
        return merge(*(_in_order(heap) for heap in (self._heap, self._old) if heap))

    def _earliest(self) -> list[Record]:
        """The heap with the earliest record; empty only if both are."""
        self._drop_dead(self._heap)
        if not self._old:
            return self._heap
        self._drop_dead(self._old)
        return self._earlier()

    def _earlier(self) -> list[Record]:
        """The heap whose first record is the earlier one; empty only if both are."""
        if self._heap and self._old:
            return self._heap if self._heap[0] <= self._old[0] else self._old
        return self._heap or self._old

    def _move(self, most: int) -> None:
        """Moves some records to the new heap. A heap stays one when its last items are taken off."""
        pending, left = self._pending, max(len(self._old) - most, 0)
        moved = self._old[left:]
        del self._old[left:]
        living = [record for record in moved if pending.get(head(record).id) is record]
        for record in living:
            heappush(self._heap, record)
        self._dead -= len(moved) - len(living)

    def _drop_dead(self, heap: list[Record]) -> None:
        for _ in range(_DROPS):
            if not heap or self._is_alive(heap[0]):
                return
            heappop(heap)
            self._dead -= 1

    def _is_alive(self, record: Record) -> bool:
        return self._pending.get(head(record).id) is record


def _in_order(heap: Sequence[Record]) -> Iterator[Record]:
    """The records of a heap in order, at O(log n) of those found so far: the next lies right below one of them."""
    nearest = [(heap[0], 0)]
    while nearest:
        record, place = nearest[0]
        yield record
        below = 2 * place + 1
        if below < len(heap):
            heapreplace(nearest, (heap[below], below))
        else:
            heappop(nearest)
        if below + 1 < len(heap):
            heappush(nearest, (heap[below + 1], below + 1))
