"""A log as it stands: what is durable is read from its store, what is being made durable from the turns in flight."""

from collections import deque
from contextlib import closing
from itertools import chain, islice
from typing import NamedTuple

from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, Entry, Spec
from timer_server.limits import SCAN_BYTES
from timer_server.store.base import Header, Store, StoreError


class Page(NamedTuple):
    """Some events in order. The log was looked through for them up to the event `scanned_to`, which is its end if
    `is_end`; that took a look at `scanned` entries."""

    events: list[Countdown]
    scanned_to: int
    scanned: int
    is_end: bool


class Log:
    """Reads one log. All reads raise `StoreError`.

    `durable_place` and `durable_seq` are where it ends as far as anybody may be told.
    """

    def __init__(self, store: Store, header: Header) -> None:
        self.id = header.log_id
        self.ancestors = header.ancestors
        self.durable_place, self.durable_seq = header.ends.last_place, header.ends.last_seq
        self._store = store
        self._in_flight: deque[Changes] = deque()

    def take_off(self, changes: Changes) -> None:
        """Takes note of changes whose commit has begun."""
        self._in_flight.append(changes)

    def land(self) -> Changes:
        """Takes note that the oldest changes in flight are durable, and returns them."""
        changes = self._in_flight.popleft()
        if changes.events:
            self.durable_place, self.durable_seq = changes.events[-1].place, changes.events[-1].seq
        return changes

    def event(self, place: int) -> Countdown:
        """The event at a place, which has to be there."""
        if place > self.durable_place:
            for changes in self._in_flight:
                if changes.events and place <= changes.events[-1].place:
                    return changes.events[place - changes.events[-1].place - 1]
        return self._whole(self._store.entry(place))

    def spec(self, place: int) -> Spec:
        """The spec that stands in the entry at a place."""
        entry = self._store.entry(place)
        if not isinstance(entry, Countdown):
            raise StoreError(f"the entry {place} holds no spec, though others refer to it for one")
        return entry.spec

    def page(self, after: int, prefix: str, limit: int, scan: int) -> Page:
        """Up to `limit` events after a `seq` whose timer's id begins with `prefix`, found by looking at `scan` entries.

        Only what is durable is looked at. An entry that has to be read for a spec counts as one, too.
        """
        found: list[Countdown] = []
        scanned_to, scanned, size = after, 0, 0
        with closing(self._store.blocks_after_seq(after)) as blocks:
            for block in blocks:
                for entry in block.entries:
                    if entry.seq <= after:
                        continue
                    if scanned >= scan or size > SCAN_BYTES or len(found) == limit:
                        return Page(found, scanned_to, scanned, is_end=False)
                    scanned_to, scanned = entry.seq, scanned + 1
                    if entry.id.startswith(prefix):
                        found.append(event := self._whole(entry))
                        if event is not entry:
                            scanned, size = scanned + 1, size + len(event.spec.payload)
                size += block.size
        return Page(found, scanned_to, scanned, is_end=True)

    def oldest(self, after: int, most: int) -> list[Entry]:
        """The first durable entries after a place."""
        with closing(self._store.blocks_after(after)) as blocks:
            entries = chain.from_iterable(block.entries for block in blocks)
            return list(islice((entry for entry in entries if entry.place > after), most))

    def _whole(self, entry: Entry) -> Countdown:
        return entry if isinstance(entry, Countdown) else entry.with_spec(self.spec(entry.spec_place))
