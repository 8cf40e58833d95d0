"""Which timers are due: a heap of records in which dead ones are dropped when they are met."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from timer_server.core.model import Countdown
from timer_server.core.records import Record, head, unpack

_SLACK = 64

_MOVES = 8
"""Records moved from the old heap for each one that dies: it is empty before the dead have grown by an eighth."""

_DROPS = 500
"""Dead records dropped in one go; what is left of them is dropped by the calls that follow."""


class Deadlines:
    """Running timers by `due_at_ms`, as records, which sort by it; `pending` has the present record of each id.

    A change leaves the old record in the heap; it is dead, since it is no longer the one that `pending` has.
    Adding and taking cost O(log n). When the dead outnumber the living, a new heap is begun, and with each record that
    dies a few are moved to it from the end of the old one, the dead left out. So no call ever takes long.
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
        """Takes these records of running timers and forgets all others."""
        self._heap = list(records)
        heapify(self._heap)
        self._old = []
        self._dead = 0

    def add(self, record: Record) -> None:
        """Takes the record of a timer that has begun to run, or runs to another deadline."""
        heappush(self._heap, record)

    def leave(self) -> None:
        """Says that one record has died: its timer was paused, ended or moved."""
        self._dead += 1
        if self._old:
            self._move()
        elif self._dead > len(self._heap) // 2 + _SLACK:
            self._old, self._heap = self._heap, []

    def next_due_ms(self) -> int | None:
        """The earliest deadline, or an earlier one that was left while many such are dropped; None where nothing runs.

        Whoever wakes up for a deadline that was left finds nothing due, and asks again.
        """
        heap = self._earliest()
        return head(heap[0]).due_at_ms if heap else None

    def pop_due(self, now_ms: int) -> Countdown | None:
        """Takes out the timer with the earliest deadline if that has come; its record does not die here."""
        heap = self._earliest()
        if not heap:
            return None
        timer = unpack(heap[0])
        assert timer.due_at_ms is not None
        if timer.due_at_ms > now_ms or self._pending.get(timer.id) is not heap[0]:
            return None
        heappop(heap)
        return timer

    def _earliest(self) -> list[Record]:
        """The heap with the earliest record. It is empty only if both are."""
        self._drop_dead(self._heap)
        if not self._old:
            return self._heap
        self._drop_dead(self._old)
        if self._heap and self._old:
            return self._heap if self._heap[0] <= self._old[0] else self._old
        return self._heap or self._old

    def _move(self) -> None:
        """Moves some records. What is last in a heap has nothing below it, so a heap stays when it is taken off."""
        for _ in range(min(_MOVES, len(self._old))):
            record = self._old.pop()
            if self._is_alive(record):
                heappush(self._heap, record)
            else:
                self._dead -= 1

    def _drop_dead(self, heap: list[Record]) -> None:
        for _ in range(_DROPS):
            if not heap or self._is_alive(heap[0]):
                return
            heappop(heap)
            self._dead -= 1

    def _is_alive(self, record: Record) -> bool:
        return self._pending.get(head(record).id) is record
