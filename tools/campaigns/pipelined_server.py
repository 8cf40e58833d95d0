"""`python -m campaigns.pipelined_server`: the server, whose turns take their time to become durable.

Several are on their way at once, as they are with a store behind a network. A commit reaches the disk a moment after it
was submitted, so a kill in between loses what nobody may have been told. Where `CLOCK_FILE` names a file, the server
has the clocks that it sets.
"""

import contextlib
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

import zmq

from campaigns import clocked_server
from timer_server import __main__ as program
from timer_server import recovery
from timer_server.loop.committer import Committer, Ticket
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import Store

COMMIT_S = 0.004
"""How long after it was submitted a turn is made durable: several turns of a busy server."""

MOST_IN_FLIGHT = 4


class _Submitted(NamedTuple):
    ticket: Ticket
    writes: Sequence[tuple[Shard, Writes]]
    due_s: float


class DelayedCommitter:
    """Makes turns durable in their order, each a moment after it was submitted."""

    is_inline = False
    most_in_flight = MOST_IN_FLIGHT
    is_away = False

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = stores
        self._submitted: deque[_Submitted] = deque()
        self._last = self._settled = Ticket(0)
        self._wakes: SimpleQueue[float] = SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        Thread(target=self._wake, daemon=True).start()

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        self._last = Ticket(self._last + 1)
        due_s = time.monotonic() + COMMIT_S
        self._submitted.append(_Submitted(self._last, writes, due_s))
        self._wakes.put(due_s)
        return self._last

    def settled(self) -> Ticket:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(64)
        while self._submitted and self._submitted[0].due_s <= time.monotonic():
            submitted = self._submitted.popleft()
            for shard, part in submitted.writes:
                self._stores[shard.log.id].commit(part.changes, part.anchor)
            self._settled = submitted.ticket
        return self._settled

    def next_due_ns(self) -> None: ...

    def register(self, poller: zmq.Poller) -> None:
        poller.register(self._reader.fileno(), zmq.POLLIN)

    def _wake(self) -> None:
        """Wakes the loop when a turn may be made durable; in a thread of its own."""
        while True:
            time.sleep(max(self._wakes.get() - time.monotonic(), 0))
            self._writer.send(b"\0")


def put_turns_in_flight() -> None:
    """Has the servers of this process commit with a delay."""

    def make_committer(stores: Mapping[str, Store]) -> Committer:
        return DelayedCommitter(stores)

    recovery.make_committer = make_committer


if __name__ == "__main__":
    if clocked_server.CLOCK_FILE in os.environ:
        clocked_server.take_the_place_of_the_machine()
    put_turns_in_flight()
    sys.exit(program.main())
