"""A queue: all the ends that it holds, and how each change moves them.

A change is applied in the same way when it happens and when it is read from the log. It may name ends that are not here
any more, if it was read: those are passed over.
"""

from collections.abc import Callable, Iterator
from heapq import merge
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from timer_server.core.queues.changes import (
    Acked,
    Begin,
    Change,
    Dropped,
    Expired,
    Filled,
    Filling,
    Nacked,
    Put,
    RanOut,
    Renewed,
    Revived,
    Settings,
    Started,
    Taken,
)
from timer_server.core.queues.dead_letters import DeadLetters
from timer_server.core.queues.deliveries import EXPIRED, RAN_OUT, Delivery
from timer_server.core.queues.ends import Ends
from timer_server.core.queues.held import HeldEnds
from timer_server.core.queues.leases import Leases, Take, Takes
from timer_server.core.queues.rules import Rule, Standing
from timer_server.core.queues.settled import SettledReceipts
from timer_server.core.queues.waiting import Waiting

GRACE_MS = 15_000
"""What a new lease has left at least after a start of the server."""

DEAD = -1
"""Stands for the moment at which a delivery is ready again, where it never is."""


class Common(Struct, gc=False):
    """What the queues of a log have in common. Each lease gets the next of the rising numbers."""

    held: HeldEnds
    settled: SettledReceipts
    next_number: int = 1


class QueueState:
    """The ends that a queue holds: new ones, which were never delivered; leased, waiting and dead ones.

    While the queue takes up what was there before it, ends that happen come `later`.
    """

    def __init__(self, name: str, settings: Settings, common: Common) -> None:
        self.name = name
        self.settings = settings
        self.version = 1
        self.made = 0
        self.begin: Begin = "now"
        self.common = common
        self.new = Ends()
        self.later = Ends()
        self.leases = Leases()
        self.takes = Takes(self.leases)
        self.waiting = Waiting()
        self.dead = DeadLetters()
        self.dropped = 0
        self.filling: Filling | None = None

    @property
    def standing(self) -> Standing:
        """How new its rule is."""
        return Standing(self.made, self.version)

    @property
    def rule(self) -> Rule:
        """What it is in every log."""
        return Rule(self.name, self.made, self.version, self.settings, self.begin)

    # What it holds

    @property
    def ready_count(self) -> int:
        """Ends that can be taken, now or once those before them are taken up."""
        return len(self.new) + len(self.later) + self.waiting.ready_count

    @property
    def backlog_count(self) -> int:
        """Ready and delayed ends."""
        return len(self.new) + len(self.later) + len(self.waiting)

    @property
    def backlog_bytes(self) -> int:
        """Their payloads."""
        return self.new.payload_bytes + self.later.payload_bytes + self.waiting.payload_bytes

    def oldest_ready_ms(self) -> int | None:
        """When the first ready end was; None where none is ready."""
        first = self.new.first() or self.later.first()
        moments_ms = [self.waiting.at(place).ended_at_ms for place in self.waiting.first_ready(1)]
        if first is not None:
            moments_ms.append(first[1])
        return min(moments_ms, default=None)

    def offer(self, place: int, ended_at_ms: int, payload_bytes: int) -> None:
        """Takes up an end that has just happened."""
        (self.new if self.filling is None else self.later).append(place, ended_at_ms, payload_bytes)

    def next_new(self, place: int) -> int | None:
        """The first place from this one on of an end that was never delivered."""
        following = self.new.next_from(place), self.later.next_from(place)
        return min((found for found in following if found is not None), default=None)

    def opened(self, number: int) -> Delivery | None:
        """The delivery that the receipt with this number may still settle."""
        return self.leases.get(number) or self.waiting.opened(number) or self.dead.opened(number)

    def deliveries(self) -> Iterator[Delivery]:
        """All but the new ends."""
        yield from self.leases
        yield from self.waiting
        yield from self.dead

    def first_ready(self, most: int, most_bytes: int, least: int = 1) -> list[int]:
        """The places of the first ready ends: up to `most`, and up to so many bytes of payload but for `least`."""
        new = self.new.peek(most)
        found = list(zip(new.places, new.sizes, strict=True))
        if self.waiting.ready_count:
            again = [(place, self.waiting.at(place).payload_bytes) for place in self.waiting.first_ready(most)]
            found = sorted(found + again)[:most]
        elif sum(new.sizes) <= most_bytes:
            return new.places
        places: list[int] = []
        for place, size in found:
            most_bytes -= size
            if most_bytes < 0 and len(places) >= least:
                break
            places.append(place)
        return places

    # Bounds

    @property
    def is_over(self) -> bool:
        """Whether more waits than may."""
        return self.backlog_count > self.settings.max_backlog or self.backlog_bytes > self.settings.max_bytes

    @property
    def fullness(self) -> float:
        """How much of its backlog is taken, in ends or in bytes: 1 is all of it."""
        settings = self.settings
        return max(self.backlog_count / settings.max_backlog, self.backlog_bytes / settings.max_bytes)

    def next_due_ms(self) -> int | None:
        """When a lease runs out, a delay is over, or a bound is reached: 0 is now. It may be earlier than that."""
        settings, letter, oldest_ms = self.settings, self.dead.first(), self._oldest_ms()
        if len(self.dead) > settings.max_dead or (self.is_over and oldest_ms is not None):
            return 0
        moments_ms = (
            self.leases.next_due_ms(),
            self.waiting.next_due_ms(),
            None if oldest_ms is None else oldest_ms + settings.keep_ms,
            None if letter is None else letter.at_ms + settings.keep_ms,
        )
        return min((moment_ms for moment_ms in moments_ms if moment_ms is not None), default=None)

    def overdue(self, now_ms: int, most: int) -> list[int]:
        """The places of up to `most` ends that are to be given up: the oldest that wait, too many or for too long."""
        oldest_ms, settings = self._oldest_ms(), self.settings
        too_many, too_large = self.backlog_count - settings.max_backlog, self.backlog_bytes - settings.max_bytes
        places: list[int] = []
        if oldest_ms is None or not (too_many > 0 or too_large > 0 or oldest_ms + settings.keep_ms <= now_ms):
            return places
        new = self.new.peek(most)
        again = [(since_ms, at, self.waiting.at(at).payload_bytes) for since_ms, at in self.waiting.oldest(most)]
        for kept_since_ms, place, size in merge(zip(new.moments_ms, new.places, new.sizes, strict=True), again):
            if len(places) == most:
                break
            if too_many <= 0 and too_large <= 0 and kept_since_ms + settings.keep_ms > now_ms:
                break
            places.append(place)
            too_many -= 1
            too_large -= size
        return places

    def outlived(self, now_ms: int, most: int) -> list[int]:
        """The numbers of up to `most` dead letters that are to be dropped: the first to die, too many or too old."""
        too_many, numbers, first = len(self.dead) - self.settings.max_dead, [], self.dead.first()
        if first is None or (too_many <= 0 and first.at_ms + self.settings.keep_ms > now_ms):
            return []
        for _, letter in self.dead.page(0, most):
            if too_many <= 0 and letter.at_ms + self.settings.keep_ms > now_ms:
                break
            numbers.append(letter.number)
            too_many -= 1
        return numbers

    def _oldest_ms(self) -> int | None:
        """Since when the oldest end that waits has been kept."""
        first, again = self.new.first(), self.waiting.oldest(1)
        if first is None:
            return again[0][0] if again else None
        return min(first[1], again[0][0]) if again else first[1]

    # Changes

    def apply(self, change: Change, at_ms: int) -> None:
        """Does what a change says, which was made at a moment."""
        _APPLY[type(change)](self, change, at_ms)

    def _put(self, put: Put, _: int) -> None:
        self.settings, self.version = put.settings, put.version
        if put.made:
            self.made, self.begin = put.made, put.begin
        if put.filling is not None:
            self.filling = put.filling

    def _fill(self, filled: Filled, _: int) -> None:
        for place, moment_ms, size in zip(*filled.ends, strict=True):
            self.new.append(place, moment_ms, size)
        self.dropped += filled.skipped
        self.filling = filled.filling
        if self.filling is None:
            self.new.join(self.later)

    def _take(self, taken: Taken, _: int) -> None:
        places, first, until_ms, lease_ms = taken.places, taken.first, taken.until_ms, self.settings.lease_ms
        numbers = range(first, first + len(places))
        columns = None if self.waiting.ready_count else self.new.take(places)
        if columns is not None:
            self.common.held.hold(places)
            leased = [
                Delivery(place, moment_ms, size, number, 1, True, moment_ms, None, until_ms, lease_ms, True)
                for place, moment_ms, size, number in zip(*columns, numbers, strict=True)
            ]
        else:
            found = map(self._out_of_backlog, places)
            leased = [
                delivery.leased(number, until_ms, lease_ms)
                for delivery, number in zip(found, numbers, strict=True)
                if delivery is not None
            ]
        self.leases.add(leased, until_ms, numbers)
        self._use_numbers(numbers.stop)
        if taken.key is not None:
            self.takes.remember(taken.key, Take(first, len(places), until_ms))

    def _ack(self, acked: Acked, _: int) -> None:
        take, release = self.leases.take, self.common.held.release
        for number in acked.numbers:
            delivery = take(number) or self._late(number)
            if delivery is not None:
                release(delivery.place)
        self.common.settled.remember(self.name, acked.numbers, True, acked.generation)

    def _nack(self, nacked: Nacked, at_ms: int) -> None:
        for death, (number, due_ms) in enumerate(zip(nacked.numbers, nacked.due_ms, strict=True), nacked.first_death):
            delivery = self.leases.take(number) or self._late(number)
            if delivery is None:
                continue
            attempts = delivery.attempts if nacked.is_attempt else max(delivery.attempts - 1, 0)
            reason = delivery.reason if nacked.reason is None else nacked.reason
            given_back = replace(delivery, attempts=attempts, reason=reason, is_open=False)
            if due_ms == DEAD:
                self.dead.add(replace(given_back, at_ms=at_ms), death)
            else:
                self.waiting.add(replace(given_back, at_ms=due_ms))
        self.dead.last_death = nacked.first_death + len(nacked.numbers) - 1
        self.common.settled.remember(self.name, nacked.numbers, False, nacked.generation)

    def _renew(self, renewed: Renewed, _: int) -> None:
        until_ms, lease_ms = renewed.until_ms, renewed.lease_ms
        found = [self.leases.take(number) or self._late(number) for number in renewed.numbers]
        leased = [
            replace(delivery, at_ms=until_ms, lease_ms=lease_ms, is_recent=True) for delivery in found if delivery
        ]
        self.leases.add(leased, until_ms, renewed.numbers)

    def _run_out(self, ran_out: RanOut, at_ms: int) -> None:
        most = self.settings.max_deliveries
        for death, number in enumerate(ran_out.numbers, ran_out.first_death):
            delivery = self.leases.take(number)
            if delivery is None:
                continue
            if most and delivery.attempts >= most:
                self.dead.add(replace(delivery, reason=RAN_OUT, at_ms=at_ms), death)
            else:
                self.waiting.add(replace(delivery, at_ms=0))
        self.dead.last_death = ran_out.first_death + len(ran_out.numbers) - 1

    def _expire(self, expired: Expired, at_ms: int) -> None:
        for at, place in enumerate(expired.places):
            delivery = self._out_of_backlog(place)
            if delivery is not None:
                number = delivery.number or expired.first + at
                letter = replace(delivery, number=number, reason=EXPIRED, at_ms=at_ms)
                self.dead.add(letter, expired.first_death + at)
        self._use_numbers(expired.first + len(expired.places))
        self.dead.last_death = expired.first_death + len(expired.places) - 1

    def _revive(self, revived: Revived, at_ms: int) -> None:
        for letter in filter(None, map(self.dead.take, revived.numbers)):
            self.waiting.add(replace(letter, attempts=0, kept_since_ms=at_ms, at_ms=0))

    def _drop(self, dropped: Dropped, _: int) -> None:
        for letter in filter(None, map(self.dead.take, dropped.numbers)):
            self.common.held.release(letter.place)
        self.dropped += len(dropped.numbers)

    def _start(self, _: Started, at_ms: int) -> None:
        leased = list(self.leases)
        self.leases.load(
            replace(delivery, at_ms=max(delivery.at_ms, at_ms + min(delivery.lease_ms, GRACE_MS)), is_recent=False)
            for delivery in leased
            if delivery.is_recent
        )

    # Parts

    def _late(self, number: int) -> Delivery | None:
        """Takes out the delivery of a lease that ran out, whose receipt may still settle it."""
        delivery = self.waiting.opened(number)
        if delivery is not None:
            return self.waiting.take(delivery.place)
        return self.dead.take(number) if self.dead.opened(number) is not None else None

    def _out_of_backlog(self, place: int) -> Delivery | None:
        """Takes out the ready or delayed end at a place: a new one is the first of its kind."""
        columns = self.new.take([place])
        if columns is None:
            return self.waiting.take(place)
        self.common.held.hold((place,))
        ((_, moment_ms, size),) = zip(*columns, strict=True)
        return Delivery(place, moment_ms, size, 0, 0, False, moment_ms, None, 0, 0, False)

    def _use_numbers(self, below: int) -> None:
        self.common.next_number = max(self.common.next_number, below)


_APPLY: dict[type[Any], Callable[[QueueState, Any, int], None]] = {
    Put: QueueState._put,
    Filled: QueueState._fill,
    Taken: QueueState._take,
    Acked: QueueState._ack,
    Nacked: QueueState._nack,
    Renewed: QueueState._renew,
    RanOut: QueueState._run_out,
    Expired: QueueState._expire,
    Revived: QueueState._revive,
    Dropped: QueueState._drop,
    Started: QueueState._start,
}
"""What each change does."""
