"""The connection over which this server asks another one."""

import errno
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Literal

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_server.access.gate import Gate
from timer_server.limits import PEER_QUEUED_BYTES, REPLIES_QUEUED
from timer_server.logs import fields, log
from timer_server.wire.endpoints import Context, Socket, new_socket
from timer_server.wire.fences import FENCE_BYTES, Fences, send_fence
from timer_server.wire.lookup import Lookup
from timer_server.wire.monitor import Monitor
from timer_server.wire.multipart import DONTWAIT
from timer_server.wire.peer_greeting import SENTENCES, Hello, Reason, difference, greeting, read_answer

HEARTBEAT_MS, SILENCE_MS = 1_000, 3_000
"""How often a connection between servers is tried, and how long it may be silent: a stopped server is found by that."""

_ANSWER_NS = SILENCE_MS * NS_PER_MS
_LOOK_NS = 20 * NS_PER_MS
_PAUSE_LEAST_NS, _PAUSE_MOST_NS = 50 * NS_PER_MS, 2_000 * NS_PER_MS
_NEVER_NS = 1 << 62

_REASONS: Mapping[int, Reason] = {
    zmq.EVENT_CLOSED: "away",
    zmq.EVENT_DISCONNECTED: "broken",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "encryption",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "encryption",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "not_admitted",
}
"""What it means where ZeroMQ tells one of these first."""

_WATCHED = sum(_REASONS)

News = Literal["connected", "broken"]


class PeerLink:
    """Connects to another server, and again where that fails or the connection breaks.

    Each socket is for one connection. So nothing that was sent to one goes out over the next, and whatever was on its
    way over one that broke is known to be lost, or may be.
    """

    def __init__(self, context: Context, endpoint: str, incarnation: str, gate: Gate | None, most_bytes: int) -> None:
        self.endpoint, self.incarnation = endpoint, incarnation
        self.is_open = False
        """Whether both have said who they are, and messages may be sent."""
        self.reason: Reason | None = None
        """Why there is no connection; None where there is one, and before anything has failed."""
        self._context, self._gate, self._most_bytes = context, gate, most_bytes
        self._poller: zmq.Poller | None = None
        self._socket: Socket | None = None
        self._monitor: Monitor
        self._lost_by: Reason | None = None
        self._fences, self._since_fence = Fences(), 0
        self._tries = -1
        self._lookup: Lookup | None = None
        self._look_until_ns = 0
        self._due_ns: int | None = 0
        self._pause_ns = _PAUSE_LEAST_NS

    def register(self, poller: zmq.Poller | None) -> None:
        """Has a poller wait for what comes, over later connections too."""
        self._poller = poller
        if poller is not None and self._socket is not None:
            poller.register(self._socket, zmq.POLLIN)
            poller.register(self._monitor.descriptor, zmq.POLLIN)

    def is_in(self, ready: Mapping[object, int]) -> bool:
        """Whether a poller has told something of this connection."""
        return self._socket is not None and (self._socket in ready or self._monitor.descriptor in ready)

    def next_due_ns(self) -> int:
        """When `step` is to be called."""
        return self._due_ns or 0

    def step(self, now_ns: int, own: Hello) -> None:
        """Connects where it is time, and gives up a connection that is not answered."""
        if self._due_ns is None:  # lost since the last step
            self._due_ns = now_ns + self._pause_ns
        if now_ns < self._due_ns:
            return
        if self._socket is not None:
            self._lose("silent")
            return
        if self._lookup is None:
            self._lookup, self._look_until_ns = Lookup(self.endpoint), now_ns + _ANSWER_NS
        if (found := self._lookup.found) is not None:
            self._lookup, self._due_ns = None, now_ns + _ANSWER_NS
            self._connect(found, own)
        else:  # its thread is never joined by another: one that hangs is waited for
            if now_ns >= self._look_until_ns:
                self._tell("no_address")
            self._due_ns = now_ns + _LOOK_NS

    def send(self, body: bytes) -> bool:
        """Sends a message; False where there is no connection, or too much is held for a server that does not read, or
        it is too large."""
        if not self.is_open or self._socket is None or len(body) > self._most_bytes:
            return False
        if self._fences.size >= PEER_QUEUED_BYTES:
            self._fences.settle()
            if self._fences.size >= PEER_QUEUED_BYTES:
                return False
        size = self._since_fence + len(body)
        try:
            if size < FENCE_BYTES:
                self._socket.send(body, DONTWAIT)
                self._since_fence = size
            else:
                self._fences.add(send_fence(self._socket, [body]), size)
                self._since_fence = 0
        except zmq.Again:
            return False
        return True

    def receive(self, own: Hello) -> bytes | News | None:
        """The next message, or what has become of the connection; None where there is nothing."""
        frames = self._frames()
        if frames is None:
            return None if self._lost_by is None else self._lose(self._lost_by)
        if self.is_open and len(frames) == 1:
            return frames[0]
        said = read_answer(frames)
        if isinstance(said, Hello) and not self.is_open:
            return self._greeted(said, own)
        return self._lose("no_greeting" if isinstance(said, Hello) else said)

    def _frames(self) -> list[bytes] | None:
        """The next message; None where there is none. What came before a loss is read before that is known."""
        if self._socket is None:
            return None
        for _ in range(2):
            try:
                return self._socket.recv_multipart(DONTWAIT)
            except zmq.Again:
                self._lost_by = self._lost_by or self._loss()
                if self._lost_by is None:
                    return None
        return None

    def _loss(self) -> Reason | None:
        """Why the connection is lost, as the first of ZeroMQ's events says; None where there was none."""
        for event, _ in self._monitor.events():
            without_keys = self._gate is None and event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            return "broken" if without_keys else _REASONS[event]
        return None

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is None:
            return
        if self._poller is not None:
            self._poller.unregister(self._socket)
            self._poller.unregister(self._monitor.descriptor)
        self._monitor.close()
        self._socket.close()
        self._socket, self._lost_by, self.is_open = None, None, False

    def _greeted(self, other: Hello, own: Hello) -> News | None:
        reason = difference(own, other)
        if reason is None and other.incarnation != self.incarnation:
            reason = "other_server"
        if reason is not None:
            return self._lose(reason)
        self.is_open, self.reason = True, None
        self._due_ns, self._pause_ns = _NEVER_NS, _PAUSE_LEAST_NS
        log.info("connected to another server", extra=fields(server=other.name, peer=self.endpoint))
        return "connected"

    def _lose(self, reason: Reason) -> News | None:
        """Gives the connection up; another is made after a pause, which grows."""
        was_open = self.is_open
        self.close()
        self._due_ns = None
        self._tell(reason)
        if was_open:
            return "broken"
        self._pause_ns = min(2 * self._pause_ns, _PAUSE_MOST_NS)
        return None

    def _tell(self, reason: Reason) -> None:
        if reason != self.reason and (reason != "not_known" or self._pause_ns == _PAUSE_MOST_NS):
            told = fields(peer=self.endpoint, reason=SENTENCES[reason])
            log.warning("another server cannot be reached; it is tried again", extra=told)
        self.reason = reason

    def _connect(self, found: Sequence[str], own: Hello) -> None:
        """Begins a connection to one of the addresses that were found, in turn."""
        self._tries += 1
        if not found:
            self._lose("no_address")
            return
        try:
            self._open(found[self._tries % len(found)], own)
        except zmq.ZMQError as error:
            self._lose("no_descriptors" if error.errno in (errno.EMFILE, errno.ENFILE) else "no_address")

    def _open(self, address: str, own: Hello) -> None:
        """Raises `ZMQError`."""
        with ExitStack() as undo:
            socket = undo.enter_context(new_socket(self._context, zmq.DEALER, REPLIES_QUEUED, address))
            socket.linger = 0
            socket.reconnect_ivl = -1
            socket.rcvhwm = 0  # as for requests: see `wire.commands`
            socket.maxmsgsize = self._most_bytes
            socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, SILENCE_MS
            socket.handshake_ivl = socket.connect_timeout = SILENCE_MS
            if self._gate is not None:
                self._gate.present(socket)
            monitor = Monitor(self._context, socket, _WATCHED)
            undo.callback(monitor.close)
            socket.connect(address)
            socket.send_multipart(greeting(own), DONTWAIT)  # the first of this connection, whenever that stands
            undo.pop_all()
        self._socket, self._monitor, self._lost_by = socket, monitor, None
        self._fences, self._since_fence = Fences(), 0
        self.register(self._poller)
