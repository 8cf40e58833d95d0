"""How much of what was sent is still held by ZeroMQ, which bounds its queues by messages and not by bytes.

A message now and then is sent without a copy, as a fence: ZeroMQ tells when it has let go of it. Queues are first in,
first out, so everything that was sent before has gone as well. A fence costs some ten microseconds, which is why most
messages are none.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import zmq

from timer_server.wire.multipart import DONTWAIT, MORE

FENCE_BYTES = 65_536
"""Sent between two fences; with this much, a fence costs a few percent of making what was sent."""


def send_fence(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> zmq.MessageTracker:
    """Sends a message that tells when ZeroMQ has let go of it. Raises `ZMQError`."""
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
    """The fences of one queue, the oldest first, each with the bytes since the one before."""

    __slots__ = ("_fences", "size")

    def __init__(self) -> None:
        self._fences: deque[_Fence] = deque()
        self.size = 0

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """Takes note of a fence, and of the bytes since the last one."""
        self._fences.append(_Fence(tracker, size))
        self.size += size

    def settle(self) -> int:
        """Drops the fences that ZeroMQ has let go of, and returns their bytes. `size` is what is still held."""
        settled = 0
        while self._fences and self._fences[0].tracker.done:
            settled += self._fences.popleft().size
        self.size -= settled
        return settled
