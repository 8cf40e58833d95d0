"""Which topics somebody wants, as far as the events socket can be believed about it."""

from collections.abc import Iterable

import zmq

from timer_protocol.frames import BEAT_TOPIC
from timer_server.limits import SUBSCRIBED_BYTES

_PREFIXES_MATCHED = 64
"""With more subscriptions than this, every event is handed to the socket, which finds its subscribers faster."""


class Subscriptions:
    """The subscriptions that are in force, by what the XPUB tells: a topic's first subscriber, and the last to leave.

    Whoever speaks ZMTP can take back what it never subscribed to, and libzmq passes that on. So what a peer has taken
    back is published on; only where libzmq itself says that its last subscriber has gone, a topic is given up.
    Publishing one too long costs encoding, no more. A manual XPUB tells of every subscriber, not of the first and the
    last alone.
    """

    def __init__(self, is_manual: bool) -> None:
        self._is_manual = is_manual
        self._prefixes: dict[bytes, int] = {}
        self._taken_back: set[bytes] = set()
        self._bytes = 0
        self._wanted: tuple[bytes, ...] = ()

    @property
    def is_anything_wanted(self) -> bool:
        """Whether there is any use in publishing events."""
        return bool(self._wanted)

    @property
    def are_too_many(self) -> bool:
        """Whether their topics have more bytes in all than may be kept."""
        return self._bytes > SUBSCRIBED_BYTES

    def wants(self, topic: bytes) -> bool:
        """Whether somebody may have subscribed to this topic."""
        return topic.startswith(self._wanted)

    def take(self, notices: Iterable[zmq.Frame]) -> None:
        """Takes note of what the socket has told."""
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
        """Goes on publishing a topic that was taken back; past so many, everything."""
        if prefix in self._prefixes and len(self._taken_back) < _PREFIXES_MATCHED:
            self._taken_back.add(prefix)
        elif prefix in self._prefixes:
            self._taken_back = {b""}


def _is_from_a_peer(notice: zmq.Frame) -> bool:
    """Whether it came over a connection: libzmq's own notices, and those of `inproc` peers, have no properties."""
    try:
        notice.get("__fd")
    except zmq.ZMQError:
        return False
    return True
