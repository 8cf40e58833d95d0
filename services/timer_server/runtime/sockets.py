"""The two sockets: a ROUTER for requests and an XPUB for events. All options are set before they are bound."""

import re
from collections.abc import Iterable
from contextlib import suppress

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.limits import EVENTS_QUEUED, REPLIES_QUEUED, frame_maximum_bytes
from timer_protocol.messages import Beat
from timer_server.core.model import Event
from timer_server.runtime.gate import Gate
from timer_server.runtime.keys import CurveFiles, KeyFileError
from timer_server.runtime.permissions import narrow_topic

_LINGER_MS = 300
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_BACKLOG = 1024

_SUBSCRIPTIONS_A_TURN = 500
"""Taken note of in one turn: whoever subscribes to a million topics holds nobody up."""

_SUBSCRIPTION_BYTES = 65_536
"""A larger one cuts its peer off; the longest topic has some hundred bytes."""

_REBIND_TRIES = 1000
"""A millisecond apart: ZeroMQ lets go of an address in a thread of its own, a moment after it was told to."""

_PREFIXES_MATCHED = 64
"""With more subscriptions than this, every event is handed to the socket, which finds its subscribers faster."""


_SUBSCRIBING = {b"\x01": zmq.SUBSCRIBE, b"\x00": zmq.UNSUBSCRIBE}


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""


class Sockets:
    """Binds both endpoints; with key files, whoever connects needs a key. Raises `BindError`, `KeyFileError`."""

    def __init__(self, bind: str, events_bind: str, max_message_bytes: int, curve: CurveFiles | None = None) -> None:
        self._context = zmq.Context()
        self._max_message_bytes = max_message_bytes
        self.gate: Gate | None = None
        try:
            self.gate = None if curve is None else Gate(self._context, curve)
            self._open(bind, events_bind)
        except KeyFileError:
            self._context.term()
            raise

    def _open(self, bind: str, events_bind: str, tries: int = 1) -> None:
        self.commands = self._context.socket(zmq.ROUTER)
        self.events = self._context.socket(zmq.XPUB)
        self._prefixes: set[bytes] = set()
        self._wanted: tuple[bytes, ...] = ()
        endpoint = bind
        try:
            self._set_up(self.commands, REPLIES_QUEUED, bind)
            self.commands.maxmsgsize = frame_maximum_bytes(self._max_message_bytes)
            self.commands.heartbeat_ivl = _HEARTBEAT_MS
            self.commands.heartbeat_timeout = _HEARTBEAT_TIMEOUT_MS
            self.commands.router_mandatory = True
            # With keys, whoever connects under the routing id of another could take that one's replies over.
            self.commands.router_handover = self.gate is None
            self._set_up(self.events, EVENTS_QUEUED, events_bind)
            self.events.maxmsgsize = _SUBSCRIPTION_BYTES
            # Subscribers may well be full, so they get no heartbeats, and a dead one is known by what it leaves unread.
            self.events.tcp_maxrt = _HEARTBEAT_TIMEOUT_MS
            self.events.setsockopt(zmq.XPUB_MANUAL, int(self.gate is not None))
            _bind(self.commands, bind, tries)
            endpoint = events_bind
            _bind(self.events, events_bind, tries)
        except zmq.ZMQError as error:
            self.close()
            raise BindError(f"cannot bind {endpoint}: {error}") from None

    def reopen(self) -> None:
        """Cuts all connections and binds again: whoever is still allowed connects anew. Raises `BindError`."""
        endpoints = self.commands_endpoint, self.events_endpoint
        for socket, endpoint in zip((self.commands, self.events), endpoints, strict=True):
            with suppress(zmq.ZMQError):
                socket.unbind(endpoint)
            socket.close()
        self._open(*endpoints, tries=_REBIND_TRIES)

    @property
    def commands_endpoint(self) -> str:
        """Where requests are taken, with the port that was picked."""
        return _bound(self.commands)

    @property
    def events_endpoint(self) -> str:
        """Where events are published, with the port that was picked."""
        return _bound(self.events)

    def receive(self) -> tuple[list[bytes], str | None] | None:
        """The next request: its frames, and what the ids that its sender may touch begin with; None if there is none.

        A sender whose key is allowed no longer has no such prefix.
        """
        try:
            if self.gate is None:
                return self.commands.recv_multipart(zmq.DONTWAIT), ""
            frames = self.commands.recv_multipart(zmq.DONTWAIT, copy=False)
            return [frame.bytes for frame in frames], self.gate.prefix_of(frames[0])
        except zmq.Again:
            return None

    def reply(self, frames: list[bytes]) -> bool:
        """Sends a reply; False if the peer is gone or does not read."""
        try:
            self.commands.send_multipart(frames, zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                return False
            raise
        return True

    def publish(self, events: Iterable[Event]) -> None:
        """Sends events to their subscribers. Where nobody listens, none is even encoded."""
        if not self._wanted:
            return
        for event in events:
            topic = event_topic(event.timer.id, event.kind)
            if topic.startswith(self._wanted):
                self.events.send_multipart((topic, encode(event.view())), zmq.DONTWAIT)

    def beat(self, beat: Beat) -> None:
        """Sends a sign of life."""
        self.events.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def take_subscriptions(self) -> None:
        """Takes note of who wants what: the socket tells the first subscriber to a topic and the last to leave."""
        changed = False
        for _ in range(_SUBSCRIPTIONS_A_TURN):
            try:
                frame = self._receive_subscription()
            except zmq.Again:
                break
            if frame[:1] == b"\x01":
                self._prefixes.add(frame[1:])
                changed = True
            elif frame[:1] == b"\x00":
                self._prefixes.discard(frame[1:])
                changed = True
        if changed:
            wanted = self._prefixes - {BEAT_TOPIC}
            self._wanted = tuple(wanted) if len(wanted) <= _PREFIXES_MATCHED else (b"",)

    def _receive_subscription(self) -> bytes:
        if self.gate is None:
            return self.events.recv(zmq.DONTWAIT)
        frame = self.events.recv(zmq.DONTWAIT, copy=False)
        prefix = self.gate.prefix_of(frame)
        option = _SUBSCRIBING.get(frame.bytes[:1])
        if prefix is not None and option is not None:
            for topic in narrow_topic(frame.bytes[1:], prefix.encode()):
                self.events.setsockopt(option, topic)  # which is about the sender of the last frame
        return frame.bytes

    def close(self) -> None:
        """Gives what was sent a moment to leave, then lets go of everything."""
        self.commands.close(linger=_LINGER_MS)
        self.events.close(linger=_LINGER_MS)
        if self.gate is not None:
            self.gate.close()
        self._context.term()

    def _set_up(self, socket: zmq.Socket[bytes], queued: int, endpoint: str) -> None:
        if self.gate is not None:
            self.gate.guard(socket)
        socket.sndhwm = queued
        # No limit: where one holds up the input of a connection that is lost, and a heartbeat is due or was read with
        # the rest, libzmq 4.3.5 fails an assertion of its own (`!_io_error`) and ends the process.
        socket.rcvhwm = 0
        socket.linger = _LINGER_MS
        socket.backlog = _BACKLOG
        socket.ipv6 = "[" in endpoint


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach an endpoint."""
    return re.match(r"(ipc|inproc)://|tcp://(127\.|localhost:|\[::1\]:)", endpoint) is not None


def _bind(socket: zmq.Socket[bytes], endpoint: str, tries: int) -> None:
    for left in reversed(range(tries)):
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            if not left or error.errno != zmq.EADDRINUSE:
                raise
            socket.poll(1, zmq.POLLIN)
        else:
            return


def _bound(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()
