"""Readers of ends that are as plain as can be: queues that hold every end until they are told to let go of it.

What they do is logged as JSON. They are made again from the log alone, as the real ones are.
"""

import json
from collections.abc import Iterable
from typing import Any

from timer_server.core.entries import Draft, Part, QueueEntry, ServerStarted
from timer_server.core.model import Countdown


class FakeReaders:
    """`queues` has the places that each queue holds, `starts` the moments of the starts that it was told of.

    `snapshots` has, for each queue, what is left to say of a snapshot that is not complete.
    """

    def __init__(self) -> None:
        self.queues: dict[str, set[int]] = {}
        self.starts: list[int] = []
        self.snapshots: dict[str, list[int]] = {}
        self.waits_at: int | None = None
        self.taken_up = 0
        self.is_restored = False
        self._drafts: list[Draft] = []
        self._released: list[int] = []
        self._begun: dict[str, tuple[list[int], list[tuple[str, int]]]] = {}
        """Where the log is read: of a snapshot that has begun the places so far, and what has happened since."""

    @property
    def has_news(self) -> bool:
        return bool(self._drafts or self._released)

    @property
    def count(self) -> int:
        return len(self.queues)

    # What happens to queues

    def put(self, queue: str, at_ms: int) -> None:
        self.queues[queue] = set()
        self._draft(at_ms, queue, Part.CHANGE, "put")

    def delete(self, queue: str, at_ms: int) -> None:
        held = self.queues.pop(queue)
        self.snapshots.pop(queue, None)
        self._draft(at_ms, queue, Part.GONE, "deleted")
        self._release(held)

    def let_go(self, queue: str, places: list[int], at_ms: int) -> None:
        self.queues[queue] -= set(places)
        self._draft(at_ms, queue, Part.CHANGE, places)
        self._release(places)

    def begin_snapshot(self, queue: str, at_ms: int) -> None:
        held = sorted(self.queues[queue])
        self.snapshots[queue] = held[len(held) // 2 :]
        self._draft(at_ms, queue, Part.FIRST, held[: len(held) // 2])

    def end_snapshot(self, queue: str, at_ms: int) -> None:
        self._draft(at_ms, queue, Part.LAST, self.snapshots.pop(queue))

    def snapshot(self, queue: str, at_ms: int) -> None:
        self.snapshots.pop(queue, None)
        self._draft(at_ms, queue, Part.WHOLE, sorted(self.queues[queue]))

    # As readers of ends

    def restore(self, entry: Countdown | QueueEntry | ServerStarted) -> None:
        assert not self.is_restored
        if isinstance(entry, Countdown):
            assert entry.has_ended
            for queue in {*self.queues, *self._begun}:
                self._happened(queue, "held", entry.place)
        elif isinstance(entry, ServerStarted):
            self.starts.append(entry.at_ms)
        else:
            self._redo(entry.queue, entry.part, json.loads(entry.body))

    def restored(self) -> None:
        self.is_restored = True

    def server_started(self, at_ms: int) -> None:
        assert self.is_restored
        self.starts.append(at_ms)

    def offer(self, end: Countdown) -> None:
        assert end.has_ended
        for held in self.queues.values():
            held.add(end.place)

    def is_held(self, place: int) -> bool:
        assert not self._released, "what was released has to be known before the horizon moves"
        return any(place in held for held in self.queues.values())

    def take_drafts(self) -> list[Draft]:
        drafts, self._drafts = self._drafts, []
        return drafts

    def take_released(self) -> list[int]:
        released, self._released = self._released, []
        return released

    # Parts

    def _draft(self, at_ms: int, queue: str, part: Part, body: Any) -> None:
        self._drafts.append(Draft(at_ms, queue, part, json.dumps(body).encode()))

    def _release(self, places: Iterable[int]) -> None:
        self._released += [place for place in places if not any(place in held for held in self.queues.values())]

    def _redo(self, queue: str, part: Part, body: Any) -> None:
        if part is Part.FIRST:
            self._begun[queue] = body, []
        elif part is Part.WHOLE:
            self._begun.pop(queue, None)
            self.queues[queue] = set(body)
        elif part is Part.GONE:
            self._begun.pop(queue, None)
            self.queues.pop(queue, None)
        elif part is Part.LAST:
            if queue in self._begun:
                places, since = self._begun.pop(queue)
                self.queues[queue] = {*places, *body}
                for what, place in since:
                    self._happened(queue, what, place)
        elif body == "put":
            self.queues[queue] = set()
        else:
            for place in body:
                self._happened(queue, "let go", place)

    def _happened(self, queue: str, what: str, place: int) -> None:
        if queue in self._begun:
            self._begun[queue][1].append((what, place))
        if queue in self.queues:  # the first entries of a queue may be gone where later ones say all
            (self.queues[queue].add if what == "held" else self.queues[queue].discard)(place)
