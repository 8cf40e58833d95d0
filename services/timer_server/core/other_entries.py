"""Which entries that are no events are needed, and which of those behind the horizon are still in the log."""

from collections import deque
from collections.abc import Iterator

from timer_server.core.entries import SHARED, OtherEntry, Part, QueueEntry


class _History:
    """The entries of one queue: of those behind the horizon, `behind` are in the log. All from `needed_from` on are
    needed. `first_part` is where a snapshot begins that is not complete yet."""

    __slots__ = ("behind", "first_part", "is_gone", "needed_from")

    def __init__(self, first_place: int) -> None:
        self.behind: deque[int] = deque()
        self.needed_from = first_place
        self.first_part: int | None = None
        self.is_gone = False

    @property
    def is_stale(self) -> bool:
        """Whether an entry behind the horizon is obsolete."""
        return bool(self.behind) and self.behind[0] < self.needed_from

    def note(self, entry: QueueEntry) -> None:
        """Takes up a new entry."""
        if self.is_gone:  # a queue of the same name begins
            self.needed_from = entry.place
        self.is_gone = entry.part is Part.GONE
        if entry.part is Part.FIRST:
            self.first_part = entry.place
        elif entry.part is Part.LAST and self.first_part is not None:
            self.needed_from, self.first_part = self.first_part, None
        elif entry.part is Part.WHOLE:
            self.needed_from, self.first_part = entry.place, None
        elif self.is_gone:
            self.needed_from, self.first_part = entry.place + 1, None


class OtherEntries:
    """The entries of queues, and the starts of the server, which are needed by each queue whose entries reach back
    beyond them.

    Those of a queue are removed in order. So after a crash the earliest are missing, and what made them obsolete is
    there. Under `SHARED` stands what all queues share, in the same way; that is no queue.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _History] = {}
        self._starts: deque[int] = deque()
        """Starts behind the horizon."""
        self._stale: dict[str, _History] = {}
        """Queues with obsolete entries behind the horizon."""
        self._obsolete_starts: deque[int] = deque()

    @property
    def has_queues(self) -> bool:
        """Whether there is a queue that was not deleted."""
        return any(True for _ in self._living())

    @property
    def has_obsolete(self) -> bool:
        """Whether an entry behind the horizon is obsolete and has to be removed."""
        return bool(self._stale or self._obsolete_starts)

    def note(self, entry: OtherEntry) -> None:
        """Takes up a new entry, which may make earlier ones obsolete."""
        if not isinstance(entry, QueueEntry):
            return
        history = self._queues.get(entry.queue)
        if history is None:
            history = self._queues[entry.queue] = _History(entry.place)
        history.note(entry)
        if entry.part is not Part.CHANGE:
            self._look_at(entry.queue, history)
            self._look_at_starts()

    def pass_by(self, entry: OtherEntry) -> None:
        """Moves the horizon over an entry. If that is needed it stays in the log."""
        if isinstance(entry, QueueEntry):
            history = self._queues[entry.queue]
            history.behind.append(entry.place)
            self._look_at(entry.queue, history)
        else:
            self._starts.append(entry.place)
            self._look_at_starts()

    def take_obsolete(self, most: int) -> list[int]:
        """Up to `most` obsolete entries behind the horizon. They are to be removed."""
        obsolete: list[int] = []
        while self._obsolete_starts and len(obsolete) < most:
            obsolete.append(self._obsolete_starts.popleft())
        while self._stale and len(obsolete) < most:
            queue, history = next(iter(self._stale.items()))
            obsolete.append(history.behind.popleft())
            if not history.is_stale:
                del self._stale[queue]
            if history.is_gone and obsolete[-1] == history.needed_from - 1:  # its very last entry
                del self._queues[queue]
        return obsolete

    def _living(self) -> Iterator[_History]:
        """The queues that were not deleted."""
        return (history for queue, history in self._queues.items() if queue != SHARED and not history.is_gone)

    def _look_at(self, queue: str, history: _History) -> None:
        if history.is_stale:
            self._stale[queue] = history

    def _look_at_starts(self) -> None:
        if self._starts:
            reaching_back = (history.needed_from for history in self._living())
            needed_from = min(reaching_back, default=self._starts[-1] + 1)
            while self._starts and self._starts[0] < needed_from:
                self._obsolete_starts.append(self._starts.popleft())
