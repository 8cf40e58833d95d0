"""The topics that may have subscribers, from what the events socket tells."""

from collections.abc import Iterable

import zmq

from timer_protocol.frames import BEAT_TOPIC
from timer_server.limits import SUBSCRIBED_BYTES

_PREFIXES_MATCHED = 64
"""With more topics than this, every event goes to the socket, which finds the subscribers faster."""


class Subscriptions:
    """Topics that may have subscribers.

    An unsubscribe frame can be forged, so a topic is given up only when libzmq itself made the unsubscribe. Publishing
    too much only costs encoding. An XPUB tells of the first subscriber of a topic and of the last to leave, a manual
    one of every subscriber.
    """

    def __init__(self, is_manual: bool) -> None:
        self._is_manual = is_manual
        self._prefixes: dict[bytes, int] = {}
        self._taken_back: set[bytes] = set()
        self._bytes = 0
        self._wanted: tuple[bytes, ...] = ()

    @property
    def is_anything_wanted(self) -> bool:
        """Whether any event may have subscribers."""
        return bool(self._wanted)

    @property
    def are_too_many(self) -> bool:
        """Whether the topics have more than `SUBSCRIBED_BYTES` in all."""
        return self._bytes > SUBSCRIBED_BYTES

    def wants(self, topic: bytes) -> bool:
        """Whether a topic may have subscribers."""
        return topic.startswith(self._wanted)

    def take(self, notices: Iterable[zmq.Frame]) -> None:
        """Notes the subscribe and unsubscribe frames that the socket has received."""
        for notice in notices:
            told = notice.bytes
            if told[:1] == b"\x01":
                self._add(told[1:])
            elif told[:1] == b"\x00":
                self._remove(told[1:], is_certain=not _is_from_a_peer(notice))
        wanted = (self._prefixes.keys() | self._taken_back) - {BEAT_TOPIC}
        self._wanted = tuple(wanted) if len(wanted) <= _PREFIXES_MATCHED else (b"",)

    def _add(self, prefix: bytes) -> None:
        if prefix not in self._prefixes:
            self._bytes += len(prefix)
        self._prefixes[prefix] = self._prefixes.get(prefix, 0) + 1

    def _remove(self, prefix: bytes, is_certain: bool) -> None:
        if not is_certain:
            self._keep(prefix)
        elif not self._is_manual:
            self._taken_back.discard(prefix)
        subscribers = self._prefixes.get(prefix, 0)
        if subscribers > 1 and self._is_manual:
            self._prefixes[prefix] = subscribers - 1
        elif subscribers:
            del self._prefixes[prefix]
            self._bytes -= len(prefix)

    def _keep(self, prefix: bytes) -> None:
        """Goes on publishing a topic after a peer's unsubscribe; once those are too many, everything."""
        if prefix in self._prefixes and len(self._taken_back) < _PREFIXES_MATCHED:
            self._taken_back.add(prefix)
        elif prefix in self._prefixes:
            self._taken_back = {b""}


def _is_from_a_peer(notice: zmq.Frame) -> bool:
    """Whether a frame came over a connection: those of libzmq itself, and of `inproc` peers, have no properties."""
    try:
        notice.get("__fd")
    except zmq.ZMQError:
        return False
    return True
