"""The two sockets: a ROUTER for requests and an XPUB for events. All options are set before they are bound."""

from collections.abc import Iterable, Iterator

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.limits import (
    EVENTS_QUEUED,
    REPLIES_QUEUED,
    REQUESTS_QUEUED,
    SUBSCRIPTION_BYTES,
    frame_maximum_bytes,
)
from timer_protocol.messages import Beat
from timer_server.core.model import Event
from timer_server.runtime.backlog import Backlog
from timer_server.runtime.feed import Feed
from timer_server.runtime.logs import fields, log
from timer_server.runtime.subscriptions import Subscriptions

_LINGER_MS = 300
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_BACKLOG = 1024

_SUBSCRIPTIONS_A_TURN = 500
"""Taken note of in one turn: whoever subscribes to a million topics holds nobody up."""

_SUBSCRIPTIONS_QUEUED = 1
"""Of one subscriber. libzmq takes in all that is queued before anything else: a longer queue never ends in a flood."""

_UNBIND_LIMIT_MS = 1000
"""How long it may take until an address is free again."""


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""


class Sockets:
    """Binds both endpoints. Raises `BindError`."""

    def __init__(self, bind: str, events_bind: str, max_message_bytes: int) -> None:
        self._context = zmq.Context()
        self.commands = self._context.socket(zmq.ROUTER)
        self.events = self._context.socket(zmq.XPUB)
        self._poller = zmq.Poller()
        self._backlog = Backlog()
        self._feed = Feed()
        self._subscriptions = Subscriptions()
        endpoint = bind
        try:
            self._set_up(self.commands, REPLIES_QUEUED, bind)
            self.commands.rcvhwm = REQUESTS_QUEUED
            self.commands.maxmsgsize = frame_maximum_bytes(max_message_bytes)
            self.commands.router_mandatory = True
            self.commands.router_handover = True
            self._set_up_events(events_bind)
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

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what comes in."""
        self._poller = poller
        poller.register(self.commands, zmq.POLLIN)
        poller.register(self.events, zmq.POLLIN)

    def receive(self) -> list[bytes] | None:
        """The frames of the next request; None if there is none."""
        try:
            return self.commands.recv_multipart(zmq.DONTWAIT)
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

    def publish(self, events: Iterable[Event]) -> None:
        """Sends events to their subscribers. Where nobody listens, none is even encoded."""
        if not self._subscriptions.is_anything_wanted:
            return
        for event in events:
            topic = event_topic(event.timer.id, event.kind)
            if self._subscriptions.wants(topic):
                self._feed.send(self.events, topic, encode(event.view()))
        if self._feed.is_too_long:
            self._cut_subscribers_off("too many bytes of events wait for subscribers that do not read")

    def beat(self, beat: Beat) -> None:
        """Sends a sign of life."""
        self.events.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def take_subscriptions(self) -> None:
        """Takes note of who wants what. Where that is too much to keep, all subscribers have to connect again."""
        if self.events.poll(0):
            self._subscriptions.take(self._notices())
            if self._subscriptions.are_too_many:
                self._cut_subscribers_off("too many subscriptions")

    def close(self) -> None:
        """Gives what was sent a moment to leave, then lets go of everything."""
        self.commands.close(linger=_LINGER_MS)
        self.events.close(linger=_LINGER_MS)
        self._context.term()

    def _notices(self) -> Iterator[zmq.Frame]:
        for _ in range(_SUBSCRIPTIONS_A_TURN):
            try:
                yield self.events.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return

    def _cut_subscribers_off(self, reason: str) -> None:
        """Makes the events socket anew at the same address. Subscribers connect again, and read what they missed.

        Raises `BindError`.
        """
        log.warning("all subscribers are cut off and may connect again", extra=fields(reason=reason))
        endpoint = self.events_endpoint
        self._poller.unregister(self.events)
        closed = self.events.get_monitor_socket(zmq.EVENT_CLOSED)
        self.events.unbind(endpoint)
        closed.poll(_UNBIND_LIMIT_MS)  # another thread closes the old listener; only then the address is free
        self.events.disable_monitor()
        closed.close(linger=0)
        self.events.close(linger=0)
        self.events = self._context.socket(zmq.XPUB)
        self._set_up_events(endpoint)
        try:
            self.events.bind(endpoint)
        except zmq.ZMQError as error:
            raise BindError(f"cannot bind {endpoint} again: {error}") from None
        self._poller.register(self.events, zmq.POLLIN)
        self._feed = Feed()
        self._subscriptions = Subscriptions()

    def _set_up_events(self, endpoint: str) -> None:
        self._set_up(self.events, EVENTS_QUEUED, endpoint)
        self.events.maxmsgsize = SUBSCRIPTION_BYTES
        self.events.rcvhwm = _SUBSCRIPTIONS_QUEUED

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
