"""A store for trials and tests: it keeps what it is given until the process ends."""

from collections.abc import Iterator
from itertools import islice

from timer_server.core.ledger import Changes
from timer_server.core.model import Timer
from timer_server.store.base import Anchor, Header, StoreError, Window


class MemoryStore:
    """The log as a dict that is in the order of `seq`, since that only rises."""

    def __init__(self) -> None:
        self._events: dict[int, Timer] = {}
        self._header = Header(horizon=0, last_seq=0, last_at_ms=0, anchor=None)

    def open(self) -> Header:
        return self._header

    def load(self) -> Iterator[Timer]:
        return iter(list(self._events.values()))

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        for event in changes.events:
            self._events[event.seq] = event
        for seq in changes.obsolete:
            self._events.pop(seq, None)
        last_seq, last_at_ms = self._header.last_seq, self._header.last_at_ms
        if changes.events:
            last_seq, last_at_ms = changes.events[-1].seq, changes.events[-1].at_ms
        self._header = Header(changes.horizon, last_seq, last_at_ms, anchor or self._header.anchor)

    def read_timer(self, seq: int) -> Timer:
        event = self._events.get(seq)
        if event is None:
            raise StoreError(f"the store has lost the event {seq}")
        return event

    def read_events(self, after: int, prefix: str, limit: int, scan: int) -> Window:
        window = list(islice((event for seq, event in self._events.items() if seq > after), scan))
        found = [event for event in window if event.id.startswith(prefix)]
        if len(found) > limit:
            return Window(found[:limit], found[limit - 1].seq, is_end=False)
        return Window(found, window[-1].seq if window else after, is_end=len(window) < scan)

    def close(self) -> None:
        """Nothing to let go of."""
