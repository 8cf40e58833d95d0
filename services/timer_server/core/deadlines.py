"""Which timers are due: a heap of deadlines in which dead entries are dropped when they are met."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from timer_server.core.model import Timer

_SLACK = 64

_MOVES = 8
"""Entries moved from the old heap for each one that dies: it is empty before the dead have grown by an eighth."""

_DROPS = 500
"""Dead entries dropped in one go; what is left of them is dropped by the calls that follow."""

Entry = tuple[int, str]


class Deadlines:
    """Running timers by `due_at_ms`.

    A change of a deadline leaves the old entry in the heap; it is dead, since the timer no longer says the same.
    Adding and taking cost O(log n). When the dead outnumber the living, a new heap is begun, and with each entry that
    dies a few are moved to it from the end of the old one, the dead left out. So no call ever takes long.
    """

    def __init__(self, timers: Mapping[str, Timer]) -> None:
        self._timers = timers
        self._heap: list[Entry] = []
        self._old: list[Entry] = []
        self._dead = 0

    def __len__(self) -> int:
        """Entries held, dead ones among them."""
        return len(self._heap) + len(self._old)

    def load(self, timers: Iterable[Timer]) -> None:
        """Takes the deadlines of these timers and forgets all others."""
        self._heap = [(timer.due_at_ms, timer.id) for timer in timers if timer.due_at_ms is not None]
        heapify(self._heap)
        self._old = []
        self._dead = 0

    def add(self, timer: Timer) -> None:
        """Takes the deadline of a timer that has begun to run or runs to a new one."""
        assert timer.due_at_ms is not None
        heappush(self._heap, (timer.due_at_ms, timer.id))

    def leave(self) -> None:
        """Says that one entry has died: its timer was paused, ended or moved."""
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
        return heap[0][0] if heap else None

    def pop_due(self, now_ms: int) -> Timer | None:
        """Takes out the timer with the earliest deadline if that has come. The caller ends it, and says so."""
        heap = self._earliest()
        if not heap or heap[0][0] > now_ms or not self._is_alive(heap[0]):
            return None
        self._dead -= 1  # its entry is gone before `leave` counts it
        return self._timers[heappop(heap)[1]]

    def _earliest(self) -> list[Entry]:
        """The heap with the earliest entry. It is empty only if both are."""
        self._drop_dead(self._heap)
        if not self._old:
            return self._heap
        self._drop_dead(self._old)
        if self._heap and self._old:
            return self._heap if self._heap[0] <= self._old[0] else self._old
        return self._heap or self._old

    def _move(self) -> None:
        """Moves some entries. What is last in a heap has nothing below it, so a heap stays when it is taken off."""
        for _ in range(min(_MOVES, len(self._old))):
            entry = self._old.pop()
            if self._is_alive(entry):
                heappush(self._heap, entry)
            else:
                self._dead -= 1

    def _drop_dead(self, heap: list[Entry]) -> None:
        for _ in range(_DROPS):
            if not heap or self._is_alive(heap[0]):
                return
            heappop(heap)
            self._dead -= 1

    def _is_alive(self, entry: Entry) -> bool:
        timer = self._timers.get(entry[1])
        return timer is not None and timer.due_at_ms == entry[0]
