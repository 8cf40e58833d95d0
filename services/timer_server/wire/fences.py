"""Fences count the bytes that ZeroMQ still holds, which bounds its queues by messages and not by bytes.

Some messages are sent without a copy, as fences: ZeroMQ tells when it has released one. Queues are first in, first out,
so everything sent before has left as well. A fence costs some ten microseconds, so most messages are none.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import zmq

from timer_server.wire.multipart import DONTWAIT, MORE

FENCE_BYTES = 65_536
"""Bytes sent between two fences. With so many, a fence costs a few percent of making them."""


def prepare_fences() -> None:
    """Has pyzmq start its thread for messages that are sent without a copy, while there are descriptors for that."""
    zmq.Frame(b"", track=True, copy=False)


def send_fence(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> zmq.MessageTracker:
    """Sends a message whose tracker tells when ZeroMQ has released it. Raises `ZMQError`."""
    for frame in frames[:-1]:
        socket.send(frame, MORE)
    fence = zmq.Frame(frames[-1], track=True, copy=False)
    socket.send(fence, DONTWAIT, copy=False)
    assert isinstance(fence.tracker, zmq.MessageTracker)
    return fence.tracker


class _Fence(NamedTuple):
    tracker: zmq.MessageTracker
    size: int


class Fences:
    """The fences of one queue, the oldest first, each with the bytes sent since the one before."""

    __slots__ = ("_fences", "size")

    def __init__(self) -> None:
        self._fences: deque[_Fence] = deque()
        self.size = 0

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """Adds a fence, with the bytes sent since the last one."""
        self._fences.append(_Fence(tracker, size))
        self.size += size

    def settle(self) -> int:
        """Drops the fences that ZeroMQ has released, and returns their bytes. `size` is what it still holds."""
        settled = 0
        while self._fences and self._fences[0].tracker.done:
            settled += self._fences.popleft().size
        self.size -= settled
        return settled
