"""A connection to the events socket, for threads."""

import threading
from collections.abc import Callable

import zmq

from timer_client.errors import ClientClosed
from timer_client.link import Socket

Connect = Callable[[], tuple[Socket, int]]
"""Makes a SUB socket, and tells the descriptor that becomes readable when the client is closed."""


class Subscription:
    """A SUB socket. One thread receives; any may close it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._is_closing = False
        self._lock = threading.Lock()  # held while the socket is in use
        self._socket: Socket | None = None
        self._poller = zmq.Poller()
        self.renew()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, and its socket too."""
        return self._is_closing and self._socket is None

    def receive(self, timeout_s: float) -> list[bytes] | None:
        """The frames of the next message; None if none comes in time. Raises `ClientClosed`."""
        frames = None
        with self._lock:
            if self._socket is not None and not self._is_closing:
                ready = dict(self._poller.poll(int(timeout_s * 1000) + 1))
                frames = self._socket.recv_multipart() if self._socket in ready else None
        self._raise_if_closing()
        return frames

    def renew(self) -> None:
        """Connects with a new socket, which looks the server's name up again. Raises `ClientClosed`."""
        with self._lock:
            self._drop()
            if not self._is_closing:
                self._socket, closing = self._connect()
                self._poller = zmq.Poller()
                self._poller.register(self._socket, zmq.POLLIN)
                self._poller.register(closing, zmq.POLLIN)
        self._raise_if_closing()

    def close(self) -> None:
        """Closes the socket now, or as soon as the thread that uses it is done."""
        self._is_closing = True
        if self._lock.acquire(blocking=False):
            self._drop()
            self._lock.release()

    def after_fork(self) -> None:
        """Lets go of the socket, which is the parent's. The next message is None, so that it is renewed."""
        self._lock = threading.Lock()
        self._socket = None

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close(0)
            self._socket = None

    def _raise_if_closing(self) -> None:
        if self._is_closing:
            self.close()
            raise ClientClosed
