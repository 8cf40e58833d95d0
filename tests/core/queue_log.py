"""A log as queues need one: it gives places, keeps what is needed, and is read again after a crash. Plain lists."""

from copy import copy
from typing import Literal

from drivers.builders import make_timer
from timer_server.core.entries import Part, QueueEntry
from timer_server.core.model import Countdown
from timer_server.core.queues.queues import Queues


class QueueLog:
    """The entries that are there, in order; up to `durable` of them, by place, are on disk."""

    def __init__(self) -> None:
        self.entries: list[Countdown | QueueEntry] = []
        self.last_place = 0
        self.others = 0
        self.horizon = 0
        self.removed: set[int] = set()
        self.has_parts = False

    def __deepcopy__(self, _: object) -> "QueueLog":
        """Entries never change, so a copy has the same ones."""
        copied = copy(self)
        copied.entries, copied.removed = list(self.entries), set(self.removed)
        return copied

    def end(
        self, timer_id: str, state: Literal["fired", "cancelled"], at_ms: int, size: int, queues: Queues
    ) -> Countdown:
        """Logs the end of a timer, behind what the queues have done, and offers it."""
        self.take_drafts(queues)
        self.last_place += 1
        event = make_timer(
            timer_id, state, place=self.last_place, others=self.others, started_at_ms=at_ms, payload=b"x" * size
        )
        self.entries.append(event)
        queues.offer(event)
        return event

    def take_drafts(self, queues: Queues) -> None:
        """Logs what the queues have done, and removes what they have released behind the horizon."""
        while queues.has_news:
            for draft in queues.take_drafts():
                self.last_place += 1
                self.has_parts |= draft.part is not Part.CHANGE
                self.others += 1
                self.entries.append(QueueEntry(None, self.last_place, self.others, *draft))
            released = list(queues.take_released())
            assert len(set(released)) == len(released)
            self.remove({place for place in released if place <= self.horizon})
        if self.has_parts:
            self.remove({entry.place for entry in self.obsolete() if entry.place <= self.horizon})

    def forget(self, to_place: int, queues: Queues) -> None:
        """Moves the horizon as far as the queues let it, and keeps what they need behind it."""
        to_place = to_place if queues.waits_at is None else min(to_place, queues.waits_at)
        passed = [entry for entry in self.entries if self.horizon < entry.place <= to_place]
        self.horizon = max(self.horizon, to_place)
        ends = [entry.place for entry in passed if isinstance(entry, Countdown)]
        self.remove({place for place in ends if not queues.is_held(place)})
        self.take_drafts(queues)

    def ends(self, after: int, to: int, most: int) -> list[Countdown]:
        """The first ends between two places that can be read."""
        found = [e for e in self.entries if isinstance(e, Countdown) and max(after, self.horizon) < e.place <= to]
        return found[:most]

    def read_again(self, queues: Queues) -> None:
        """Tells new queues all that is there, as a ledger does at a start."""
        first = next((e.place for e in self.entries if isinstance(e, QueueEntry)), self.last_place)
        for entry in self.entries:
            if entry.place >= first:
                queues.restore(entry)
        queues.restored()
        behind = [e.place for e in self.entries if isinstance(e, Countdown) and e.place <= self.horizon]
        self.remove({place for place in behind if not queues.is_held(place)})

    def obsolete(self) -> list[QueueEntry]:
        """Entries of queues that are needed no more, since a complete snapshot of the queue begins after them."""
        obsolete: list[QueueEntry] = []
        of: dict[str, list[QueueEntry]] = {}
        for entry in self.entries:
            if not isinstance(entry, QueueEntry):
                continue
            entries = of.setdefault(entry.queue, [])
            entries.append(entry)
            if entry.part is Part.GONE:
                kept = len(entries)
            elif entry.part is Part.WHOLE:
                kept = len(entries) - 1
            elif entry.part is Part.LAST:
                kept = max((number for number, e in enumerate(entries) if e.part is Part.FIRST), default=0)
            else:
                continue
            obsolete += entries[:kept]
            del entries[:kept]
        return obsolete

    def remove(self, places: set[int]) -> None:
        """Removes entries."""
        if not places:
            return
        assert not places & self.removed
        self.removed |= places & {entry.place for entry in self.entries}
        self.entries = [entry for entry in self.entries if entry.place not in places]
