"""Committers make turns durable: the changes of a turn are submitted, and have settled some time later."""

from collections.abc import Mapping, Sequence
from typing import NewType, Protocol

import zmq

from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import Store

Ticket = NewType("Ticket", int)
"""Stands for one submission. Later ones are greater."""


class Committer(Protocol):
    """Makes turns durable in the order in which they are submitted.

    `is_inline` says that a turn has settled once `submit` returns. Otherwise up to `most_in_flight` turns may be
    submitted and not settled, and `register` has a poller woken when some have.
    """

    is_inline: bool
    most_in_flight: int

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        """Begins to make the changes of a turn durable, given by log id. Raises `StoreError`."""

    def settled(self) -> Ticket:
        """The ticket up to which everything is durable, but for what was lost.

        Raises `ShardLost`, once for a shard: nothing of it will become durable that was not told so far. Any other
        `StoreError` is raised once a submission has failed: neither that nor a later one is durable.
        """

    def next_due_ns(self) -> int | None:
        """When `settled` is to be called although no poller wakes up, on the server's timeline: 0 is now."""

    @property
    def is_away(self) -> bool:
        """Whether the store acknowledges nothing now."""

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wake up when something has settled or failed."""


class InlineCommitter:
    """Commits at once, in the calling thread: for stores on this machine.

    A thread gains nothing for SQLite, whose module takes the interpreter's lock back after every step.
    """

    is_inline = True
    most_in_flight = 1
    is_away = False

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = stores
        self._ticket = Ticket(0)

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        for shard, part in writes:
            self._stores[shard.log.id].commit(part.changes, part.anchor)
        self._ticket = Ticket(self._ticket + 1)
        return self._ticket

    def settled(self) -> Ticket:
        return self._ticket

    def next_due_ns(self) -> None:
        """Never: it does nothing by itself."""

    def register(self, poller: zmq.Poller) -> None:
        """Does nothing: there is nothing to wait for."""
