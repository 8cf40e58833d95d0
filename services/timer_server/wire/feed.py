"""The events that wait in ZeroMQ for subscribers who do not read.

The socket hands one event to all its subscribers, and lets go of it when the slowest has it. Which one that is nobody
can tell, so all of them are sent away where it leaves too much lying; who reads comes back and has lost nothing.
"""

import zmq

from timer_server.limits import EVENTS_BYTES
from timer_server.wire.fences import FENCE_BYTES, Fences, send_fence
from timer_server.wire.multipart import send


class Feed:
    """Publishes events, and knows how many of their bytes the slowest subscriber has left lying."""

    def __init__(self) -> None:
        self._fences = Fences()
        self._since_fence = 0

    def send(self, socket: zmq.Socket[bytes], topic: bytes, body: bytes) -> None:
        """Sends one event to whoever has subscribed to its topic."""
        size = self._since_fence + len(body)
        if size < FENCE_BYTES:
            send(socket, (topic, body))
            self._since_fence = size
        else:
            self._fences.add(send_fence(socket, (topic, body)), size)
            self._since_fence = 0

    @property
    def is_too_long(self) -> bool:
        """Whether more is held than may be."""
        if self._fences.size > EVENTS_BYTES:
            self._fences.settle()
        return self._fences.size > EVENTS_BYTES
