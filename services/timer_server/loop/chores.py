"""Chores: the work of a turn beside requests. Each says when it is due, and does a bounded step."""

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from timer_protocol.durations import NS_PER_MS
from timer_server.core.effects import OFFSET_NOTED_MS
from timer_server.requests.parked import Parked
from timer_server.requests.placement import Shards
from timer_server.requests.shard import Shard
from timer_server.store.base import StoreAway

LOOK_INTERVAL_MS = 1_000
"""How often a server looks after the files of its stores."""

REST_MS = 1_000
"""How long a chore waits whose store does not answer, before it tries again."""

NEVER_NS = sys.maxsize
"""A moment that no clock comes to."""

_LEAST_PART = 50
"""The least part of a budget that a shard gets, so that each step comes to something."""

_WAKE_COST = 2
"""The budget that one answer takes, since some need a page of the log."""

_FORGET_COST = 2
"""The budget that one entry takes, since it is read from the log."""

_FILL_ENTRIES = 1_000
"""Entries of the log looked at in one turn, for ends from before a queue was made."""


class Chore(Protocol):
    """Work that becomes due as time passes. That of a shard goes by the shard's timeline."""

    def next_due_ns(self) -> int | None:
        """When there is something to do: 0 is now, None is not before something happens."""

    def step(self, now_ns: int, budget: int) -> None:
        """Does what is due, within a budget: the number of timers that could be fired instead."""


class Schedule:
    """Some chores. They are asked once a turn when they are due, and none is stepped in a turn before that.

    `due_ns` is when the first of them was due at the last look; `NEVER_NS` where none was. A chore whose store did not
    answer rests for a second.
    """

    def __init__(self, chores: Sequence[Chore]) -> None:
        self.chores = chores
        self.due_ns = NEVER_NS
        self._awake = chores
        self._rest_until_ns = NEVER_NS

    def add(self, chore: Chore) -> None:
        """Has one more chore, from the next look on."""
        self.chores = [*self.chores, chore]
        self._awake = [*self._awake, chore]

    def remove(self, chore: Chore) -> None:
        """Has a chore no longer."""
        self.chores = [other for other in self.chores if other is not chore]
        self._awake = [other for other in self._awake if other is not chore]

    def look(self) -> int:
        """Asks the chores, and returns `due_ns`."""
        first_ns = self._rest_until_ns
        for chore in self._awake:
            due_ns = chore.next_due_ns()
            if due_ns is not None and due_ns < first_ns:
                first_ns = due_ns
        self.due_ns = first_ns
        return first_ns

    def step(self, now_ns: int, budget: int) -> None:
        """Has the chores do what is due, if anything was by the last look. What came up since waits for the next."""
        if now_ns < self.due_ns:
            return
        if now_ns >= self._rest_until_ns:
            self._awake, self._rest_until_ns = self.chores, NEVER_NS
        for chore in self._awake:
            try:
                chore.step(now_ns, budget)
            except StoreAway:
                self._awake = [other for other in self._awake if other is not chore]
                self._rest_until_ns = min(self._rest_until_ns, now_ns + REST_MS * NS_PER_MS)


class InEachShard:
    """The chores of one kind, one for each shard that the server owns. Those that are due share the budget.

    Each goes by the timeline of its shard, and this one by the server's clock. Where they are so many that a part would
    come to nothing, the others have theirs in the turns that follow.
    """

    def __init__(self, make: Callable[[Shard], Chore], shards: Shards) -> None:
        self._make = make
        self._shards = shards
        self._followed: tuple[Shard, ...] = ()
        self._chores: dict[Shard, Chore] = {}
        """The chore of each shard; first those that have waited longest for their part."""

    def next_due_ns(self) -> int | None:
        moments = [_due_ns(shard, chore) for shard, chore in self._all().items()]
        return min((due_ns for due_ns in moments if due_ns is not None), default=None)

    def step(self, now_ns: int, budget: int) -> None:
        chores = self._all()
        due = [shard for shard, chore in chores.items() if _is_due(_due_ns(shard, chore), now_ns)]
        served, waiting = due[: budget // _LEAST_PART], set(due[budget // _LEAST_PART :])
        part = budget // max(len(served), 1)
        for shard, chore in chores.items():
            if shard not in waiting:
                chore.step(shard.at(now_ns), part)
        if waiting:
            for shard in served:
                chores[shard] = chores.pop(shard)

    def _all(self) -> dict[Shard, Chore]:
        """The chores of the shards that are owned now."""
        if self._followed is not self._shards.owned:
            self._followed = self._shards.owned
            self._chores = {shard: self._chores.get(shard) or self._make(shard) for shard in self._followed}
        return self._chores


def in_each_shard(make: Callable[[Shard], Chore], shards: Shards) -> Chore:
    """A chore for each shard of a server."""
    return InEachShard(make, shards) if shards.only is None else make(shards.only)


def _due_ns(shard: Shard, chore: Chore) -> int | None:
    """When the chore of a shard is due, by the server's clock: 0 is now, as for the chore."""
    due_ns = chore.next_due_ns()
    return due_ns - shard.ahead_ns if due_ns else due_ns


def _is_due(due_ns: int | None, now_ns: int) -> bool:
    return due_ns is not None and due_ns <= now_ns


class Expiry:
    """Fires the timers of a shard at their deadlines."""

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine

    def next_due_ns(self) -> int | None:
        return self._engine.next_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        self._engine.expire(now_ns, budget)


class WallBound:
    """Fires the timers of a shard that are bound to the wall clock, when that has reached their moments.

    Where the clock was set, which it notices within a second, it tells when they are due now.
    """

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine
        self._followed_ns: int | None = None
        """By how much the wall clock was ahead when the timers were last moved."""
        self._is_moving = False

    def next_due_ns(self) -> int | None:
        return 0 if self._is_moving else self._engine.expiry.next_wall_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        due_ns = self._engine.expiry.next_wall_due_ns()
        if due_ns is None:
            return
        if due_ns <= now_ns:
            self._engine.expiry.expire_by_wall(now_ns, budget)
        ahead_ns = self._engine.expiry.wall_ahead_ns()
        if self._followed_ns is None or abs(ahead_ns - self._followed_ns) >= OFFSET_NOTED_MS * NS_PER_MS:
            self._followed_ns = ahead_ns
            self._engine.expiry.follow_wall()
            self._is_moving = True
        if self._is_moving:
            self._is_moving = self._engine.expiry.move_bound(now_ns, budget)


class Waking:
    """Answers the parked requests that were woken, or whose time is up."""

    def __init__(self, parked: Parked) -> None:
        self._parked = parked

    def next_due_ns(self) -> int | None:
        return self._parked.next_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        if len(self._parked):
            self._parked.expire(now_ns, budget)
            self._parked.answer_woken(now_ns, budget // _WAKE_COST)


class QueueCare:
    """Does to the queues of a shard what time does, and takes up the ends from before a queue was made."""

    def __init__(self, shard: Shard) -> None:
        self._queues = shard.queues
        self._log = shard.log

    def next_due_ns(self) -> int | None:
        return 0 if self._can_fill() else self._queues.next_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        self._queues.step(now_ns, budget)
        if self._can_fill() and (asked := self._queues.fill_request()) is not None:
            ends, scanned_to = self._log.ends(asked.after, asked.to, asked.prefix, _FILL_ENTRIES)
            self._queues.fill(asked.queue, ends, scanned_to, now_ns)

    def _can_fill(self) -> bool:
        """Whether a queue has yet to take up entries that are durable."""
        waits_at = self._queues.waits_at
        return waits_at is not None and waits_at < self._log.durable_place


class PlanCare:
    """Does to the plans of a shard what time does, beside the ends of their timers."""

    def __init__(self, shard: Shard) -> None:
        self.next_due_ns, self.step = shard.engine.plans.next_due_ns, shard.engine.plans.step


class Retention:
    """Forgets the entries of a shard that are older than retention."""

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine
        self._log = shard.log

    def next_due_ns(self) -> int | None:
        return self._engine.next_forget_ns(self._log.durable_place)

    def step(self, now_ns: int, budget: int) -> None:
        due_ns = self.next_due_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._engine.forget(self._log.oldest(self._engine.horizon, budget // _FORGET_COST), now_ns)


class StoreCare:
    """Looks after the files of a shard's store once a second, also while nothing is stored, and tells the engine how
    much room there is.

    Where they were removed or replaced it raises `StoreError`: nothing may be acknowledged that cannot be found again.
    """

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine
        self._log = shard.log
        self._due_ns = 0

    def next_due_ns(self) -> int | None:
        return self._due_ns

    def step(self, now_ns: int, _budget: int) -> None:
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + LOOK_INTERVAL_MS * NS_PER_MS
            self._engine.limit_growth(self._log.look_after())
