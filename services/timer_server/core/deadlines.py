"""The deadlines of running timers: their records in order. Those of changed timers stay until they are met."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush, heapreplace, merge
from itertools import chain, islice, takewhile

from timer_server.core.model import Countdown
from timer_server.core.records import ID_IN_ROW, Record, Row, earliest_due, head, unpack, unpack_rows
from timer_server.core.runs import CHUNK, Run, Runs

_SLACK = 64

_LOOKS = 8
"""Records looked at for each one that dies: all have been before the dead have grown by an eighth."""

_DROPS = 500
"""Most dead records dropped in one call; the calls that follow drop the rest."""


class Deadlines:
    """The records of running timers in the order of their deadlines. `pending` has the present record of each id.

    They are in runs, and in a heap where they did not come in order. A change leaves the timer's old record where it
    is; it is dead, since `pending` has another one by then. Adding and taking cost O(log n). When the dead outnumber
    the living, each record that dies has a few others looked at: those in runs where they are, and those in the heap
    are moved to a new one from its end. So no call ever takes long.
    """

    def __init__(self, pending: Mapping[str, Record]) -> None:
        self._pending = pending
        self._begin()

    def _begin(self) -> None:
        self._runs = Runs()
        self._heap: list[Record] = []
        self._old: list[Record] = []
        self._unswept: list[tuple[Run, list[Record]]] = []
        """Chunks that are to be looked at for dead records, each with its run."""
        self._looks = 0
        """How many records may be looked at by now."""
        self._dead = 0

    def __len__(self) -> int:
        """Records held, dead ones among them."""
        return len(self._heap) + len(self._old) + len(self._runs)

    def load(self, records: Iterable[Record]) -> None:
        """Replaces all records by these, of running timers."""
        self._begin()
        records = iter(records)
        while batch := list(islice(records, CHUNK)):
            self._heap += self._runs.add(batch)
        heapify(self._heap)

    def add(self, record: Record) -> None:
        """Adds the record of a timer that has begun to run, or has another deadline."""
        heappush(self._heap, record)

    def add_all(self, records: Sequence[Record]) -> None:
        """Adds records of timers that have begun to run."""
        for begin in range(0, len(records), CHUNK):
            for record in self._runs.add([*records[begin : begin + CHUNK]]):
                heappush(self._heap, record)

    def leave(self, count: int = 1) -> None:
        """Notes that records have died: their timers were paused, ended or moved."""
        self._dead += count
        if self._unswept:
            self._sweep(count * _LOOKS)
        elif self._old:
            self._move(count * _LOOKS)
        elif self._dead > len(self) // 2 + _SLACK:
            self._old, self._heap = self._heap, []
            self._unswept = [(run, chunk) for run in self._runs for chunk in run.chunks]

    def next_due_ms(self) -> int | None:
        """The earliest deadline; None where nothing runs.

        While many dead records are dropped it may be one of theirs: then nothing is due, and the caller asks again.
        """
        self._drop_dead()
        earliest = self._earliest()
        return None if earliest is None else head(earliest).due_at_ms

    def pop_due(self, now_ms: int) -> Countdown | None:
        """Takes out the timer with the earliest deadline, if that has come. Its record is not a dead one."""
        self._drop_dead()
        earliest = self._earliest()
        if earliest is None:
            return None
        timer = unpack(earliest)
        assert timer.due_at_ms is not None
        if timer.due_at_ms > now_ms or self._pending.get(timer.id) is not earliest:
            return None
        self._pop()
        return timer

    def take_due(self, now_ms: int, most: int, mark: str) -> list[Row]:
        """Takes out timers whose deadline has come, the earliest first, and returns what their records have.

        They are at most so many, dead records included, and end before the first one that has `mark` in its id.
        """
        later = earliest_due(now_ms + 1)
        taken: list[Record] = []
        while len(taken) < most and (part := self._take_before(later, most - len(taken), mark)):
            taken += part
        rows, pending = unpack_rows(taken), self._pending
        living = [row for row, record in zip(rows, taken, strict=True) if pending.get(row[ID_IN_ROW]) is record]
        self._dead -= len(taken) - len(living)
        return living

    def living(self) -> Iterator[Countdown]:
        """The timers whose records are held now, in the order of their deadlines, without those that have changed
        meanwhile. The records are copied at once, and each is looked at when it comes up.
        """
        heap = [*self._heap, *self._old, *chain.from_iterable(self._runs)]
        heapify(heap)
        return self._pop_living(heap)

    def _pop_living(self, heap: list[Record]) -> Iterator[Countdown]:
        while heap:
            record = heappop(heap)
            if self._is_alive(record):
                yield unpack(record)

    def in_order(self) -> Iterator[Record]:
        """All records, dead ones among them, in the order of their deadlines. Nothing may change meanwhile."""
        return merge(*self._runs, *(_in_order(heap) for heap in (self._heap, self._old) if heap))

    def _earliest(self) -> Record | None:
        """The earliest record; None where there is none."""
        run, heap = self._runs.earliest(), self._earlier_heap()
        if run is None:
            return heap[0] if heap else None
        return min(run.first, heap[0]) if heap else run.first

    def _pop(self) -> None:
        """Takes out the earliest record."""
        run, heap = self._runs.earliest(), self._earlier_heap()
        if run is None or (heap and heap[0] < run.first):
            heappop(heap)
        else:
            self._runs.drop(run, 1)

    def _take_before(self, bound: Record, most: int, mark: str) -> list[Record]:
        """Takes out the earliest records before `bound` and before the first that has `mark` in its id, as many as
        stand together; none only if there are none."""
        run, heap = self._runs.earliest(), self._earlier_heap()
        if run is None or (heap and heap[0] < run.first):
            return _popped_before(heap, bound if run is None else min(bound, run.first), 1 if self._old else most, mark)
        part = run.before(self._runs.bound(run, min(bound, heap[0]) if heap else bound), most)
        if mark.encode() in b"".join(part):
            part = list(takewhile(lambda record: not _has_mark(record, mark), part))
        self._runs.drop(run, len(part))
        return part

    def _earlier_heap(self) -> list[Record]:
        """The heap whose first record is the earlier one; empty only if both are."""
        if self._heap and self._old:
            return self._heap if self._heap[0] <= self._old[0] else self._old
        return self._heap or self._old

    def _drop_dead(self) -> None:
        """Takes out dead records that come before all living ones, as many as may be at once."""
        for _ in range(_DROPS):
            earliest = self._earliest()
            if earliest is None or self._is_alive(earliest):
                return
            self._pop()
            self._dead -= 1

    def _sweep(self, most: int) -> None:
        """Looks at some records in runs. That is put off until all of a chunk may be looked at."""
        self._looks += most
        while self._unswept and self._looks >= len(self._unswept[-1][1]):
            run, chunk = self._unswept.pop()
            self._looks -= len(chunk)
            if chunk:
                self._dead -= self._runs.sweep(run, chunk, self._is_alive)
        if not self._unswept:
            self._looks = 0

    def _move(self, most: int) -> None:
        """Moves some records to the new heap. A heap stays one when its last items are taken off."""
        left = max(len(self._old) - most, 0)
        moved = self._old[left:]
        del self._old[left:]
        living = [*filter(self._is_alive, moved)]
        for record in living:
            heappush(self._heap, record)
        self._dead -= len(moved) - len(living)

    def _is_alive(self, record: Record) -> bool:
        return self._pending.get(head(record).id) is record


def _popped_before(heap: list[Record], bound: Record, most: int, mark: str) -> list[Record]:
    """The first records of a heap before `bound` and before the first that has `mark` in its id, taken out of it."""
    popped: list[Record] = []
    mark_bytes = mark.encode()
    while heap and heap[0] < bound and len(popped) < most and not (mark_bytes in heap[0] and _has_mark(heap[0], mark)):
        popped.append(heappop(heap))
    return popped


def _has_mark(record: Record, mark: str) -> bool:
    return mark in head(record).id


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
