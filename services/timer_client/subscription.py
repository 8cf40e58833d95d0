"""Connections to the events sockets, for threads."""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

import zmq

from timer_client.errors import ClientClosed
from timer_client.link import Socket
from timer_client.vigil import Vigil


class Connect(Protocol):
    """Makes a SUB socket for each endpoint, and tells the descriptor that becomes readable when the client is closed.

    It takes its time only where the endpoint is alone.
    """

    def __call__(self, endpoints: Sequence[str], *, is_alone: bool) -> tuple[list[Socket], int]: ...


class Subscription:
    """A SUB socket for each of several endpoints. One thread receives; any may close it.

    Of one socket with all connections nobody could tell which of them is dead. Here that one alone is made anew.
    """

    def __init__(self, endpoints: Sequence[str], connect: Connect) -> None:
        self._connect = connect
        self._is_closing = False
        self._has_gap = False
        self._begin(endpoints)
        self.listen_to(endpoints)

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, and its sockets too."""
        return self._is_closing and not self._sockets

    def listen_to(self, endpoints: Sequence[str]) -> None:
        """Listens to these endpoints and no others. Connections that there are already stay. Raises `ClientClosed`."""
        with self._lock:
            if not self._is_closing and self._sockets.keys() != set(endpoints):
                self._endpoints = endpoints
                for endpoint in self._sockets.keys() - set(endpoints):
                    self._sockets.pop(endpoint).close(0)
                self._open([endpoint for endpoint in endpoints if endpoint not in self._sockets])
                self._vigil.begin(endpoints)
        self._raise_if_closing()

    def receive(self, timeout_s: float) -> list[bytes] | None:
        """The frames of the next message; None if there is none yet. Raises `ClientClosed`.

        A connection that has fallen silent is made anew meanwhile, with its name looked up again.
        """
        with self._lock:
            frames = None if self._is_closing else self._receive(timeout_s)
        self._raise_if_closing()
        return frames

    def take_gap(self) -> bool:
        """Whether nobody has listened for a while, which is so in a forked process; told once."""
        has_gap, self._has_gap = self._has_gap, False
        return has_gap

    def close(self) -> None:
        """Closes the sockets now, or as soon as the thread that uses them is done."""
        self._is_closing = True
        if self._lock.acquire(blocking=False):
            self._drop()
            self._lock.release()

    def after_fork(self) -> None:
        """Lets go of the sockets, which are the parent's."""
        self._begin(self._endpoints)
        self._has_gap = True

    def _begin(self, endpoints: Sequence[str]) -> None:
        self._lock = threading.Lock()  # held while the sockets are in use
        self._endpoints = endpoints
        self._sockets: dict[str, Socket] = {}
        self._ready: list[Socket] = []
        """Those that have something."""
        self._vigil = Vigil(endpoints)
        """Over the connections."""

    def _receive(self, timeout_s: float) -> list[bytes] | None:
        if not self._ready:
            if not self._sockets:  # in a forked process
                self._open(self._endpoints)
            self._wait(min(timeout_s, self._vigil.left_s))
        return self._ready.pop().recv_multipart() if self._ready else None

    def _wait(self, timeout_s: float) -> None:
        """Waits until a socket has something, and makes those anew that are silent."""
        began_s = time.monotonic()
        found = dict(self._poller.poll(int(timeout_s * 1000) + 1))
        self._vigil.listen(time.monotonic() - began_s)
        for endpoint, socket in self._sockets.items():
            if socket in found:
                self._ready.append(socket)
                self._vigil.hear(endpoint)
        if silent := self._vigil.take_silent():
            for endpoint in silent:
                self._sockets.pop(endpoint).close(0)
            self._open(silent)

    def _open(self, endpoints: Sequence[str]) -> None:
        """Connects to endpoints that have no socket."""
        sockets, closing = self._connect(endpoints, is_alone=len(self._endpoints) == 1)
        self._sockets.update(zip(endpoints, sockets, strict=True))
        self._ready = []  # they are found again
        self._poller = zmq.Poller()
        self._poller.register(closing, zmq.POLLIN)
        for socket in self._sockets.values():
            self._poller.register(socket, zmq.POLLIN)

    def _drop(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close(0)

    def _raise_if_closing(self) -> None:
        if self._is_closing:
            self.close()
            raise ClientClosed
