"""The events socket: an XPUB that publishes events and the beat to subscribers."""

from collections.abc import Iterable, Iterator

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.messages import Beat
from timer_protocol.rights import narrow_topic
from timer_server.access.gate import Gate
from timer_server.core.model import Countdown
from timer_server.limits import EVENTS_QUEUED, SUBSCRIPTION_BYTES
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
"""Subscriptions handled in one turn, so that one subscriber with a million topics holds nobody up."""

_SUBSCRIPTIONS_QUEUED = 2
"""For one subscriber. libzmq takes in all that is queued before anything else: in a flood, a longer queue never ends.
With a shorter one, its questions to the gate are not answered."""

_SUBSCRIBING = {b"\x01": zmq.SUBSCRIBE, b"\x00": zmq.UNSUBSCRIBE}


class Events:
    """The socket bound to the events endpoint. With a gate, keys limit what subscribers get. Raises `BindError`."""

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

    def publish(self, log_id: str, events: Iterable[Countdown]) -> None:
        """Sends events of a log to their subscribers. An event without subscribers is not encoded."""
        if not self._subscriptions.is_anything_wanted:
            return
        for event in events:
            topic = event_topic(event.id, event.kind)
            if self._subscriptions.wants(topic):
                self._feed.send(self.socket, topic, encode(event.event_view(log_id)))
        if self._feed.is_too_long:
            self._cut_off("too many bytes of events wait for subscribers that do not read")

    def beat(self, beat: Beat) -> None:
        """Sends the beat to its subscribers."""
        self.socket.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def take_subscriptions(self) -> None:
        """Notes new subscriptions. Where they are too many, all subscribers are cut off and may connect again."""
        self._subscriptions.take(self._notices())
        if self._is_out_of_step:
            self._cut_off("a subscriber sent what is no subscription")
        elif self._subscriptions.are_too_many:
            self._cut_off("too many subscriptions")

    def reopen(self) -> None:
        """Closes the socket and binds a new one. Subscribers connect again, and read what they missed."""
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
        # Queues of subscribers may be full, so heartbeats cannot be used: a dead one is known by unread data.
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

        False for a frame that is no subscription: after one, libzmq 4.3.5 takes one subscriber for another.
        """
        option, sender = _SUBSCRIBING.get(notice.bytes[:1]), gate.sender_of(notice)
        if option is None:
            gate.suspend(notice)
            return False
        # Narrowing may turn several topics into one, so only the end of the connection takes it back.
        if option == zmq.SUBSCRIBE or sender.hears_all:
            for topic in narrow_topic(notice.bytes[1:], sender):
                self.socket.setsockopt(option, topic)  # applies to the sender of the last notice
        return True
