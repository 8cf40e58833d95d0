"""What happens to the connections of a socket, as ZeroMQ tells it."""

import struct
from contextlib import suppress

import zmq

from timer_server.wire.endpoints import Context, Socket

_EVENT = struct.Struct("=HI")


class Monitor:
    """Tells some kinds of events of a socket. `descriptor` becomes readable with them. Raises `ZMQError`.

    To poll the ZeroMQ socket that brings them would cost each turn two system calls. The descriptor tells of what comes
    after a read that found nothing.
    """

    def __init__(self, context: Context, socket: Socket, watched: int) -> None:
        self._socket = socket
        self._pair = context.socket(zmq.PAIR)
        try:
            self._pair.rcvhwm = 0  # libzmq's thread would wait for a place in the queue
            place = f"inproc://monitor-{socket.underlying}"
            socket.monitor(place, watched)
            self._pair.connect(place)
            self.descriptor = self._pair.fileno()
        except zmq.ZMQError:
            self._pair.close(linger=0)
            raise
        self.events()

    def events(self) -> list[tuple[int, int]]:
        """The events since the last call, with their values."""
        events: list[tuple[int, int]] = []
        with suppress(zmq.Again):
            while True:
                event, _endpoint = self._pair.recv_multipart(zmq.DONTWAIT)
                events.append(_EVENT.unpack(event))
        return events

    def close(self) -> None:
        """Ends the telling. The socket itself must not be closed before."""
        self._socket.disable_monitor()
        self._pair.close(linger=0)
