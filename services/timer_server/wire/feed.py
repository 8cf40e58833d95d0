"""The events that wait in ZeroMQ for subscribers who do not read.

The socket releases an event when the slowest of its subscribers has it, and does not tell which one that is. So all are
cut off where too much waits; those that read connect again and lose nothing.
"""

import zmq

from timer_server.limits import EVENTS_BYTES
from timer_server.wire.fences import FENCE_BYTES, Fences, send_fence
from timer_server.wire.multipart import send


class Feed:
    """Publishes events, and counts the bytes that wait for the slowest subscriber."""

    def __init__(self) -> None:
        self._fences = Fences()
        self._since_fence = 0

    def send(self, socket: zmq.Socket[bytes], topic: bytes, body: bytes) -> None:
        """Sends one event to the subscribers of its topic."""
        size = self._since_fence + len(body)
        if size < FENCE_BYTES:
            send(socket, (topic, body))
            self._since_fence = size
        else:
            self._fences.add(send_fence(socket, (topic, body)), size)
            self._since_fence = 0

    @property
    def is_too_long(self) -> bool:
        """Whether more than `EVENTS_BYTES` wait."""
        if self._fences.size > EVENTS_BYTES:
            self._fences.settle()
        return self._fences.size > EVENTS_BYTES
