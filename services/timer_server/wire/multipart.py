"""Sending and receiving messages of several frames, in half the time of pyzmq's own calls for it."""

from collections.abc import Sequence

import zmq
from zmq.backend import Socket as PlainSocket

DONTWAIT = int(zmq.DONTWAIT)
"""Flags as plain numbers: combining enumerations takes longer than sending a frame."""

MORE = int(zmq.DONTWAIT | zmq.SNDMORE)


# What pyzmq's sockets inherit. Their own `send` looks at options of draft sockets first, which takes as long again.
_send, _receive = PlainSocket.send, PlainSocket.recv

# As plain numbers, which take half the time of pyzmq's enumerations.
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


def is_readable(socket: "zmq.Socket[bytes]") -> bool:
    """Whether there is something to receive: to find out costs less than half of an attempt that finds nothing."""
    return bool(int(socket.get(_EVENTS)) & _READABLE)


def receive_from_router(socket: "zmq.Socket[bytes]") -> list[bytes]:
    """The next message of a ROUTER, the routing id first. Raises `zmq.Again` where there is none."""
    frames: list[bytes] = [_receive(socket, DONTWAIT)]
    is_more = True  # a routing id never comes alone
    while is_more:
        frame = _receive(socket, DONTWAIT, False)  # which says whether it is the last, for less than the socket does
        frames.append(frame.bytes)
        is_more = frame.more
    return frames


def send(socket: "zmq.Socket[bytes]", frames: Sequence[bytes]) -> None:
    """Sends a message. Raises `ZMQError` where that is not possible at once."""
    for frame in frames[:-1]:
        _send(socket, frame, MORE)
    _send(socket, frames[-1], DONTWAIT)


def send_pair(socket: "zmq.Socket[bytes]", first: bytes, second: bytes) -> None:
    """Sends a message of two frames, for a fifth less than `send` of both. Raises the same."""
    _send(socket, first, MORE)
    _send(socket, second, DONTWAIT)
