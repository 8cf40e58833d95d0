"""The replies that wait in ZeroMQ for peers who do not read."""

from itertools import islice

import zmq

from timer_server.limits import BACKLOG_BYTES, PEER_BACKLOG_BYTES
from timer_server.wire.fences import FENCE_BYTES, Fences, send_fence
from timer_server.wire.multipart import send

_PEERS_COUNTED = 20_000
"""Peers whose bytes since their last fence are counted. Past it all counts begin anew, without those of gone peers."""

_PEERS_SETTLED = 2
"""Queues looked at for each fence, so that those of gone peers are found as fast as others are made."""

_PEERS_SETTLED_IF_FULL = 32
"""The same for each reply, where all peers together hold too much."""


class Backlog:
    """Sends replies to peers as long as they read."""

    def __init__(self) -> None:
        self._since_fence: dict[bytes, int] = {}
        self._queues: dict[bytes, Fences] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that wait behind fences, for all peers; gone ones may still be among them."""
        return self._size

    def send(self, socket: zmq.Socket[bytes], frames: list[bytes]) -> bool:
        """Sends a reply to the peer that its first frame names; False if too much waits already.

        Raises `ZMQError` where the peer is gone or its queue is full.
        """
        peer, since_fence = frames[0], self._since_fence
        size = sum(map(len, frames))
        if self._queues and not self._has_room(peer, size):
            return False
        size += since_fence.get(peer, 0)
        if size >= FENCE_BYTES:
            self._add_fence(peer, send_fence(socket, frames), size)
            return True
        send(socket, frames)
        if len(since_fence) >= _PEERS_COUNTED:
            since_fence.clear()
        since_fence[peer] = size
        return True

    def _has_room(self, peer: bytes, size: int) -> bool:
        """Whether more may wait for a peer. Where all peers hold too much, those that read still get small replies."""
        queue = self._settled(peer)
        if queue is not None and queue.size >= PEER_BACKLOG_BYTES:
            return False
        if self._size >= BACKLOG_BYTES:
            self._settle(_PEERS_SETTLED_IF_FULL)
        return self._size < BACKLOG_BYTES or (queue is None and size < FENCE_BYTES)

    def _add_fence(self, peer: bytes, tracker: zmq.MessageTracker, size: int) -> None:
        self._since_fence.pop(peer, None)
        self._settle(_PEERS_SETTLED)
        self._queues.setdefault(peer, Fences()).add(tracker, size)
        self._size += size

    def _settle(self, how_many: int) -> None:
        """Settles some queues; the next call goes on behind them."""
        for peer in list(islice(self._queues, how_many)):
            queue = self._settled(peer)
            if queue is not None:
                del self._queues[peer]
                self._queues[peer] = queue

    def _settled(self, peer: bytes) -> Fences | None:
        """What still waits for a peer; None if nothing does."""
        queue = self._queues.get(peer)
        if queue is None:
            return None
        self._size -= queue.settle()
        if not queue.size:
            del self._queues[peer]
            return None
        return queue
