"""The ledger: every timer, and the entries that are still to be stored.

A pending timer is held whole, as a record. For an ended one only the place of its last event is held, so that a million
of them cost little; a caller that needs more gets a `Recall` and reads the log there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from msgspec import Struct

from timer_protocol.messages import State, StateCounts
from timer_server.core.bulk_ends import Ends
from timer_server.core.bulk_versions import BulkVersions
from timer_server.core.deadlines import Deadlines
from timer_server.core.entries import OtherEntry, PlanEntry, PlanPart, QueueEntry, ServerStarted
from timer_server.core.held_specs import HeldSpecs
from timer_server.core.id_index import IdIndex
from timer_server.core.model import FIRED, STARTED, Countdown, Entry, Recall, Referring, Traced, as_logged
from timer_server.core.other_entries import OtherEntries
from timer_server.core.places import Places
from timer_server.core.plans.registry import Registry
from timer_server.core.readers import EndReaders
from timer_server.core.records import Record, Row, head, pack, unpack, unpack_rows
from timer_server.core.restoring import Filled, Found, HolderAt, Restoring
from timer_server.core.timer_order import TimerOrder
from timer_server.core.traces import PendingTraces
from timer_server.core.turn_entries import Packed, TurnEntries, made

_REMOVED_MOST = 250
"""Entries that one turn removes because readers or queues need them no more. Each may stand in a block of its own."""


class Changes(Struct, frozen=True, gc=False):
    """What one turn has to make durable in a log.

    `entries` are new, and `records` are what is stored of them. `obsolete` are the places of entries to remove.
    `horizon` is the last place that retention has passed, `horizon_seq` the `seq` there.
    """

    entries: TurnEntries
    records: list[Record]
    obsolete: list[int]
    horizon: int
    horizon_seq: int

    @property
    def events(self) -> Sequence[Countdown]:
        """The events of timers among the entries."""
        return self.entries.events


class LogEnds(Struct, frozen=True, gc=False, array_like=True):
    """The horizon, after which a log is complete, and its end: see `Ledger`."""

    horizon: int = 0
    horizon_seq: int = 0
    last_place: int = 0
    last_seq: int = 0


class Ledger:
    """All timers by id, by deadline and in the order of their ids, and the ends of the log.

    `last_place` is the place of the last entry, `others` the number of entries that are not events of timers. Retention
    has passed the entries up to the place `horizon`: of those, the log still holds the last events of pending timers,
    ends that a reader holds, the specs that other entries refer to, and what queues need of their own entries.
    """

    def __init__(self, readers: EndReaders, plans: Registry, places: Places) -> None:
        self._readers = readers
        self._plans = plans
        self.places = places
        self._other_entries = OtherEntries()
        self._held_specs = HeldSpecs()
        self._released: deque[int] = deque()
        """Ends behind the horizon that no reader holds any more."""
        self.has_unneeded = False
        """Whether there are such ends, or obsolete entries of queues behind the horizon. Each turn removes some."""
        self._superseded: set[int] = set()
        """The last events of timers whose ids others have now."""
        self._pending: dict[str, Record] = {}
        self._traces = PendingTraces()
        self._fired: dict[str, int] = {}
        self._cancelled: dict[str, int] = {}
        self._ended: dict[State, dict[str, int]] = {"fired": self._fired, "cancelled": self._cancelled}
        self._ids = IdIndex()
        self._deadlines = Deadlines(self._pending)
        self._wall_deadlines = Deadlines(self._pending)
        self.order = TimerOrder(
            self._pending, self._ended, self._ids, self._deadlines, self._wall_deadlines, self._ended_at
        )
        self._paused = 0
        self._entries: list[Any] = []
        """New entries, each a `NewEntry`, or its record where it was made in bulk."""
        self._has_others = False
        self._packed: list[Packed] = []
        self._records: list[Record] = []
        self._obsolete: list[int] = []
        self.last_place = 0
        self.others = 0
        self.horizon = 0
        self.horizon_seq = 0
        places.join(self)

    @property
    def last_seq(self) -> int:
        """The `seq` of the last event."""
        return self.last_place - self.others

    def restoring(self, ends: LogEnds, holder_at: HolderAt, then: Callable[[], None]) -> Restoring:
        """Begins to load the log that has these ends. `holder_at` finds an entry that holds the spec of others.

        Its timers take no places meanwhile. `then` is called once all is loaded.
        """
        self.places.leave(self)
        filled = Filled(
            self._pending,
            self._traces,
            self._ended,
            self._superseded,
            self._held_specs,
            self._other_entries,
            self._readers,
            self._plans,
        )

        def restored(found: Found) -> None:
            self._restored(found, ends)
            then()

        return Restoring(filled, ends.horizon, holder_at, restored)

    def find(self, timer_id: str) -> Countdown | Recall | None:
        """The timer with this id; None where there is none."""
        record = self._pending.get(timer_id)
        if record is not None:
            return unpack(record)
        place = self._fired.get(timer_id)
        if place is None:
            place = self._cancelled.get(timer_id)
        return None if place is None else self._ended_at(timer_id, place)

    def begin(self, timer: Countdown, trace: bytes = b"") -> None:
        """Logs a new timer, which runs, and its trace if there is one. Its place has to be the one after the last."""
        if trace:
            self._traces[timer.id] = trace
        record = self._log(timer)
        self._ids.add(timer.id)
        self._pending[timer.id] = record
        places = self.places
        places.pending += 1
        if places.shares is not None:
            places.shares.count(timer.id, 1)
        (self._deadlines if timer.revision is None else self._deadlines_of(timer)).add(record)

    def begin_all(self, timer_ids: Sequence[str], records: Sequence[Record]) -> None:
        """Logs new timers, which run on the timeline, by their records. Their places have to follow the last one."""
        self.last_place += len(records)
        self._entries += records
        self._packed.append(Packed(len(self._entries) - len(records), len(records), STARTED))
        self._records += records
        self._ids.add_all(timer_ids)
        self._pending.update(zip(timer_ids, records, strict=True))
        self.places.pending += len(records)
        self._deadlines.add_all(records)

    def begin_anew(self, timer: Countdown, before: Countdown) -> None:
        """Logs a new timer, which runs, under the id of one that has ended. Its place is the one after the last."""
        self._superseded.add(before.place)
        self._take_up(timer, before)

    def change(self, timer: Countdown, before: Countdown) -> None:
        """Logs the new version of a timer. Its place has to be the one after the last."""
        self._take_up(timer, before)
        if before.state == "running":
            self._deadlines_of(before).leave()

    def end_next(self, now_ms: int, ended: Callable[[Countdown], Countdown], by_wall: bool = False) -> Countdown | None:
        """Ends the running timer with the earliest deadline, if that has come; None where none is due.

        It is the earliest on the timeline or, `by_wall`, of those that are bound to the wall clock, which `now_ms` is
        by then. `ended` makes the ended version of it, which is logged.
        """
        before = (self._wall_deadlines if by_wall else self._deadlines).pop_due(now_ms)
        if before is None:
            return None
        timer = ended(before)
        self._take_up(timer, before)
        return timer

    def take_due(self, now_ms: int, most: int, mark: str) -> list[Row]:
        """Takes timers that are due on the timeline out of their deadlines, the earliest first: they are to end now, by
        `end_all`. They are at most so many, and end before the first one that has `mark` in its id.
        """
        return self._deadlines.take_due(now_ms, most, mark)

    def rows_of(self, timer_ids: Sequence[str], most_bytes: int) -> list[Row] | None:
        """What the records of some timers have; None where not all are pending, or these have more bytes together."""
        records = [*map(self._pending.get, timer_ids)]
        if None in records or sum(map(len, records)) > most_bytes:  # type: ignore[arg-type]  # none is None
            return None
        return unpack_rows(records)  # type: ignore[arg-type]  # nor here

    def change_all(self, versions: BulkVersions) -> None:
        """Logs new versions of pending timers, which stay pending, and of which none is bound to the wall clock. Their
        places have to follow the last one.
        """
        self._log_all(versions)
        self._pending.update(zip(versions.before.ids, versions.records, strict=True))
        dues_ms, count = versions.times.dues_ms, len(versions)
        paused, paused_before = dues_ms.count(None), versions.before.dues_ms.count(None)
        self._paused += paused - paused_before
        if paused < count:
            running = zip(versions.records, dues_ms, strict=True)
            self._deadlines.add_all([record for record, due_ms in running if due_ms is not None])
        self._deadlines.leave(count - paused_before)

    def end_all(self, ends: Ends) -> None:
        """Logs ends of pending timers, of which none is bound to the wall clock. Their places have to follow the last
        one. Those that have fired were taken by `take_due`; others leave the deadlines here.
        """
        self._log_all(ends)
        ids = ends.before.ids
        for timer_id in ids:
            del self._pending[timer_id]
        places = self.places
        places.pending -= len(ends)
        places.ended += len(ends)
        if places.shares is not None:
            for timer_id in ids:
                places.shares.count(timer_id, -1)
        self._ended[ends.state].update(zip(ids, ends.places, strict=True))
        if ends.kind_number != FIRED:
            paused = ends.before.dues_ms.count(None)
            self._paused -= paused
            self._deadlines.leave(len(ends) - paused)

    def _log_all(self, versions: BulkVersions) -> None:
        """Logs versions of timers, notes which of those before are needed no more, and offers ends to readers, if there
        are any."""
        self.last_place += len(versions)
        before, may_be_read = versions.before, versions.have_ended and self._readers.count
        if min(before.places) <= self.horizon:
            both = zip(before.places, before.spec_places, strict=True)
            self._obsolete += [place for place, spec in both if place <= self.horizon and place != spec]
        if not (may_be_read or self._traces or any(before.spec_places)):
            self._packed.append(Packed(len(self._entries), len(versions), versions.kind_number, versions))
            self._entries += versions.records
            self._records += versions.records
            return
        events = [self._traces.joined_to(timer) for timer in versions]
        self._entries += events
        self._records += [pack(as_logged(event)) for event in events]
        if versions.have_ended:
            for event in events:
                self._traces.pop(event.id, None)
                self._readers.offer(event)

    def next_due_ms(self, by_wall: bool = False) -> int | None:
        """The earliest deadline on the timeline or, `by_wall`, by the wall clock; None where there is none."""
        return (self._wall_deadlines if by_wall else self._deadlines).next_due_ms()

    def wall_bound(self) -> Iterator[Countdown]:
        """The running timers that are bound to the wall clock now, soonest first, and as they are when they come up."""
        return self._wall_deadlines.living()

    def counts(self) -> StateCounts:
        """How many timers are in each state."""
        return StateCounts(len(self._pending) - self._paused, self._paused, len(self._fired), len(self._cancelled))

    def knows_any(self, timer_ids: Set[str]) -> bool:
        """Whether there is a timer with one of these ids, pending or ended."""
        known: tuple[dict[str, Any], ...] = (self._pending, self._fired, self._cancelled)
        return not all(timers.keys().isdisjoint(timer_ids) for timers in known)

    def is_pending(self, timer_id: str) -> bool:
        """Whether there is a running or paused timer with this id."""
        return timer_id in self._pending

    def pending_count(self) -> int:
        """Running and paused timers."""
        return len(self._pending)

    def kept_count(self) -> int:
        """Places that plans keep."""
        return self._plans.kept_count()

    def taken_below(self, prefix: str) -> int:
        """Pending timers and kept places whose ids begin so."""
        return sum(map(self._pending.__contains__, self._ids.below(prefix))) + self._plans.kept_below(prefix)

    @property
    def ended_count(self) -> int:
        """Ended timers that retention has not removed."""
        return len(self._fired) + len(self._cancelled)

    @property
    def forgets_early(self) -> bool:
        """Whether ended timers are to be forgotten before their time, as there are too many."""
        places = self.places
        return places.ended > places.maximum and places.forgets_early(self)

    def at(self, place: int) -> Countdown | None:
        """The event at a place, if this turn made it."""
        position = place - self.last_place + len(self._entries) - 1
        entry = made(self._entries[position]) if position >= 0 else None
        assert entry is None or isinstance(entry, Countdown)
        return entry

    def take_changes(self) -> Changes:
        """The changes since the last call. Nobody is told of them before they are durable."""
        if self._readers.has_news:
            self.take_news()
        if self.has_unneeded:
            self._remove_unneeded()
        entries = TurnEntries(self._entries, self._has_others, self._packed)
        changes = Changes(entries, self._records, self._obsolete, self.horizon, self.horizon_seq)
        self._entries, self._records, self._obsolete, self._has_others, self._packed = [], [], [], False, []
        return changes

    def take_news(self) -> None:
        """Logs what readers have done since the last call, and notes which ends they hold no more.

        An end that they are offered has to come behind what they have done before it, and they have to be asked before
        the horizon moves.
        """
        for draft in self._readers.take_drafts():
            at_ms = max(draft.at_ms, made(self._entries[-1]).at_ms) if self._entries else draft.at_ms
            place, others = self.last_place + 1, self.others + 1
            self._log_other(QueueEntry(None, place, others, at_ms, draft.queue, draft.part, draft.body))
        self._released.extend(place for place in self._readers.take_released() if place <= self.horizon)
        self._look_for_unneeded()

    def start_server(self, at_ms: int) -> None:
        """Logs a start of the server, if there are queues."""
        if self._other_entries.has_queues:
            self._log_other(ServerStarted(None, self.last_place + 1, self.others + 1, at_ms))
            self._readers.server_started(at_ms)

    def forget(self, entry: Entry) -> None:
        """Moves the horizon over the first entry after it.

        The last event of a pending timer stays stored, and so does an end that is held. A spec that later entries refer
        to stays until the last of them goes.
        """
        place = entry.place
        self.horizon, self.horizon_seq = place, entry.seq
        if isinstance(entry, PlanEntry):
            if not (self._plans.needs(entry) or self._held_specs.is_shared(place)):
                self._obsolete.append(place)
            return
        if isinstance(entry, OtherEntry):
            self._other_entries.pass_by(entry)
            self._look_for_unneeded()
            return
        timer_id = entry.id
        if entry.holds_spec:
            return
        pending = self._pending.get(timer_id)
        if pending is not None and head(pending).place == place:
            return
        if not (entry.has_ended and self._readers.is_held(place)):
            self._obsolete.append(place)
        elif entry.spec_place:
            self._held_specs.hold(place, entry.spec_place)
        if self._is_forgotten_with(entry) and entry.spec_place and self._held_specs.forget_timer(entry.spec_place):
            self._obsolete.append(entry.spec_place)

    def _is_forgotten_with(self, entry: Countdown | Referring) -> bool:
        """Whether a timer goes with this event: an ended one is forgotten, or another has its id by now."""
        if entry.place in self._superseded:
            self._superseded.remove(entry.place)
            return True
        for ended in self._ended.values():
            if ended.get(entry.id) == entry.place:
                del ended[entry.id]
                self.places.ended -= 1
                self._ids.forget(entry.id)
                return True
        return False

    def _take_up(self, timer: Countdown, before: Countdown) -> None:
        """Logs the new version of a timer, and puts it in place of the one before."""
        if type(timer) is Traced:  # it was read from the log
            timer = self._traces.taken_from(timer)
        record = self._log(timer)
        self._retire(before)
        if timer.has_ended:
            if self._traces:  # the end has it
                self._traces.pop(timer.id, None)
            self._ended[timer.state][timer.id] = timer.place
            self.places.ended += 1
            self._readers.offer(timer)
            return
        self._pending[timer.id] = record
        places = self.places
        places.pending += 1
        if places.shares is not None:
            places.shares.count(timer.id, 1)
        if timer.due_at_ms is None:
            self._paused += 1
        else:
            self._deadlines_of(timer).add(record)

    def _ended_at(self, timer_id: str, place: int) -> Countdown | Recall:
        """An ended timer, whose last event is at a place."""
        return self.at(place) or Recall(timer_id, place)

    def _deadlines_of(self, timer: Countdown) -> Deadlines:
        return self._wall_deadlines if timer.is_wall_bound else self._deadlines

    def _log(self, timer: Countdown) -> Record:
        logged = record = pack(timer)
        self.last_place = timer.place
        if timer.spec_place or self._traces:  # few are not logged as they are in memory
            timer = self._traces.joined_to(timer)
            logged = pack(as_logged(timer))
        self._entries.append(timer)
        self._records.append(logged)
        return record

    def _retire(self, before: Countdown) -> None:
        """Removes the version of a timer that is no longer the last."""
        places = self.places
        if before.has_ended:
            del self._ended[before.state][before.id]
            places.ended -= 1
            return
        del self._pending[before.id]
        places.pending -= 1
        if places.shares is not None:
            places.shares.count(before.id, -1)
        if before.due_at_ms is None:
            self._paused -= 1
        if before.place <= self.horizon and not before.holds_spec:
            self._obsolete.append(before.place)

    def log_plan(self, plan: str, part: PlanPart, body: bytes, replaced: Sequence[int], at_ms: int) -> int:
        """Logs an entry of a plan and returns its place. Those at the places `replaced` are needed no more."""
        place = self.last_place + 1
        self._append_other(PlanEntry(None, place, self.others + 1, at_ms, plan, part, body))
        self._obsolete.extend(before for before in replaced if 0 < before <= self.horizon)
        return place

    def log_spec(self, plan: str, spec: Record, at_ms: int) -> int:
        """The place of a large spec for one more timer of a plan. It is logged, unless another timer has it."""
        place = self._held_specs.find_shared(spec)
        if place is None:
            place = self.log_plan(plan, PlanPart.SPEC, spec, (), at_ms)
            self._held_specs.share(place, spec)
        self._held_specs.begin_timer(place)
        return place

    def _log_other(self, entry: QueueEntry | ServerStarted) -> None:
        self._append_other(entry)
        self._other_entries.note(entry)

    def _append_other(self, entry: QueueEntry | ServerStarted | PlanEntry) -> None:
        self.last_place, self.others = entry.place, entry.others
        self._has_others = True
        self._entries.append(entry)
        self._records.append(pack(entry))

    def _restored(self, found: Found, ends: LogEnds) -> None:
        """Takes note of all that a log had. Of the ends that retention has passed, readers may hold some no more."""
        self._ids.load([*self._pending, *self._fired, *self._cancelled])
        self._deadlines.load(found.running)
        self._wall_deadlines.load(found.wall_bound)
        self._paused = found.paused
        self.horizon, self.horizon_seq = ends.horizon, ends.horizon_seq
        self.last_place, self.others = ends.last_place, ends.last_place - ends.last_seq
        self._held_specs.restored()
        self._readers.restored()
        self._released.extend(place for place in found.passed if not self._readers.is_held(place))
        self._look_for_unneeded()
        self._plans.restored()
        self.places.join(self)

    def _remove_unneeded(self) -> None:
        """Removes some of the entries behind the horizon that readers and queues need no more."""
        unneeded = self._other_entries.take_obsolete(_REMOVED_MOST)
        while self._released and len(unneeded) < _REMOVED_MOST:
            unneeded.append(self._released.popleft())
            spec_place = self._held_specs.let_go(unneeded[-1])
            if spec_place is not None:
                unneeded.append(spec_place)
        self._obsolete += unneeded
        self._look_for_unneeded()

    def _look_for_unneeded(self) -> None:
        self.has_unneeded = bool(self._released) or self._other_entries.has_obsolete
