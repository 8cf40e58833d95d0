"""The two sockets: a ROUTER for requests and an XPUB for events. All options are set before they are bound."""

from collections.abc import Iterable

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.limits import EVENTS_QUEUED, REPLIES_QUEUED, frame_maximum_bytes
from timer_protocol.messages import Beat
from timer_server.core.model import Event

_LINGER_MS = 300
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_BACKLOG = 1024

_SUBSCRIPTIONS_A_TURN = 500
"""Taken note of in one turn: whoever subscribes to a million topics holds nobody up."""

_SUBSCRIPTION_BYTES = 65_536
"""A larger one cuts its peer off; the longest topic has some hundred bytes."""

_PREFIXES_MATCHED = 64
"""With more subscriptions than this, every event is handed to the socket, which finds its subscribers faster."""


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""


class Sockets:
    """Binds both endpoints. Raises `BindError`."""

    def __init__(self, bind: str, events_bind: str, max_message_bytes: int) -> None:
        self._context = zmq.Context()
        self.commands = self._context.socket(zmq.ROUTER)
        self.events = self._context.socket(zmq.XPUB)
        self._prefixes: set[bytes] = set()
        self._wanted: tuple[bytes, ...] = ()
        endpoint = bind
        try:
            self._set_up(self.commands, REPLIES_QUEUED, bind)
            self.commands.maxmsgsize = frame_maximum_bytes(max_message_bytes)
            self.commands.router_mandatory = True
            self.commands.router_handover = True
            self._set_up(self.events, EVENTS_QUEUED, events_bind)
            self.events.maxmsgsize = _SUBSCRIPTION_BYTES
            self.commands.bind(bind)
            endpoint = events_bind
            self.events.bind(events_bind)
        except zmq.ZMQError as error:
            self.close()
            raise BindError(f"cannot bind {endpoint}: {error}") from None

    @property
    def commands_endpoint(self) -> str:
        """Where requests are taken, with the port that was picked."""
        return _bound(self.commands)

    @property
    def events_endpoint(self) -> str:
        """Where events are published, with the port that was picked."""
        return _bound(self.events)

    def receive(self) -> list[bytes] | None:
        """The frames of the next request; None if there is none."""
        try:
            return self.commands.recv_multipart(zmq.DONTWAIT)
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
                frame = self.events.recv(zmq.DONTWAIT)
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

    def close(self) -> None:
        """Gives what was sent a moment to leave, then lets go of everything."""
        self.commands.close(linger=_LINGER_MS)
        self.events.close(linger=_LINGER_MS)
        self._context.term()

    @staticmethod
    def _set_up(socket: zmq.Socket[bytes], queued: int, endpoint: str) -> None:
        socket.sndhwm = queued
        socket.linger = _LINGER_MS
        socket.backlog = _BACKLOG
        socket.heartbeat_ivl = _HEARTBEAT_MS
        socket.heartbeat_timeout = _HEARTBEAT_TIMEOUT_MS
        socket.ipv6 = "[" in endpoint


def _bound(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()
