"""The two sockets: a ROUTER for requests and an XPUB for events. All options are set before they are bound."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.limits import (
    EVENTS_QUEUED,
    REPLIES_QUEUED,
    SUBSCRIPTION_BYTES,
    frame_maximum_bytes,
)
from timer_protocol.messages import Beat
from timer_server.core.model import Timer
from timer_server.runtime.backlog import Backlog
from timer_server.runtime.feed import Feed
from timer_server.runtime.gate import Gate
from timer_server.runtime.keys import CurveFiles, KeyFileError
from timer_server.runtime.logs import fields, log
from timer_server.runtime.multipart import receive_from_router
from timer_server.runtime.permissions import narrow_topic
from timer_server.runtime.subscriptions import Subscriptions

_LINGER_MS = 300
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_BACKLOG = 1024

_SUBSCRIPTIONS_A_TURN = 500
"""Taken note of in one turn: whoever subscribes to a million topics holds nobody up."""

_SUBSCRIPTIONS_QUEUED = 2
"""Of one subscriber. libzmq takes in all that is queued before anything else: a longer queue never ends in a flood.
With a shorter one, its questions to the gate are not answered."""

_UNBIND_LIMIT_MS = 1000
"""How long it may take until an address is free again."""

_MADE_ROUTING_ID = b"\0"
"""What a routing id begins with that the ROUTER has made."""

_SUBSCRIBING = {b"\x01": zmq.SUBSCRIBE, b"\x00": zmq.UNSUBSCRIBE}


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""


class Sockets:
    """Binds both endpoints; with key files, whoever connects needs a key. Raises `BindError`, `KeyFileError`."""

    def __init__(self, bind: str, events_bind: str, max_message_bytes: int, curve: CurveFiles | None = None) -> None:
        self._context = zmq.Context()
        self._max_message_bytes = max_message_bytes
        self._poller = zmq.Poller()
        self.gate: Gate | None = None
        try:
            self.gate = None if curve is None else Gate(self._context, curve)
            self._open_commands(bind)
            self._open_events(events_bind)
        except (BindError, KeyFileError):
            self._context.destroy(linger=0)
            raise

    @property
    def commands_endpoint(self) -> str:
        """Where requests are taken, with the port that was picked."""
        return _bound(self.commands)

    @property
    def events_endpoint(self) -> str:
        """Where events are published, with the port that was picked."""
        return _bound(self.events)

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what comes in."""
        self._poller = poller
        poller.register(self.commands, zmq.POLLIN)
        poller.register(self.events, zmq.POLLIN)
        if self.gate is not None:
            poller.register(self.gate.socket, zmq.POLLIN)

    def attend(self, ready: Mapping[object, int]) -> None:
        """Sees to what has come in beside requests, given what a poller has found."""
        if self.gate is not None and self.gate.socket in ready:
            self.gate.admit()
        if self.events in ready:
            self._take_subscriptions()

    def receive(self) -> tuple[list[bytes], str | None] | None:
        """The next request: its frames, and what the ids that its sender may touch begin with; None if there is none.

        With keys, a sender has no such prefix where its key is allowed no longer, or its socket has a name of its own.
        """
        try:
            if self.gate is None:
                return receive_from_router(self.commands), ""
            frames = self.commands.recv_multipart(zmq.DONTWAIT, copy=False)
            # Who names its socket could take up the name of another, and so get replies meant for that one.
            is_named = frames[0].bytes[:1] != _MADE_ROUTING_ID
            return [frame.bytes for frame in frames], None if is_named else self.gate.prefix_of(frames[0])
        except zmq.Again:
            return None

    def reply(self, frames: list[bytes]) -> bool:
        """Sends a reply; False if the peer is gone or does not read."""
        try:
            return self._backlog.send(self.commands, frames)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                return False
            raise

    def publish(self, events: Iterable[Timer]) -> None:
        """Sends events to their subscribers. Where nobody listens, none is even encoded."""
        if not self._subscriptions.is_anything_wanted:
            return
        for event in events:
            topic = event_topic(event.id, event.kind)
            if self._subscriptions.wants(topic):
                self._feed.send(self.events, topic, encode(event.event_view()))
        if self._feed.is_too_long:
            self._cut_subscribers_off("too many bytes of events wait for subscribers that do not read")

    def beat(self, beat: Beat) -> None:
        """Sends a sign of life."""
        self.events.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def _take_subscriptions(self) -> None:
        """Takes note of who wants what. Where that is too much to keep, all subscribers have to connect again."""
        self._subscriptions.take(self._notices())
        if self._is_out_of_step:
            self._cut_subscribers_off("a subscriber sent what is no subscription")
        elif self._subscriptions.are_too_many:
            self._cut_subscribers_off("too many subscriptions")

    def reopen(self) -> None:
        """Cuts all connections and binds again: whoever is still allowed connects anew. Raises `BindError`."""
        endpoint = self.commands_endpoint
        self._poller.unregister(self.commands)
        _unbind(self.commands, endpoint)
        self.commands.close(linger=_LINGER_MS)
        self._open_commands(endpoint)
        self._poller.register(self.commands, zmq.POLLIN)
        self._reopen_events()

    def close(self) -> None:
        """Gives what was sent a moment to leave, then lets go of everything."""
        self.commands.close(linger=_LINGER_MS)
        self.events.close(linger=_LINGER_MS)
        if self.gate is not None:
            self.gate.close()
        self._context.term()

    def _notices(self) -> Iterator[zmq.Frame]:
        for _ in range(_SUBSCRIPTIONS_A_TURN):
            try:
                notice = self.events.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            if self.gate is not None and not self._permit(notice, self.gate):
                self._is_out_of_step = True
                return
            yield notice

    def _permit(self, notice: zmq.Frame, gate: Gate) -> bool:
        """Puts a subscription into force as far as its sender's key goes; no prefix, no subscription.

        False for what is no subscription: after such a frame, libzmq 4.3.5 takes one subscriber for another.
        """
        option, prefix = _SUBSCRIBING.get(notice.bytes[:1]), gate.prefix_of(notice)
        if option is None:
            gate.suspend(notice)
            return False
        # Of a bound key's topics several may have become one, so only the end of its connection takes them back.
        if prefix is not None and not (prefix and option == zmq.UNSUBSCRIBE):
            for topic in narrow_topic(notice.bytes[1:], prefix.encode()):
                self.events.setsockopt(option, topic)  # which is about the sender of the last notice
        return True

    def _open_commands(self, endpoint: str) -> None:
        self.commands = self._new_socket(zmq.ROUTER, REPLIES_QUEUED, endpoint)
        # No limit: where one holds up the input of a connection that is lost, and a heartbeat is due or was read with
        # the rest, libzmq 4.3.5 fails an assertion of its own (`!_io_error`) and ends the process.
        self.commands.rcvhwm = 0
        self.commands.heartbeat_ivl = _HEARTBEAT_MS
        self.commands.heartbeat_timeout = _HEARTBEAT_TIMEOUT_MS
        self.commands.maxmsgsize = frame_maximum_bytes(self._max_message_bytes)
        self.commands.router_mandatory = True
        self.commands.router_handover = True
        self._backlog = Backlog()
        _bind(self.commands, endpoint)

    def _open_events(self, endpoint: str) -> None:
        self.events = self._new_socket(zmq.XPUB, EVENTS_QUEUED, endpoint)
        self.events.maxmsgsize = SUBSCRIPTION_BYTES
        self.events.rcvhwm = _SUBSCRIPTIONS_QUEUED
        # Subscribers may well be full, so they get no heartbeats, and a dead one is known by what it leaves unread.
        self.events.tcp_maxrt = _HEARTBEAT_TIMEOUT_MS
        self.events.setsockopt(zmq.XPUB_MANUAL, int(self.gate is not None))
        self._feed = Feed()
        self._is_out_of_step = False
        self._subscriptions = Subscriptions(is_manual=self.gate is not None)
        _bind(self.events, endpoint)

    def _cut_subscribers_off(self, reason: str) -> None:
        log.warning("all subscribers are cut off and may connect again", extra=fields(reason=reason))
        self._reopen_events()

    def _reopen_events(self) -> None:
        """Makes the events socket anew at the same address. Subscribers connect again, and read what they missed."""
        endpoint = self.events_endpoint
        self._poller.unregister(self.events)
        _unbind(self.events, endpoint)
        self.events.close(linger=0)
        self._open_events(endpoint)
        self._poller.register(self.events, zmq.POLLIN)

    def _new_socket(self, kind: int, queued: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        if self.gate is not None:
            self.gate.guard(socket)
        socket.sndhwm = queued
        socket.linger = _LINGER_MS
        socket.backlog = _BACKLOG
        socket.ipv6 = "[" in endpoint
        return socket


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach an endpoint."""
    host = re.match(r"tcp://(?:\[(.*)\]|(.*)):", endpoint)
    if host is None:
        return True
    name = host[1] or host[2]
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in {"localhost", "lo"}


def _bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Binds. Raises `BindError`."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise BindError(f"cannot bind {endpoint}: {error}") from None


def _unbind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Gives an address back. Another thread closes the old listener; only then it can be bound again."""
    closed = socket.get_monitor_socket(zmq.EVENT_CLOSED)
    socket.unbind(endpoint)
    closed.poll(_UNBIND_LIMIT_MS)
    socket.disable_monitor()
    closed.close(linger=0)


def _bound(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()
