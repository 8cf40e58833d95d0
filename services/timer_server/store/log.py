"""Reading a log: durable entries come from its store, those that are being made durable from the turns in flight."""

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import chain, islice
from typing import NamedTuple

from timer_server.core.entries import OtherEntry, PlanEntry, PlanPart
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, Entry, Referring
from timer_server.core.records import unpack
from timer_server.core.turn_entries import TurnEntries
from timer_server.limits import SCAN_BYTES
from timer_server.store.base import Header, Store, StoreError


class Page(NamedTuple):
    """Some events of a log in order. It was searched up to the `seq` `scanned_to`, its end if `is_end`, which took a
    look at `scanned` entries."""

    events: list[Countdown]
    scanned_to: int
    scanned: int
    is_end: bool


class Log:
    """Reads one log. All reads raise `StoreError`.

    `durable_place` and `durable_seq` are the end of what is durable: nobody is told of anything after it.
    """

    def __init__(self, store: Store, header: Header) -> None:
        self.id = header.log_id
        self.ancestors = header.ancestors
        self.durable_place, self.durable_seq = header.ends.last_place, header.ends.last_seq
        self._store = store
        self._in_flight: deque[Changes] = deque()
        self._at_hand: TurnEntries | None = None

    def take_off(self, changes: Changes) -> None:
        """Notes changes whose commit has begun."""
        self._in_flight.append(changes)

    def land(self) -> Changes:
        """Notes that the oldest changes in flight are durable, and returns them."""
        changes = self._in_flight.popleft()
        if changes.entries:
            self.durable_place, self.durable_seq = changes.entries[-1].place, changes.entries[-1].seq
        return changes

    def have_at_hand(self, changes: Changes | None) -> None:
        """Notes what whoever is woken by it reads next: the changes that have landed last, until they are let go."""
        self._at_hand = None if changes is None or changes.obsolete else changes.entries

    def event(self, place: int) -> Countdown:
        """The event at a place, which has to be there."""
        if place > self.durable_place:
            for changes in self._in_flight:
                if changes.entries and place <= changes.entries[-1].place:
                    entry = changes.entries[place - changes.entries[-1].place - 1]
                    return self._whole(_checked(entry))
        return self._whole(_checked(self._store.entry(place)))

    def events(self, places: Iterable[int]) -> list[Countdown]:
        """The events at some places, which have to be there. Neighbours are read together."""
        found: list[Countdown] = []
        known: dict[int, Entry] = {}
        for place in places:
            if place > self.durable_place:
                found.append(self.event(place))
                continue
            if place not in known:
                with closing(self._store.blocks_after(place - 1)) as blocks:
                    known = {entry.place: entry for block in islice(blocks, 1) for entry in block.entries}
            found.append(self._whole(_checked(known[place])) if place in known else self.event(place))
        return found

    def holder(self, place: int) -> Countdown:
        """The entry at a place that holds the spec of others."""
        spec = holder_in(self._store.entry(place))
        if spec is None:
            raise StoreError(f"the entry {place} holds no spec, though others refer to it for one")
        return spec

    def page(self, after: int, prefix: str, limit: int, scan: int, most_bytes: int = SCAN_BYTES) -> Page:
        """Up to `limit` events after a `seq`, of timers whose id begins with `prefix`, among the next `scan` entries.

        It ends with the event whose payload goes beyond `most_bytes`. Only durable entries are looked at. Those that
        are no events count too, and so does one that is read for its spec.
        """
        found: list[Countdown] = []
        scanned_to, scanned, size, found_bytes = after, 0, 0, 0
        with closing(self._after_seq(after)) as parts:
            for entries, part_bytes in parts:
                for entry in entries:
                    if entry.seq <= after:
                        continue
                    is_enough = scanned >= scan or size > SCAN_BYTES or found_bytes > most_bytes
                    if is_enough or len(found) == limit:
                        return Page(found, scanned_to, scanned, is_end=scanned_to >= self.durable_seq)
                    scanned_to, scanned = entry.seq, scanned + 1
                    if isinstance(entry, OtherEntry):
                        if scanned_to >= self.durable_seq:  # no more events
                            return Page(found, scanned_to, scanned, is_end=True)
                        continue
                    if entry.id.startswith(prefix):
                        found.append(event := self._whole(entry))
                        found_bytes += len(event.payload)
                        if event is not entry:
                            scanned, size = scanned + 1, size + len(event.payload)
                size += part_bytes
        return Page(found, scanned_to, scanned, is_end=True)

    def _after_seq(self, seq: int) -> Generator[tuple[Iterable[Entry], int], None, None]:
        """All durable entries after a `seq`, in parts, each with the bytes that had to be read for it; others may come
        before them."""
        if self._at_hand:
            first = self._at_hand[0]
            if seq >= (first.seq if isinstance(first, OtherEntry) else first.seq - 1):
                yield self._at_hand, 0
                return
        with closing(self._store.blocks_after_seq(seq)) as blocks:
            for block in blocks:
                yield block.entries, block.size

    def ends(self, after: int, to: int, prefix: str, scan: int) -> tuple[list[Countdown], int]:
        """The ends of timers whose id begins with `prefix`, among the next `scan` durable entries after a place and up
        to another, and the place up to which that was."""
        found: list[Countdown] = []
        scanned_to, scanned, size, last = after, 0, 0, min(to, self.durable_place)
        with closing(self._store.blocks_after(after)) as blocks:
            for block in blocks:
                for entry in block.entries:
                    if entry.place <= after:
                        continue
                    if entry.place > last:
                        return found, last
                    if scanned >= scan or size > SCAN_BYTES:
                        return found, scanned_to
                    scanned_to, scanned = entry.place, scanned + 1
                    if not isinstance(entry, OtherEntry) and entry.has_ended and entry.id.startswith(prefix):
                        found.append(event := self._whole(entry))
                        size += len(event.payload) if event is not entry else 0
                size += block.size
        return found, last

    def oldest(self, after: int, most: int) -> list[Entry]:
        """The first durable entries after a place."""
        with closing(self._store.blocks_after(after)) as blocks:
            entries = chain.from_iterable(block.entries for block in blocks)
            return list(islice((entry for entry in entries if entry.place > after), most))

    def look_after(self) -> int | None:
        """Looks after the files of the store, and returns how many bytes may be stored; None is no limit."""
        return self._store.look_after()

    def _whole(self, entry: Countdown | Referring) -> Countdown:
        return entry if isinstance(entry, Countdown) else entry.with_spec_of(self.holder(entry.spec_place))


def holder_in(entry: Entry) -> Countdown | None:
    """The timer whose spec an entry holds; None where it holds none."""
    if isinstance(entry, PlanEntry) and entry.part is PlanPart.SPEC:
        return unpack(entry.body)
    return entry if isinstance(entry, Countdown) else None


def _checked(entry: Entry) -> Countdown | Referring:
    """An entry that has to be an event. Raises `StoreError` for another."""
    if isinstance(entry, OtherEntry):
        raise StoreError(f"the entry {entry.place} is no event of a timer, though it was looked for as one")
    return entry
