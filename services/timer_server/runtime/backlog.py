"""Bytes of replies that wait in ZeroMQ for peers who do not read. ZeroMQ bounds its queues by messages alone.

A reply now and then is sent without a copy, as a fence: ZeroMQ tells when it has let go of it. Queues are first in,
first out, so everything that went to the peer before has gone as well. A fence costs some ten microseconds, which is
why most replies are none.
"""

from collections import deque
from itertools import islice
from typing import NamedTuple

import zmq

from timer_protocol.limits import BACKLOG_BYTES, PEER_BACKLOG_BYTES

_FENCE_BYTES = 65_536
"""Sent to one peer between two fences; with this much, the fence costs a few percent of making the replies."""

_PEERS_COUNTED = 20_000
"""Peers whose bytes since their last fence are known. Past it all are counted anew: peers that have gone are."""

_PEERS_SETTLED = 2
"""Looked at for each fence, so that queues of peers that have gone are found as fast as others are made."""

_PEERS_SETTLED_IF_FULL = 32
"""The same for each reply, where all peers together hold too much."""


class _Fence(NamedTuple):
    tracker: zmq.MessageTracker
    size: int


class _Queue:
    """What one peer has not taken yet: fences, the oldest first, and their bytes."""

    __slots__ = ("fences", "size")

    def __init__(self) -> None:
        self.fences: deque[_Fence] = deque()
        self.size = 0


class Backlog:
    """Sends replies, as long as their peers read."""

    def __init__(self) -> None:
        self._since_fence: dict[bytes, int] = {}
        self._queues: dict[bytes, _Queue] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that wait behind fences, of all peers; those that have gone since may still be among them."""
        return self._size

    def send(self, socket: zmq.Socket[bytes], frames: list[bytes]) -> bool:
        """Sends a reply to the peer that its first frame names; False if too much waits already.

        Raises `ZMQError` where the peer is gone or its queue is full.
        """
        peer = frames[0]
        size = sum(map(len, frames))
        if self._queues and not self._has_room(peer, size):
            return False
        size += self._since_fence.get(peer, 0)
        if size < _FENCE_BYTES:
            socket.send_multipart(frames, zmq.DONTWAIT)
            self._count(peer, size)
        else:
            socket.send_multipart(frames[:-1], zmq.DONTWAIT | zmq.SNDMORE)
            fence = zmq.Frame(frames[-1], track=True, copy=False)
            socket.send(fence, zmq.DONTWAIT, copy=False)
            self._add_fence(peer, _Fence(fence.tracker, size))
        return True

    def _has_room(self, peer: bytes, size: int) -> bool:
        """Whether more may wait for a peer. Where all together hold too much, those who read get what is small."""
        queue = self._settled(peer)
        if queue is not None and queue.size >= PEER_BACKLOG_BYTES:
            return False
        if self._size >= BACKLOG_BYTES:
            self._settle(_PEERS_SETTLED_IF_FULL)
        return self._size < BACKLOG_BYTES or (queue is None and size < _FENCE_BYTES)

    def _count(self, peer: bytes, size: int) -> None:
        if len(self._since_fence) >= _PEERS_COUNTED:
            self._since_fence.clear()
        self._since_fence[peer] = size

    def _add_fence(self, peer: bytes, fence: _Fence) -> None:
        self._since_fence.pop(peer, None)
        self._settle(_PEERS_SETTLED)
        queue = self._queues.setdefault(peer, _Queue())
        queue.fences.append(fence)
        queue.size += fence.size
        self._size += fence.size

    def _settle(self, how_many: int) -> None:
        """Settles some queues; the next call goes on behind them."""
        for peer in list(islice(self._queues, how_many)):
            queue = self._settled(peer)
            if queue is not None:
                del self._queues[peer]
                self._queues[peer] = queue

    def _settled(self, peer: bytes) -> _Queue | None:
        """What still waits for a peer; None if nothing does."""
        queue = self._queues.get(peer)
        if queue is None:
            return None
        while queue.fences and queue.fences[0].tracker.done:
            size = queue.fences.popleft().size
            queue.size -= size
            self._size -= size
        if not queue.fences:
            del self._queues[peer]
            return None
        return queue
