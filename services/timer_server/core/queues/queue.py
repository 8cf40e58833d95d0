"""A queue at work: what its workers ask, and what time does to it. Each decides on a change, applies it and logs it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_server.core.entries import Draft, Part
from timer_server.core.model import Countdown
from timer_server.core.queues.changes import (
    Acked,
    Change,
    Dropped,
    Expired,
    Filled,
    Nacked,
    RanOut,
    Renewed,
    Revived,
    Started,
    Taken,
)
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.ends import Columns
from timer_server.core.queues.snapshots import Snapshot, encode
from timer_server.core.queues.state import DEAD, QueueState

JITTER = 0.2
"""The part of a backoff that chance may add."""

ENTRY_BYTES = 40
"""What an entry takes in the log beside its body, about."""

SNAPSHOT_FLOOR_BYTES = 65_536
"""A snapshot is due once so many bytes more than it will take have been logged: it costs each change a constant."""

PIECE_COST = 50
"""The budget that one part of a snapshot takes: as many timers could be fired in that time."""

RUN_OUT_MOST = 1_000
"""Leases that run out, and delays that end, before a take."""

Log = Callable[[Draft], None]


class Settled(NamedTuple):
    """Numbers of receipts that have ended their leases, now or before, and of those that could not."""

    done: list[int]
    lost: list[int]


class Renewal(NamedTuple):
    """Numbers of receipts that are leased until a moment, and of those whose leases are over."""

    leased: list[int]
    until_ms: int
    lost: list[int]


class GivingBack(NamedTuple):
    """How deliveries are given back: to be retried, returned as if they had not been delivered, or given up."""

    then: Literal["retry", "return", "dead"] = "retry"
    delay_ms: int | None = None
    reason: str | None = None


class Queue:
    """A queue, with the snapshot that is being made of it and what it has logged since the last."""

    def __init__(self, state: QueueState, log: Log, chance: Callable[[], float]) -> None:
        self.state = state
        self._log = log
        self._chance = chance
        self._snapshot: Snapshot | None = None
        self._logged_bytes = 0
        self._snapshot_bytes = 0

    # Requests

    def knows_take(self, key: str, now_ns: int) -> bool:
        """Whether a take with this key is remembered."""
        return self.state.takes.find(key, now_ns // NS_PER_MS) is not None

    def has_ready(self, now_ns: int) -> bool:
        """Whether a take may find something now. It may be wrong in that, but never in that there is nothing."""
        state, now_ms = self.state, now_ns // NS_PER_MS
        if state.ready_count:
            return True
        due_ms = (state.leases.next_due_ms(), state.waiting.next_due_ms())
        return any(moment_ms is not None and moment_ms <= now_ms for moment_ms in due_ms)

    def take(self, most: int, most_bytes: int, key: str | None, now_ns: int, *, least: int = 1) -> list[Delivery]:
        """Leases the first ready ends, or those that the take with this key still leases."""
        now_ms, state = now_ns // NS_PER_MS, self.state
        if key is not None and (known := state.takes.find(key, now_ms)) is not None:
            return known
        self._run_out(now_ns, RUN_OUT_MOST)
        state.waiting.wake(now_ms, RUN_OUT_MOST)
        places = state.first_ready(most, most_bytes, least)
        if not places:
            return []
        until_ms, first = _round_up(now_ns) + state.settings.lease_ms, state.common.next_number
        self.do(Taken(places, first, until_ms, key), now_ns)
        numbers = range(first, first + len(places))
        return state.leases.at(numbers)

    def ack(self, numbers: Sequence[int], now_ns: int) -> Settled:
        """Ends leases, and is done with their ends."""
        ends, outcome = self._sorted_out(numbers, is_ack=True)
        if ends:
            self.do(Acked(ends, self.state.common.settled.generation), now_ns)
        return outcome

    def nack(self, numbers: Sequence[int], giving: GivingBack, now_ns: int) -> Settled:
        """Ends leases, and gives their ends back or up."""
        ends, outcome = self._sorted_out(numbers, is_ack=False)
        if ends:
            at_ms = _round_up(now_ns)
            due_ms = [self._ready_again_ms(number, giving, at_ms) for number in ends]
            generation = self.state.common.settled.generation
            self.do(
                Nacked(ends, due_ms, giving.then != "return", giving.reason, generation, self._next_death()), now_ns
            )
        return outcome

    def renew(self, numbers: Sequence[int], lease_ms: int | None, now_ns: int) -> Renewal:
        """Leases deliveries for longer."""
        state = self.state
        lease_ms = state.settings.lease_ms if lease_ms is None else lease_ms
        until_ms = _round_up(now_ns) + lease_ms
        numbers = list(dict.fromkeys(numbers))
        leased = [number for number in numbers if state.opened(number) is not None]
        if leased:
            self.do(Renewed(leased, until_ms, lease_ms), now_ns)
        return Renewal(leased, until_ms, _without(numbers, leased))

    def revive(self, numbers: Sequence[int], now_ns: int) -> Settled:
        """Makes dead letters ready again."""
        outcome = self._dead_ones(numbers)
        if outcome.done:
            self.do(Revived(outcome.done), now_ns)
        return outcome

    def drop(self, numbers: Sequence[int], now_ns: int) -> Settled:
        """Forgets dead letters."""
        outcome = self._dead_ones(numbers)
        if outcome.done:
            self.do(Dropped(outcome.done), now_ns)
        return outcome

    def fill(self, events: Iterable[Countdown], scanned_to: int, now_ns: int) -> None:
        """Takes up ends from before the queue was made, up to a place in the log, as far as there is room."""
        state, settings, filling = self.state, self.state.settings, self.state.filling
        assert filling is not None
        room, room_bytes = settings.max_backlog - state.backlog_count, settings.max_bytes - state.backlog_bytes
        ends, skipped = Columns([], [], []), 0
        for event in events:
            if event.state not in filling.states or not event.id.startswith(filling.prefix):
                continue
            size = len(event.payload)
            if room <= 0 or room_bytes < size:
                skipped += 1
                continue
            room, room_bytes = room - 1, room_bytes - size
            ends.add(event.place, event.at_ms, size)
        left = replace(filling, after=scanned_to) if scanned_to < filling.to else None
        self.do(Filled(ends, skipped, left), now_ns)

    def offer(self, end: Countdown) -> bool:
        """Takes up an end that has just happened, if it is one of those that this queue reads."""
        if end.state not in self.state.settings.states:
            return False
        self.state.offer(end.place, end.at_ms, len(end.payload))
        return True

    # Time

    def server_started(self, now_ns: int) -> None:
        """Gives time to the leases that are new since the start before."""
        if len(self.state.leases):
            self.do(Started(), now_ns)

    def next_due_ms(self) -> int | None:
        """When there is something to do: 0 is now. It may be earlier than that."""
        if self._snapshot is not None or self._is_snapshot_due():
            return 0
        return self.state.next_due_ms()

    def step(self, now_ns: int, budget: int) -> int:
        """Does what is due, and returns what it has taken of the budget."""
        left = budget - self._run_out(now_ns, budget)
        left -= self.state.waiting.wake(now_ns // NS_PER_MS, left)
        left -= self._expire(now_ns, left)
        left -= self._drop_dead(now_ns, left)
        while left > 0 and (self._snapshot is not None or self._is_snapshot_due()):
            self._go_on_with_snapshot(now_ns)
            left -= PIECE_COST
        return budget - left

    def do(self, change: Change, now_ns: int) -> None:
        """Applies a change, and logs it."""
        at_ms, body = _round_up(now_ns), encode(change)
        self.state.apply(change, at_ms)
        self.note_logged(Part.CHANGE, len(body), is_piece=False)
        self._log(Draft(at_ms, self.state.name, Part.CHANGE, body))

    def let_go(self) -> None:
        """Releases all ends: the queue is deleted."""
        held = self.state.common.held
        for delivery in self.state.deliveries():
            held.release(delivery.place)
        for ends in (self.state.new, self.state.later):
            for columns in ends.frozen():
                held.release_new(columns.places)

    def note_logged(self, part: Part, body_bytes: int, *, is_piece: bool) -> None:
        """Counts the bytes of the last snapshot, and what was logged since it was begun."""
        size = body_bytes + ENTRY_BYTES
        if not is_piece:
            self._logged_bytes += size
        elif part in (Part.FIRST, Part.WHOLE):
            self._logged_bytes, self._snapshot_bytes = 0, size
        else:
            self._snapshot_bytes += size

    # Parts

    def _sorted_out(self, numbers: Sequence[int], *, is_ack: bool) -> tuple[list[int], Settled]:
        """The numbers whose leases are to be ended, and what becomes of all."""
        state = self.state
        if len(set(numbers)) < len(numbers):
            numbers = list(dict.fromkeys(numbers))
        ends = state.leases.among(numbers)
        if len(ends) == len(numbers):
            return ends, Settled(ends, [])
        opened = [number for number in numbers if state.opened(number) is not None]
        known = state.common.settled
        done = [n for n in numbers if state.opened(n) is not None or known.is_known(state.name, n, is_ack)]
        return opened, Settled(done, _without(numbers, done))

    def _dead_ones(self, numbers: Sequence[int]) -> Settled:
        numbers = list(dict.fromkeys(numbers))
        dead = [number for number in numbers if number in self.state.dead]
        return Settled(dead, _without(numbers, dead))

    def _ready_again_ms(self, number: int, giving: GivingBack, at_ms: int) -> int:
        """When a delivery that is given back is ready again: see `Nacked`."""
        delivery, settings = self.state.opened(number), self.state.settings
        assert delivery is not None
        is_retry = giving.then == "retry"
        if giving.then == "dead" or (is_retry and 0 < settings.max_deliveries <= delivery.attempts):
            return DEAD
        delay_ms = giving.delay_ms
        if delay_ms is None:
            delay_ms = self._backoff_ms(delivery.attempts) if is_retry else 0
        return at_ms + delay_ms if delay_ms else 0

    def _backoff_ms(self, attempts: int) -> int:
        backoff_ms = self.state.settings.backoff_ms
        delay_ms = backoff_ms[min(max(attempts, 1), len(backoff_ms)) - 1]
        return delay_ms + int(delay_ms * JITTER * self._chance())

    def _run_out(self, now_ns: int, most: int) -> int:
        numbers = self.state.leases.run_out(now_ns // NS_PER_MS, most)
        if numbers:
            self.do(RanOut(numbers, self._next_death()), now_ns)
        return len(numbers)

    def _expire(self, now_ns: int, most: int) -> int:
        """Gives up the oldest of those that wait, where they are too many or too old."""
        places = self.state.overdue(now_ns // NS_PER_MS, most)
        if places:
            self.do(Expired(places, self.state.common.next_number, self._next_death()), now_ns)
        return len(places)

    def _drop_dead(self, now_ns: int, most: int) -> int:
        numbers = self.state.outlived(now_ns // NS_PER_MS, most)
        if numbers:
            self.do(Dropped(numbers), now_ns)
        return len(numbers)

    def _next_death(self) -> int:
        return self.state.dead.last_death + 1

    def _is_snapshot_due(self) -> bool:
        return self._logged_bytes > self._snapshot_bytes + SNAPSHOT_FLOOR_BYTES

    def _go_on_with_snapshot(self, now_ns: int) -> None:
        """Logs one part of the snapshot, which it begins if there is none."""
        if self._snapshot is None:
            self._snapshot = Snapshot(self.state)
        part, body = self._snapshot.take()
        if self._snapshot.is_complete:
            self._snapshot = None
        self.note_logged(part, len(body), is_piece=True)
        self._log(Draft(_round_up(now_ns), self.state.name, part, body))


def _without(numbers: Sequence[int], found: Sequence[int]) -> list[int]:
    known = set(found)
    return [number for number in numbers if number not in known]


def _round_up(now_ns: int) -> int:
    return -(-now_ns // NS_PER_MS)
