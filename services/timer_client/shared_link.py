"""A link for any number of threads at once. Each asks for itself, and gets the replies to what it asked.

There is no thread behind it. One of those that wait leads: it waits for the sockets and hands replies to whoever they
are for; when it leaves, another leads. So a thread that is alone does all of it itself, and hundreds need no more
sockets than one.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Sequence

import zmq

from timer_client.errors import AccessDenied, ClientClosed
from timer_client.link import Link
from timer_client.retry import Unanswered
from timer_client.session import Exchange


class _Conversation:
    """What one thread has asked, and the replies to it."""

    def __init__(self) -> None:
        self.asked: dict[bytes, Exchange] = {}
        """The exchanges by the tokens of their requests."""
        self.replies: list[tuple[bytes, bytes]] = []
        self.woken: threading.Event | None = None
        """Set when there is something to do for a thread that does not lead. A thread that is alone needs none."""

    @property
    def is_answered(self) -> bool:
        """Whether all replies are there."""
        return len(self.replies) == len(self.asked)

    def wake(self) -> None:
        """Has the thread look what has happened, if it waits and does not lead."""
        if self.woken is not None:
            self.woken.set()


class SharedLink:
    """Takes over a link. The sockets are used under a lock, and waited for outside of it, by their descriptors.

    `connect_s` is how long a thread waits for the connection.
    """

    def __init__(self, link: Link, endpoint: str, connect_s: float) -> None:
        try:
            self._nudge, self._nudged = socket.socketpair()
        except OSError:
            link.close()
            raise
        self._nudge.setblocking(False)
        self.endpoint = endpoint
        """The server's, as the settings have it."""
        self._connect_s = connect_s
        self._link = link
        self._lock = threading.RLock()  # a destructor may close the client at any instant, also in this lock
        self._present: dict[_Conversation, None] = {}
        self._owners: dict[bytes, _Conversation] = {}
        """Whom the reply with a token is for."""
        self._leader: _Conversation | None = None
        self._is_retired = False
        self._is_ended = False
        self.is_closed = False
        self._monitor_fd = int(link.monitor.get(zmq.FD))
        self._monitor = select.poll()  # not ZeroMQ's, which looks twice
        self._monitor.register(self._monitor_fd, select.POLLIN)
        self._nudged_fd = self._nudged.fileno()
        self._replies_fd = int(link.dealer.get(zmq.FD))
        self._poller = select.poll()
        for descriptor in (self._replies_fd, self._monitor_fd, self._nudged_fd):
            self._poller.register(descriptor, select.POLLIN)
        link.check()  # a descriptor signals nothing until its socket was found empty once

    def is_usable(self) -> bool:
        """Whether something new may be asked over it: it may have been lost while nobody used it."""
        with self._lock:
            if self._leader is None and not self.is_closed and self._monitor.poll(0):
                self._link.check()
            return not self._is_retired and not self._is_over

    def converse(self, exchanges: Sequence[Exchange], timeout_s: float) -> None:
        """Sends the messages of exchanges together, and has each accept its reply.

        Raises `Unanswered`, `AccessDenied`, `ClientClosed`.
        """
        mine = _Conversation()
        wait_s = max([exchange.wait_s for exchange in exchanges])
        started_s = time.monotonic()
        try:
            self._ask(mine, exchanges)
            while not (mine.is_answered or self._is_over):
                # The server can hold a request back only if it has it.
                may_take_s = timeout_s + wait_s if self._link.connected else min(timeout_s, self._connect_s)
                left_s = may_take_s - (time.monotonic() - started_s)
                if left_s <= 0:
                    parked_s = wait_s if self._link.connected else 0
                    raise Unanswered(f"no reply within {may_take_s - parked_s:.3g} s", parked_s)
                self._wait(mine, left_s)
        finally:
            self._leave(mine)
            for token, body in mine.replies:
                mine.asked[token].accept(body)
        if not mine.is_answered:
            self._tell_why(min(wait_s, time.monotonic() - started_s) if self._link.connected else 0)

    def retire(self) -> None:
        """Takes no new requests, and closes the sockets when the last thread has left."""
        with self._lock:
            self._is_retired = True
            self._close_if_unused()

    def end(self) -> None:
        """Ends what is under way with `ClientClosed`, and closes the sockets when the last thread has left."""
        with self._lock:
            self._is_ended = True
            self._wake_all()
            self.retire()

    @property
    def _is_over(self) -> bool:
        return self._is_ended or self._link.failure is not None

    def _ask(self, mine: _Conversation, exchanges: Sequence[Exchange]) -> None:
        bodies = [exchange.encode() for exchange in exchanges]
        with self._lock:
            self._present[mine] = None
            if self._is_over:
                self._tell_why(0)
            for exchange, body in zip(exchanges, bodies, strict=True):
                token = self._link.send(body)
                mine.asked[token] = exchange
                self._owners[token] = mine
            if self._leader is not None:
                self._look()  # sending may have swallowed a signal that the leader waits for
                if self._leader.is_answered:
                    self._wake_leader()

    def _wait(self, mine: _Conversation, timeout_s: float) -> None:
        """Returns when something has happened, or after the time-out."""
        with self._lock:
            if self._leader is None:
                self._leader = mine
            leads = self._leader is mine
            if leads:
                self._look()  # what has come in unseen is not signalled again
            elif mine.woken is None:
                mine.woken = threading.Event()
            else:
                mine.woken.clear()
            if mine.is_answered or self._is_over:
                return
        if mine.woken is None or leads:
            self._lead(timeout_s)
        else:
            mine.woken.wait(timeout_s)

    def _lead(self, timeout_s: float) -> None:
        """Waits for the sockets once, and takes what has come in."""
        ready = self._poller.poll(int(timeout_s * 1000) + 1)
        with self._lock:
            for descriptor, _ in ready:
                if descriptor == self._replies_fd:
                    self._take()
                elif descriptor == self._nudged_fd:
                    self._nudged.recv(4096)
                elif self._link.check() is not None:
                    self._look()  # what came just before the connection was lost
                    self._is_retired = True
                    self._wake_all()

    def _leave(self, mine: _Conversation) -> None:
        with self._lock:
            self._present.pop(mine, None)
            for token in mine.asked:
                self._owners.pop(token, None)
            if self._leader is mine:
                self._leader = None
            if self._leader is None and self._present:
                next(iter(self._present)).wake()
            self._close_if_unused()

    def _look(self) -> None:
        """Takes the replies that may have come in; cheaper than `_take` where there are none."""
        if self._link.has_replies:
            self._take()

    def _take(self) -> None:
        """Takes all replies that have come in, where at least one has, and wakes those who have theirs."""
        while True:
            reply = self._link.receive()
            owner = None if reply is None else self._owners.pop(reply[0], None)
            if reply is not None and owner is not None:
                owner.replies.append(reply)
                if owner.is_answered:
                    owner.wake()
            if not (self._owners and self._link.has_replies):
                return  # nobody waits for more, or there is no more

    def _wake_all(self) -> None:
        for conversation in self._present:
            conversation.wake()
        if self._leader is not None:
            self._wake_leader()

    def _wake_leader(self) -> None:
        with contextlib.suppress(BlockingIOError):  # then it has been nudged more than enough
            self._nudge.send(b"x")

    def _close_if_unused(self) -> None:
        if self._is_retired and not self._present and not self.is_closed:
            self.is_closed = True
            self._link.close()
            self._nudge.close()
            self._nudged.close()

    def _tell_why(self, parked_s: float) -> None:
        """Raises the reason why there is no reply."""
        if self._is_ended:
            raise ClientClosed
        if self._link.denial is not None:
            raise AccessDenied(self._link.denial)
        raise Unanswered(str(self._link.failure), parked_s)
