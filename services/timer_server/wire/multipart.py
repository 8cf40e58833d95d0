"""Sending and receiving messages of several frames, in half the time of pyzmq's own calls for it."""

from collections.abc import Sequence

import zmq

DONTWAIT = int(zmq.DONTWAIT)
"""Flags as plain numbers: combining enumerations takes longer than sending a frame."""

MORE = int(zmq.DONTWAIT | zmq.SNDMORE)


_send = zmq.backend.Socket.send
"""What `Socket.send` comes to, for less than half of what it costs."""


def receive_from_router(socket: "zmq.Socket[bytes]") -> list[bytes]:
    """The next message of a ROUTER, the routing id first. Raises `zmq.Again` where there is none."""
    frames = [socket.recv(DONTWAIT)]
    is_more = True  # a routing id never comes alone
    while is_more:
        frame = socket.recv(DONTWAIT, copy=False)  # which says whether it is the last, for less than the socket does
        frames.append(frame.bytes)
        is_more = frame.more
    return frames


def send(socket: "zmq.Socket[bytes]", frames: Sequence[bytes]) -> None:
    """Sends a message. Raises `ZMQError` where that is not possible at once."""
    for frame in frames[:-1]:
        _send(socket, frame, MORE)
    _send(socket, frames[-1], DONTWAIT)
