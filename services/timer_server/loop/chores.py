"""What a turn has to see to beside requests: each chore says when it is due, and does a bounded step of it."""

from collections.abc import Iterable
from typing import Protocol

from timer_server.requests.shard import Shard

_WAKE_COST = 2
"""Of the budget: for some of those who wake up, a page of the log is read."""

_FORGET_COST = 2
"""Entries are read from the log for it."""


class Chore(Protocol):
    """One kind of work that time brings."""

    def next_due_ns(self) -> int | None:
        """When there is something to do, on the server's timeline: 0 is at once, None not before something happens."""

    def step(self, now_ns: int, budget: int) -> None:
        """Does what is due, as far as the budget goes: the number of timers that can be fired for it."""


def next_due_ns(chores: Iterable[Chore]) -> int | None:
    """When the first of some chores is due."""
    return min((due_ns for chore in chores if (due_ns := chore.next_due_ns()) is not None), default=None)


class Expiry:
    """Fires the timers of a shard whose deadline has come."""

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine

    def next_due_ns(self) -> int | None:
        return self._engine.next_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        self._engine.expire(now_ns, budget)


class Waking:
    """Answers the parked requests of a shard that are awake, or whose time is up."""

    def __init__(self, shard: Shard) -> None:
        self._parked = shard.parked

    def next_due_ns(self) -> int | None:
        return self._parked.next_due_ns()

    def step(self, now_ns: int, budget: int) -> None:
        self._parked.expire(now_ns, budget)
        self._parked.answer_woken(now_ns, budget // _WAKE_COST)


class Retention:
    """Forgets what a shard has kept for long enough."""

    def __init__(self, shard: Shard) -> None:
        self._engine = shard.engine
        self._log = shard.log

    def next_due_ns(self) -> int | None:
        return self._engine.next_forget_ns(self._log.durable_place)

    def step(self, now_ns: int, budget: int) -> None:
        due_ns = self.next_due_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._engine.forget(self._log.oldest(self._engine.horizon, budget // _FORGET_COST), now_ns)
