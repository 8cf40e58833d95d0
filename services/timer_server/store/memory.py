"""A store for trials and tests: it keeps the log in memory until the process ends."""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence

from timer_server.core.entries import QueueEntry
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, Entry, as_logged
from timer_server.store.base import Anchor, Block, Header, StoreError
from timer_server.store.blocks import BLOCK_ENTRIES
from timer_server.store.state import LogState


class MemoryStore:
    """The log as a list in order. Removed entries stay in it until they are half of it."""

    def __init__(self, log_id: str) -> None:
        self._entries: list[Entry] = []
        self._removed: set[int] = set()
        self._state = LogState(log_id)

    def open(self) -> Header:
        return self._state.header()

    def load(self) -> Iterator[Sequence[Entry]]:
        yield self._held(self._entries)

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        self._entries += map(as_logged, changes.entries)
        self._removed.update(changes.obsolete)
        if len(self._removed) > len(self._entries) // 2:
            self._entries = self._held(self._entries)
            self._removed.clear()
        self._state = self._state.after(changes, len(changes.obsolete), anchor)

    def entry(self, place: int) -> Entry:
        position = self._position(place) - 1
        if position < 0 or self._entries[position].place != place or place in self._removed:
            raise StoreError(f"the store has lost the entry {place}")
        return self._entries[position]

    def blocks_after(self, place: int) -> Generator[Block, None, None]:
        return self._blocks_from(self._position(place))

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        return self._blocks_from(bisect_right(self._entries, seq, key=lambda entry: entry.seq))

    def look_after(self) -> int | None:
        """There are no files, and no limit."""
        return None

    def close(self) -> None:
        """Nothing to close."""

    def _position(self, place: int) -> int:
        """The index of the first entry after a place."""
        return bisect_right(self._entries, place, key=lambda entry: entry.place)

    def _held(self, entries: list[Entry]) -> list[Entry]:
        return [entry for entry in entries if entry.place not in self._removed]

    def _blocks_from(self, position: int) -> Generator[Block, None, None]:
        for begin in range(position, len(self._entries), BLOCK_ENTRIES):
            if not (entries := self._held(self._entries[begin : begin + BLOCK_ENTRIES])):
                continue
            yield Block(entries, sum(map(_size, entries)))


def _size(entry: Entry) -> int:
    """The bytes of an entry that can be many."""
    if isinstance(entry, Countdown):
        return len(entry.payload)
    return len(entry.body) if isinstance(entry, QueueEntry) else 0
