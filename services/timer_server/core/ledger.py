"""The ledger: what is known of every timer, and the events that are still to be stored.

Every pending timer is held whole, as a record. Of an ended one only its place in the log is held, so that a million of
them cost little; whoever needs more gets a `Recall` and reads the log there.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from timer_protocol.messages import State, StateCounts
from timer_server.core.deadlines import Deadlines
from timer_server.core.id_index import IdIndex
from timer_server.core.model import Timer
from timer_server.core.records import Record, head, is_paused, pack, unpack


class Recall(NamedTuple):
    """A timer that has ended: its last version stands in the log at `seq`."""

    seq: int


class Changes(NamedTuple):
    """What one turn has to make durable: events to append, each as a timer and as its record, the `seq` of those that
    nobody needs any more, and the new horizon."""

    events: list[Timer]
    records: list[Record]
    obsolete: list[int]
    horizon: int


class Ledger:
    """All timers by id, by deadline and in order, and the log's end.

    `last_seq` is that of the last event. Up to `horizon` retention has passed: of the events there, only the last
    ones of pending timers are still in the log.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Record] = {}
        self._fired: dict[str, int] = {}
        self._cancelled: dict[str, int] = {}
        self._ended: dict[State, dict[str, int]] = {"fired": self._fired, "cancelled": self._cancelled}
        self._ids = IdIndex()
        self._deadlines = Deadlines(self._pending)
        self._paused = 0
        self._events: list[Timer] = []
        self._records: list[Record] = []
        self._obsolete: list[int] = []
        self.last_seq = 0
        self.horizon = 0

    def restore(self, events: Iterable[Timer], horizon: int, last_seq: int) -> None:
        """Takes up the log as it was stored, its events in order."""
        pending, fired, cancelled = self._pending, self._fired, self._cancelled
        running: dict[str, Record] = {}
        for timer in events:
            timer_id = timer.id
            if timer.version > 1:  # nothing precedes a first version: an id is free only once all of it is pruned
                for known in (pending, running, fired, cancelled):
                    known.pop(timer_id, None)
            if timer.has_ended:
                self._ended[timer.state][timer_id] = timer.seq
                continue
            pending[timer_id] = record = pack(timer)
            if timer.due_at_ms is not None:
                running[timer_id] = record
        self._ids.load([*pending, *fired, *cancelled])
        self._deadlines.load(running.values())
        self._paused = len(pending) - len(running)
        self.horizon, self.last_seq = horizon, last_seq

    def find(self, timer_id: str) -> Timer | Recall | None:
        """The timer with this id; None where there is none."""
        record = self._pending.get(timer_id)
        if record is not None:
            return unpack(record)
        seq = self._fired.get(timer_id) or self._cancelled.get(timer_id)
        return None if seq is None else self._at(seq)

    def page(self, after: str | None, prefix: str, state: State | None) -> Iterator[tuple[str, Timer | Recall | None]]:
        """All ids that sort after `after` and begin with `prefix`, with their timer where it is in `state`."""
        for timer_id in self._ids.after(after, prefix):
            record = self._pending.get(timer_id)
            if record is not None:
                is_wanted = state is None or state == ("paused" if is_paused(record) else "running")
                yield timer_id, unpack(record) if is_wanted else None
            elif state is None or state in self._ended:
                wanted = self._ended if state is None else {state: self._ended[state]}
                seq = next((ended[timer_id] for ended in wanted.values() if timer_id in ended), None)
                yield timer_id, None if seq is None else self._at(seq)
            else:
                yield timer_id, None

    def begin(self, timer: Timer) -> None:
        """Logs a timer that is new, and runs. Its `seq` is the one after the last."""
        record = self._log(timer)
        self._ids.add(timer.id)
        self._pending[timer.id] = record
        self._deadlines.add(record)

    def change(self, timer: Timer, before: Timer) -> None:
        """Logs the new version of a timer. Its `seq` is the one after the last."""
        record = self._log(timer)
        self._retire(before)
        if timer.has_ended:
            self._ended[timer.state][timer.id] = timer.seq
        else:
            self._pending[timer.id] = record
            if timer.due_at_ms is None:
                self._paused += 1
            else:
                self._deadlines.add(record)
        if before.state == "running":
            self._deadlines.leave()

    def pop_due(self, now_ms: int) -> Timer | None:
        """The running timer with the earliest deadline if that has come; the caller records its end."""
        return self._deadlines.pop_due(now_ms)

    def next_due_ms(self) -> int | None:
        """The earliest deadline; None where nothing runs."""
        return self._deadlines.next_due_ms()

    def counts(self) -> StateCounts:
        """How many timers are in each state."""
        return StateCounts(
            running=len(self._pending) - self._paused,
            paused=self._paused,
            fired=len(self._fired),
            cancelled=len(self._cancelled),
        )

    @property
    def pending_count(self) -> int:
        """Running and paused timers."""
        return len(self._pending)

    @property
    def ended_count(self) -> int:
        """Ended timers that are still remembered."""
        return sum(map(len, self._ended.values()))

    def take_changes(self) -> Changes:
        """What has happened since the last call, to be stored before anybody is told."""
        changes = Changes(self._events, self._records, self._obsolete, self.horizon)
        self._events, self._records, self._obsolete = [], [], []
        return changes

    def forget(self, event: Timer) -> None:
        """Moves the horizon over an event, the first one after it. What is last of a pending timer stays stored."""
        timer_id, seq = event.id, event.seq
        self.horizon = seq
        pending = self._pending.get(timer_id)
        if pending is not None and head(pending).seq == seq:
            return
        self._obsolete.append(seq)
        for ended in self._ended.values():
            if ended.get(timer_id) == seq:
                del ended[timer_id]
                self._ids.forget(timer_id)

    def _log(self, timer: Timer) -> Record:
        record = pack(timer)
        self.last_seq = timer.seq
        self._events.append(timer)
        self._records.append(record)
        return record

    def _retire(self, before: Timer) -> None:
        """Takes the version of a timer that is no longer the last out of the indexes."""
        if before.has_ended:
            del self._ended[before.state][before.id]
            return
        del self._pending[before.id]
        if before.due_at_ms is None:
            self._paused -= 1
        if before.seq <= self.horizon:
            self._obsolete.append(before.seq)

    def _at(self, seq: int) -> Timer | Recall:
        """The version of a timer at `seq`: at hand if this turn made it, otherwise to be read from the log."""
        position = seq - self.last_seq + len(self._events) - 1
        return self._events[position] if position >= 0 else Recall(seq)
