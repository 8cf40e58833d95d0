"""The events socket: an XPUB that publishes events and the beat to whoever has subscribed."""

from collections.abc import Iterable, Iterator

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.limits import EVENTS_QUEUED, SUBSCRIPTION_BYTES
from timer_protocol.messages import Beat
from timer_protocol.rights import narrow_topic
from timer_server.access.gate import Gate
from timer_server.core.model import Timer
from timer_server.logs import fields, log
from timer_server.wire.endpoints import (
    HEARTBEAT_TIMEOUT_MS,
    LINGER_MS,
    Context,
    Socket,
    bind,
    bound_endpoint,
    new_socket,
    unbind,
)
from timer_server.wire.feed import Feed
from timer_server.wire.subscriptions import Subscriptions

_SUBSCRIPTIONS_A_TURN = 500
"""Taken note of in one turn: whoever subscribes to a million topics holds nobody up."""

_SUBSCRIPTIONS_QUEUED = 2
"""Of one subscriber. libzmq takes in all that is queued before anything else: a longer queue never ends in a flood.
With a shorter one, its questions to the gate are not answered."""

_SUBSCRIBING = {b"\x01": zmq.SUBSCRIBE, b"\x00": zmq.UNSUBSCRIBE}


class Events:
    """Binds the events endpoint; with a gate, subscribers hear what their keys allow. Raises `BindError`."""

    def __init__(self, context: Context, endpoint: str, gate: Gate | None = None) -> None:
        self._context = context
        self._gate = gate
        self._poller = zmq.Poller()
        self.socket = self._open(endpoint)

    @property
    def endpoint(self) -> str:
        """Where events are published, with the port that was picked."""
        return bound_endpoint(self.socket)

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for subscriptions."""
        self._poller = poller
        poller.register(self.socket, zmq.POLLIN)

    def publish(self, events: Iterable[Timer]) -> None:
        """Sends events to their subscribers. Where nobody listens, none is even encoded."""
        if not self._subscriptions.is_anything_wanted:
            return
        for event in events:
            topic = event_topic(event.id, event.kind)
            if self._subscriptions.wants(topic):
                self._feed.send(self.socket, topic, encode(event.event_view()))
        if self._feed.is_too_long:
            self._cut_off("too many bytes of events wait for subscribers that do not read")

    def beat(self, beat: Beat) -> None:
        """Sends a sign of life."""
        self.socket.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def take_subscriptions(self) -> None:
        """Takes note of who wants what. Where that is too much to keep, all subscribers have to connect again."""
        self._subscriptions.take(self._notices())
        if self._is_out_of_step:
            self._cut_off("a subscriber sent what is no subscription")
        elif self._subscriptions.are_too_many:
            self._cut_off("too many subscriptions")

    def reopen(self) -> None:
        """Makes the socket anew at the same address. Subscribers connect again, and read what they missed."""
        endpoint = self.endpoint
        self._poller.unregister(self.socket)
        unbind(self.socket, endpoint)
        self.socket.close(linger=0)
        self.socket = self._open(endpoint)
        self._poller.register(self.socket, zmq.POLLIN)

    def close(self) -> None:
        """Closes the socket; events that were sent have a moment to leave."""
        self.socket.close(linger=LINGER_MS)

    def _open(self, endpoint: str) -> Socket:
        socket = new_socket(self._context, zmq.XPUB, EVENTS_QUEUED, endpoint, self._gate)
        socket.maxmsgsize = SUBSCRIPTION_BYTES
        socket.rcvhwm = _SUBSCRIPTIONS_QUEUED
        # Subscribers may well be full, so they get no heartbeats, and a dead one is known by what it leaves unread.
        socket.tcp_maxrt = HEARTBEAT_TIMEOUT_MS
        socket.setsockopt(zmq.XPUB_MANUAL, int(self._gate is not None))
        self._feed = Feed()
        self._is_out_of_step = False
        self._subscriptions = Subscriptions(is_manual=self._gate is not None)
        bind(socket, endpoint)
        return socket

    def _cut_off(self, reason: str) -> None:
        log.warning("all subscribers are cut off and may connect again", extra=fields(reason=reason))
        self.reopen()

    def _notices(self) -> Iterator[zmq.Frame]:
        for _ in range(_SUBSCRIPTIONS_A_TURN):
            try:
                notice = self.socket.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            if self._gate is not None and not self._permit(notice, self._gate):
                self._is_out_of_step = True
                return
            yield notice

    def _permit(self, notice: zmq.Frame, gate: Gate) -> bool:
        """Puts a subscription into force as far as its sender's rights go.

        False for what is no subscription: after such a frame, libzmq 4.3.5 takes one subscriber for another.
        """
        option, sender = _SUBSCRIBING.get(notice.bytes[:1]), gate.sender_of(notice)
        if option is None:
            gate.suspend(notice)
            return False
        # Several topics that were narrowed may have become one, so only the end of the connection takes them back.
        if option == zmq.SUBSCRIBE or sender.hears_all:
            for topic in narrow_topic(notice.bytes[1:], sender):
                self.socket.setsockopt(option, topic)  # which is about the sender of the last notice
        return True
