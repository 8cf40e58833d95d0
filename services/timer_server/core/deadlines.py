"""Which timers are due: a heap of deadlines in which dead entries are dropped when they are met."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from timer_server.core.model import Timer

_SLACK = 64


class Deadlines:
    """Running timers by `due_at_ms`.

    A change of a deadline leaves the old entry in the heap; it is dead, since the timer no longer says the same.
    Adding and taking cost O(log n); when the dead outnumber the living, the heap is built anew.
    """

    def __init__(self, timers: Mapping[str, Timer]) -> None:
        self._timers = timers
        self._heap: list[tuple[int, str]] = []
        self._dead = 0

    def rebuild(self, timers: Iterable[Timer]) -> None:
        """Takes the deadlines of these timers and forgets all others."""
        self._heap = [(timer.due_at_ms, timer.id) for timer in timers if timer.due_at_ms is not None]
        heapify(self._heap)
        self._dead = 0

    def add(self, timer: Timer) -> None:
        """Takes the deadline of a timer that has begun to run or runs to a new one."""
        assert timer.due_at_ms is not None
        heappush(self._heap, (timer.due_at_ms, timer.id))

    def leave(self) -> None:
        """Says that one entry has died: its timer was paused, ended or moved."""
        self._dead += 1
        if self._dead > len(self._heap) // 2 + _SLACK:
            self.rebuild(self._timers.values())

    def next_due_ms(self) -> int | None:
        """The earliest deadline; None where nothing runs."""
        self._drop_dead()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ms: int) -> Timer | None:
        """Takes out the timer with the earliest deadline if that has come. The caller ends it, and says so."""
        next_due_ms = self.next_due_ms()
        if next_due_ms is None or next_due_ms > now_ms:
            return None
        self._dead -= 1  # its entry is gone before `leave` counts it
        return self._timers[heappop(self._heap)[1]]

    def _drop_dead(self) -> None:
        heap = self._heap
        while heap:
            due_at_ms, timer_id = heap[0]
            timer = self._timers.get(timer_id)
            if timer is not None and timer.due_at_ms == due_at_ms:
                return
            heappop(heap)
            self._dead -= 1
