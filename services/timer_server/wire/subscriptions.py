"""What subscribers have subscribed to: each topic of each connection, as libzmq holds it.

The socket tells of each subscription, and of each that is taken back, over which connection it came. When a connection
has gone, it tells each topic that libzmq has given up with it, but not whose they were.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import zmq

from timer_protocol.frames import BEAT_TOPIC
from timer_protocol.rights import narrow_topic
from timer_server.access.admission import connection_number
from timer_server.access.gate import Gate
from timer_server.limits import SUBSCRIBED_BYTES, SUBSCRIBER_BURST, SUBSCRIBER_BYTES
from timer_server.wire.connections import Connection, connection_of
from timer_server.wire.endpoints import Socket

_SUBSCRIBE, _UNSUBSCRIBE = b"\x01", b"\x00"

_TOPIC_BYTES = 40
"""What a topic counts beside its length. In libzmq's tree a byte takes some fifty, and a branch up to two thousand."""

_SUBSCRIBER_BYTES = 400
"""What a subscriber takes here, beside its topics."""

_PREFIXES_MATCHED = 64
"""With more topics than this, every event goes to the socket, which finds the subscribers faster."""


class Subscriber:
    """A connection and its topics, each with what is in force for it, where that is not the topic itself."""

    __slots__ = ("connection", "frames", "in_force", "is_cut", "number", "size", "topics")

    def __init__(self, number: str, connection: Connection) -> None:
        self.number = number
        self.connection = connection
        self.topics: dict[bytes, list[bytes]] = {}
        self.in_force: Counter[bytes] = Counter()
        self.size = 0
        self.frames = 0
        """Frames since the queue was last seen empty."""
        self.is_cut = False


class NotASubscription(Exception):
    """A frame that is no subscription came to a manual XPUB: libzmq 4.3.5 now takes one subscriber for another."""


class Subscriptions:
    """The topics that have subscribers, and whose they are. With a gate, the socket has to be manual, else verbose.

    A gate's keys limit what comes into force.
    """

    def __init__(self, socket: Socket, gate: Gate | None) -> None:
        self._socket = socket
        self._gate = gate
        self._subscribers: dict[str, Subscriber] = {}
        self._busy: list[Subscriber] = []
        self._cut_off: set[Subscriber] = set()
        self._gone: list[Subscriber] = []
        self._holders: dict[bytes, int] = {}
        self._size = 0
        """Of all topics, each once."""
        self._held = 0
        """Of all topics, each once for each of its holders."""
        self._known = 0
        """Of the topics of all subscribers, with those that have gone and are not forgotten yet."""
        self._leaving = 0
        """Of the topics of those who were cut off and are not forgotten yet."""
        self._look_beyond = SUBSCRIBED_BYTES
        self._wanted: tuple[bytes, ...] = ()

    @property
    def is_anything_wanted(self) -> bool:
        """Whether any event may have subscribers."""
        return bool(self._wanted)

    def wants(self, topic: bytes) -> bool:
        """Whether a topic may have subscribers."""
        return topic.startswith(self._wanted)

    def want_which(self, topics: Iterable[bytes]) -> list[bool]:
        """Which topics may have subscribers."""
        wanted = self._wanted
        return [topic.startswith(wanted) for topic in topics]

    def take(self, notice: zmq.Frame) -> None:
        """Notes a frame that the socket has received. Raises `NotASubscription`, only with a gate."""
        told = notice.bytes
        kind, topic = told[:1], told[1:]
        number = connection_number(notice)
        if number is None:
            self._take_of_nobody(kind, topic)
            return
        subscriber = self._subscribers.get(number)
        if subscriber is None:
            subscriber = self._subscribers[number] = Subscriber(number, connection_of(notice))
        if not subscriber.frames:
            self._busy.append(subscriber)
        subscriber.frames += 1
        if kind == _SUBSCRIBE:
            if topic not in subscriber.topics:
                self._add(subscriber, topic, notice)
        elif kind == _UNSUBSCRIBE:
            if topic in subscriber.topics:
                self._remove(subscriber, topic)
        elif self._gate is not None:
            self._gate.suspend(notice)
            raise NotASubscription

    def settle(self) -> None:
        """Notes that the socket has nothing more for now, so that subscribers who had gone before can be forgotten."""
        for subscriber in self._busy:
            subscriber.frames = 0
        self._busy.clear()
        for gone in self._gone:
            self._forget(gone)
        self._gone.clear()
        if self._unaccounted > self._look_beyond:
            self._gone = [one for one in self._subscribers.values() if not one.connection.is_open]
            self._look_beyond = SUBSCRIBED_BYTES + 2 * self._unaccounted
        elif self._cut_off:
            self._gone = [one for one in self._cut_off if not one.connection.is_open]

    def beyond_bounds(self) -> Iterator[tuple[Subscriber, str]]:
        """The subscribers who have to be cut off now, each with the reason. Each is told once."""
        for subscriber in self._busy:
            if subscriber.is_cut:
                continue
            if subscriber.size > SUBSCRIBER_BYTES:
                yield self._cut(subscriber), "too many topics"
            elif subscriber.frames > SUBSCRIBER_BURST:
                yield self._cut(subscriber), "more subscriptions than can be handled"
        while self._size - self._leaving > SUBSCRIBED_BYTES:
            staying = [one for one in self._subscribers.values() if one.size and not one.is_cut]
            if not staying:
                return
            yield self._cut(max(staying, key=lambda one: one.size)), "too many topics of all, and it has the most"

    @property
    def _unaccounted(self) -> int:
        """The more, the more of those known may have gone."""
        return self._known - self._held + len(self._subscribers) * _SUBSCRIBER_BYTES

    def _forget(self, gone: Subscriber) -> None:
        del self._subscribers[gone.number]
        self._known -= gone.size
        if gone.is_cut:
            self._cut_off.discard(gone)
            self._leaving -= gone.size

    def _cut(self, subscriber: Subscriber) -> Subscriber:
        subscriber.is_cut = True
        self._cut_off.add(subscriber)
        self._leaving += subscriber.size
        return subscriber

    def _take_of_nobody(self, kind: bytes, topic: bytes) -> None:
        """Notes what libzmq itself tells of a connection that has gone, or what a peer in the own process has sent."""
        if kind == _SUBSCRIBE:
            self._hold(topic)
        elif kind == _UNSUBSCRIBE:
            self._release(topic)

    def _add(self, subscriber: Subscriber, topic: bytes, notice: zmq.Frame) -> None:
        subscriber.topics[topic] = in_force = self._narrowed(topic, notice)
        for one in in_force:
            subscriber.in_force[one] += 1
            if subscriber.in_force[one] == 1:
                self._socket.setsockopt(zmq.SUBSCRIBE, one)  # of the sender of the last notice
        self._hold(topic)
        self._resize(subscriber, _cost(topic))

    def _remove(self, subscriber: Subscriber, topic: bytes) -> None:
        for one in subscriber.topics.pop(topic):
            subscriber.in_force[one] -= 1
            if not subscriber.in_force[one]:
                del subscriber.in_force[one]
                self._socket.setsockopt(zmq.UNSUBSCRIBE, one)
        self._release(topic)
        self._resize(subscriber, -_cost(topic))

    def _narrowed(self, topic: bytes, notice: zmq.Frame) -> list[bytes]:
        """What the socket has to be told to put into force; nothing where it does that by itself."""
        return [] if self._gate is None else narrow_topic(topic, self._gate.sender_of(notice))

    def _resize(self, subscriber: Subscriber, change: int) -> None:
        subscriber.size += change
        self._known += change
        self._leaving += change if subscriber.is_cut else 0

    def _hold(self, topic: bytes) -> None:
        holders = self._holders.get(topic, 0)
        self._holders[topic] = holders + 1
        self._held += _cost(topic)
        if not holders:
            self._size += _cost(topic)
            self._note_wanted()

    def _release(self, topic: bytes) -> None:
        holders = self._holders.get(topic, 0)
        if not holders:
            return
        self._held -= _cost(topic)
        if holders > 1:
            self._holders[topic] = holders - 1
        else:
            del self._holders[topic]
            self._size -= _cost(topic)
            self._note_wanted()

    def _note_wanted(self) -> None:
        is_short = len(self._holders) <= _PREFIXES_MATCHED + 1  # with the beat
        self._wanted = tuple(self._holders.keys() - {BEAT_TOPIC}) if is_short else (b"",)


def _cost(topic: bytes) -> int:
    return len(topic) + _TOPIC_BYTES
