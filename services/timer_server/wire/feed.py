"""The events that wait in ZeroMQ for subscribers who do not read.

The socket releases an event when the slowest of its subscribers has it, and does not tell which one that is. So all are
cut off where too much waits; those that read connect again and lose nothing.
"""

from collections.abc import Iterable

import zmq

from timer_server.limits import EVENTS_BYTES
from timer_server.wire.fences import FENCE_BYTES, Fences, send_fence
from timer_server.wire.multipart import send_pair


class Feed:
    """Publishes events, and counts the bytes that wait for the slowest subscriber."""

    def __init__(self) -> None:
        self._fences = Fences()
        self._since_fence = 0

    def send(self, socket: zmq.Socket[bytes], events: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends events, each a topic and a body, to the subscribers of their topics."""
        size = self._since_fence
        for topic, body in events:
            size += len(body)
            if size < FENCE_BYTES:
                send_pair(socket, topic, body)
            else:
                self._fences.add(send_fence(socket, (topic, body)), size)
                size = 0
        self._since_fence = size

    @property
    def is_too_long(self) -> bool:
        """Whether more than `EVENTS_BYTES` wait."""
        if self._fences.size > EVENTS_BYTES:
            self._fences.settle()
        return self._fences.size > EVENTS_BYTES
