"""Restoring: a ledger is filled from its log, part by part, so that a loop may do other things in between."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from timer_protocol.messages import State
from timer_server.core.entries import OtherEntry, PlanEntry, PlanPart, QueueEntry, ServerStarted
from timer_server.core.first_starts import FirstStarts
from timer_server.core.held_specs import HeldSpecs
from timer_server.core.model import ENDED_KINDS, STARTED, Countdown, Entry, Referring
from timer_server.core.other_entries import OtherEntries
from timer_server.core.plans.registry import Registry
from timer_server.core.readers import EndReaders
from timer_server.core.records import Record, pack, unpack
from timer_server.core.traces import PendingTraces

HolderAt = Callable[[int], Countdown]
"""Finds the entry at a place that holds the spec of others."""


class Filled(NamedTuple):
    """The parts of a ledger that take up entries while it is filled. None of them holds anything yet."""

    pending: dict[str, Record]
    traces: PendingTraces
    ended: dict[State, dict[str, int]]
    superseded: set[int]
    held_specs: HeldSpecs
    other_entries: OtherEntries
    readers: EndReaders
    plans: Registry


class Found(NamedTuple):
    """What the ledger learns at the end: the records of running timers by the clock that they go by, and the places of
    the ends that retention has passed."""

    running: Collection[Record]
    wall_bound: Collection[Record]
    passed: Sequence[int]
    paused: int


class SpecsNeeded:
    """Looks at entries before a `Restoring` takes them, and tells the places of the specs that it will ask for.

    That is of few: mostly the version before is pending, and has the spec.
    """

    def __init__(self, pending: Mapping[str, Record], is_read: bool) -> None:
        """`pending` are the pending timers before the first entry. `is_read` tells whether readers take up ends."""
        self.places: set[int] = set()
        self._pending = pending
        self._is_read = is_read
        self._stands: dict[str, bool] = {}
        """Whether a timer is pending after the entries so far, by id."""

    def look_at(self, entries: Sequence[Entry]) -> None:
        """Takes note of the next entries."""
        stands, pending = self._stands, self._pending
        if isinstance(entries, FirstStarts):
            stands.update(dict.fromkeys(entries.ids, True))
            return
        for entry in entries:
            if isinstance(entry, OtherEntry):
                self._is_read = True
                continue
            has_ended = entry.kind_number in ENDED_KINDS
            if (
                isinstance(entry, Referring)
                and (self._is_read or not has_ended)
                and not stands.get(entry.id, entry.id in pending)
            ):
                self.places.add(entry.spec_place)
            stands[entry.id] = not has_ended


class Restoring:
    """One log, of which all entries are taken in order, and then `finish` is called. Until then nothing may be asked.

    A first start that comes in columns takes a quarter of what any other entry does.
    """

    def __init__(self, filled: Filled, horizon: int, holder_at: HolderAt, then: Callable[[Found], None]) -> None:
        """`horizon` is that of the whole log. `then` is told what was found when all is restored."""
        self._filled = filled
        self._horizon = horizon
        self._holder_at = holder_at
        self._then = then
        self._paused: set[str] = set()
        """The pending timers that run by no clock. Those in neither of the two run on the timeline."""
        self._wall_bound: dict[str, Record] = {}
        self._passed: list[int] = []
        self._is_read = False
        """Whether readers have an entry so far, and so may need the ends that come."""

    def specs_needed(self) -> "SpecsNeeded":
        """What tells which places `holder_at` will be asked for when the next entries are taken."""
        return SpecsNeeded(self._filled.pending, self._is_read)

    def take(self, entries: Sequence[Entry]) -> None:
        """Takes up entries, which come after those before. Raises what `holder_at` does."""
        if isinstance(entries, FirstStarts):
            # A dict is taken in with fewer waits for memory than pairs are, the more the more timers there are.
            self._filled.pending.update(dict(zip(entries.ids, entries.records, strict=True)))
            return
        pending, horizon = self._filled.pending, self._horizon
        held_specs, readers = self._filled.held_specs, self._filled.readers
        for entry in entries:
            if type(entry) is Countdown and entry.revision is None and not entry.spec_place:  # most are: a first start
                pending[entry.id] = pack(entry)
                continue
            if isinstance(entry, OtherEntry):
                self._take_other(entry)
                continue
            timer_id, before, is_known = entry.id, None, False
            if entry.version > 1:  # a first version has none before it: an id is free only once all are pruned
                before = pending.pop(timer_id, None)
                is_known = before is not None or self._take_out_end(entry)
                if self._paused or self._wall_bound:
                    self._paused.discard(timer_id)
                    self._wall_bound.pop(timer_id, None)
            if entry.spec_place and not is_known and not (entry.has_ended and entry.place <= horizon):
                held_specs.begin_timer(entry.spec_place)
            if entry.kind_number in ENDED_KINDS:
                self._take_end(entry)
                if self._is_read:
                    readers.restore(self._whole(entry, before))
                continue
            self._take_pending(entry, before)

    def finish(self) -> None:
        """Ends the restore: all entries were taken."""
        pending, paused, wall_bound = self._filled.pending, self._paused, self._wall_bound
        running: Collection[Record] = pending.values()
        if paused or wall_bound:
            others = paused | wall_bound.keys()
            running = [record for timer_id, record in pending.items() if timer_id not in others]
        self._then(Found(running, wall_bound.values(), self._passed, len(paused)))

    def _take_pending(self, entry: Countdown | Referring, before: Record | None) -> None:
        """Takes up a timer that is still to end."""
        if entry.spec_place:
            self._filled.held_specs.restore(entry.spec_place)
        timer = self._filled.traces.taken_from(self._whole(entry, before))
        self._filled.pending[entry.id] = record = pack(timer)
        if entry.due_at_ms is None:
            self._paused.add(entry.id)
        elif entry.is_wall_bound:
            self._wall_bound[entry.id] = record

    def _take_end(self, entry: Countdown | Referring) -> None:
        """Takes up an end. One that retention has passed is in the log only because it was held: its timer may be gone,
        or is known by a later event."""
        is_passed = entry.place <= self._horizon
        if self._filled.traces:
            self._filled.traces.pop(entry.id, None)
        if is_passed:
            self._passed.append(entry.place)
        else:
            self._filled.ended[entry.state][entry.id] = entry.place
        if entry.spec_place:
            self._filled.held_specs.restore(entry.spec_place, entry.place if is_passed else None)

    def _take_out_end(self, entry: Countdown | Referring) -> bool:
        """Takes out the end of a timer that runs again, or whose id another has by now. Whether it runs again.

        A pending timer has none.
        """
        runs_again = False
        for ended in self._filled.ended.values():
            place = ended.pop(entry.id, None)
            if place is not None and entry.kind_number == STARTED:
                self._filled.superseded.add(place)
            runs_again = runs_again or (place is not None and entry.kind_number != STARTED)
        return runs_again

    def _take_other(self, entry: QueueEntry | ServerStarted | PlanEntry) -> None:
        """Takes up an entry that is no event."""
        filled = self._filled
        if isinstance(entry, PlanEntry):
            if entry.part is PlanPart.SPEC:
                filled.held_specs.share(entry.place, entry.body)
            else:
                filled.plans.restore(entry)
            return
        filled.other_entries.note(entry)
        if entry.place <= self._horizon:
            filled.other_entries.pass_by(entry)
        filled.readers.restore(entry)
        self._is_read = True

    def _whole(self, entry: Countdown | Referring, before: Record | None) -> Countdown:
        """The event with its spec, which the version before it has; otherwise another entry holds it."""
        if isinstance(entry, Countdown):
            return entry
        return entry.with_spec_of(unpack(before) if before is not None else self._holder_at(entry.spec_place))
