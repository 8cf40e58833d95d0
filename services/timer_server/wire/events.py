"""The events socket: an XPUB that publishes events and the beat to subscribers."""

from collections.abc import Iterable, Iterator
from itertools import compress

import zmq

from timer_protocol.codec import encode
from timer_protocol.frames import BEAT_TOPIC, PLAN_TOPIC, event_topic
from timer_protocol.messages import Beat
from timer_protocol.plan_messages import Skipped
from timer_server.access.admission import Admission
from timer_server.core.bulk_versions import BulkVersions
from timer_server.core.model import Countdown
from timer_server.limits import EVENTS_QUEUED, SUBSCRIPTION_BYTES
from timer_server.logs import fields, log
from timer_server.wire.endpoint_socket import EndpointSocket
from timer_server.wire.endpoints import FOR_EVENTS, HEARTBEAT_TIMEOUT_MS, Context, Socket, new_socket
from timer_server.wire.feed import Feed
from timer_server.wire.subscriptions import NotASubscription, Subscriber, Subscriptions

_SUBSCRIPTIONS_A_TURN = 500
"""Subscriptions handled in one turn, so that one subscriber with a million topics holds nobody up."""

_SUBSCRIPTIONS_QUEUED = 2
"""For one subscriber. libzmq takes in all that is queued before anything else: in a flood, a longer queue never ends.
With a shorter one, its questions to the gate are not answered."""


_SUBSCRIPTION_BUFFER_BYTES = 65_536
"""What the kernel may hold of them for one subscriber: what it has sent by the time it is cut off is taken in."""


class Events(EndpointSocket):
    """The socket bound to the events endpoint. With a gate, keys limit what subscribers get. Raises `BindError`."""

    def __init__(self, context: Context, endpoint: str, admission: Admission) -> None:
        self._admission = admission
        super().__init__(context, endpoint, linger_ms=0)

    def _begin(self, socket: Socket) -> None:
        super()._begin(socket)
        self.reason_to_reopen = ""
        """Why all subscribers have to be cut off; the caller sees to it that there are descriptors for that."""
        self.is_behind = False
        """Whether subscriptions wait to be taken. Nobody should be admitted meanwhile who may bring more."""
        self._feed = Feed()
        self._subscriptions = Subscriptions(socket, self._admission.gate)

    @property
    def is_anything_wanted(self) -> bool:
        """Whether there is any subscription to events."""
        return self._subscriptions.is_anything_wanted

    def publish(self, log_id: str, events: Iterable[Countdown]) -> None:
        """Sends events of a log to their subscribers. An event without subscribers is not encoded."""
        if isinstance(events, BulkVersions):
            wanted = self._wanted_together(log_id, events)
        else:
            wanted = self._wanted(log_id, events)
        self._feed.send(self.socket, wanted)
        if self._feed.is_too_long:
            self.reason_to_reopen = "too many bytes of events wait for subscribers that do not read"

    def _wanted(self, log_id: str, events: Iterable[Countdown]) -> Iterator[tuple[bytes, bytes]]:
        for event in events:
            topic = event_topic(event.id, event.kind)
            if self._subscriptions.wants(topic):
                yield topic, encode(event.event_view(log_id))

    def _wanted_together(self, log_id: str, versions: BulkVersions) -> Iterable[tuple[bytes, bytes]]:
        kind = versions.kind
        topics = [event_topic(timer_id, kind) for timer_id in versions.before.ids]
        are_wanted = self._subscriptions.want_which(topics)
        if not any(are_wanted):
            return ()
        wanted = compress(versions.views(log_id), are_wanted)
        return zip(compress(topics, are_wanted), map(encode, wanted), strict=True)

    def publish_skipped(self, skipped: Iterable[Skipped]) -> None:
        """Tells the subscribers of plans of moments that were skipped."""
        for moments in skipped:
            topic = PLAN_TOPIC + moments.plan.encode()
            if self._subscriptions.wants(topic):
                self._feed.send(self.socket, [(topic, encode(moments))])

    def beat(self, beat: Beat) -> None:
        """Sends the beat to its subscribers."""
        self.socket.send_multipart((BEAT_TOPIC, encode(beat)), zmq.DONTWAIT)

    def take_subscriptions(self) -> None:
        """Notes new subscriptions, and cuts off the subscribers that have too many."""
        if self.reason_to_reopen:
            return
        try:
            self.is_behind = not self._take_some()
        except NotASubscription:
            self.reason_to_reopen = "a subscriber sent what is no subscription"
            return
        for subscriber, reason in self._subscriptions.beyond_bounds():
            _cut_off(subscriber, reason)
        if not self.is_behind:
            self._subscriptions.settle()

    def _take_some(self) -> bool:
        """Takes what a turn may take, and returns whether that was all. Raises `NotASubscription`."""
        for _ in range(_SUBSCRIPTIONS_A_TURN):
            try:
                notice = self.socket.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return True
            self._subscriptions.take(notice)
        return False

    def _make(self, context: Context, endpoint: str) -> Socket:
        socket = new_socket(context, zmq.XPUB, EVENTS_QUEUED, endpoint, FOR_EVENTS)
        self._admission.guard_events(socket)
        socket.maxmsgsize = SUBSCRIPTION_BYTES
        socket.rcvhwm = _SUBSCRIPTIONS_QUEUED
        socket.rcvbuf = _SUBSCRIPTION_BUFFER_BYTES
        # Queues of subscribers may be full, so heartbeats cannot be used: a dead one is known by unread data.
        socket.tcp_maxrt = HEARTBEAT_TIMEOUT_MS
        # Both tell of every subscription; a manual one leaves it to the server what comes into force.
        socket.setsockopt(zmq.XPUB_VERBOSER if self._admission.gate is None else zmq.XPUB_MANUAL, 1)
        return socket


def _cut_off(subscriber: Subscriber, reason: str) -> None:
    subscriber.connection.end(by_reset=True)
    log.warning(
        "a subscriber is cut off and may connect again", extra=fields(reason=reason, topics=len(subscriber.topics))
    )
