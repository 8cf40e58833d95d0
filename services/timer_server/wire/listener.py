"""Listening for connections, with a socket that can be replaced, and as long as there are descriptors.

libzmq tries without end to accept a connection for which there is no descriptor, and takes all of a processor's time.
So the last descriptors are for the server's own needs, and a connection that gets one of them is cut at once.
"""

import errno
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

import zmq

from timer_server.wire.connections import Connection, connection_at
from timer_server.wire.endpoints import BindError, Context, Socket, bind, bound_endpoint
from timer_server.wire.monitor import Monitor
from timer_server.wire.socket_files import SocketFile, claimed

_KEPT = 32
"""Descriptors for the server's own needs: replacing a socket takes four, reading keys two."""

_KEPT_OF_ALL = 8
"""Where few are allowed, a part of them."""

_NEWEST = 64
"""Connections that are known by their order."""

_WATCHED = zmq.EVENT_LISTENING | zmq.EVENT_ACCEPTED


class CannotListen(Exception):
    """There are no descriptors for it at the moment; it may be tried again. The text says why."""


class Listener:
    """Binds the socket that `make` makes, and another one in its place when it is told to. Raises `BindError`.

    Each new connection that may stay is given to `welcome`.
    """

    def __init__(
        self,
        context: Context,
        make: Callable[[], Socket],
        endpoint: str,
        linger_ms: int,
        welcome: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._context = context
        self._make = make
        self._linger_ms = linger_ms
        self._welcome = welcome
        self._poller: zmq.Poller | None = None
        self._newest: deque[Connection] = deque(maxlen=_NEWEST)
        try:
            self.socket, self._monitor = self._made()
        except CannotListen as error:
            raise BindError(endpoint, str(error)) from None
        with claimed(endpoint):
            bind(self.socket, endpoint)
            self.endpoint = bound_endpoint(self.socket)
            self._file = SocketFile(self.endpoint)
        listening = (descriptor for event, descriptor in self._monitor.events() if event == zmq.EVENT_LISTENING)
        self._descriptor = next(map(os.dup, listening), -1)
        self.is_listening = True

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what comes to the socket, and for new connections."""
        self._poller = poller
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self._monitor.descriptor, zmq.POLLIN)

    def turn_away(self, ready: Mapping[object, int]) -> int:
        """Ends new connections that have taken a descriptor of the last, where a poller has told something.

        Returns how many these were.
        """
        if self._monitor.descriptor not in ready:
            return 0
        accepted = [descriptor for event, descriptor in self._monitor.events() if event == zmq.EVENT_ACCEPTED]
        first_kept = _first_kept()
        if accepted and max(accepted) < first_kept and not is_descriptor_left():
            first_kept = 0  # fewer are allowed than there were, and the kept ones are in use
        turned_away = 0
        for descriptor in accepted:
            connection = connection_at(descriptor)
            if descriptor < first_kept:
                self._newest.append(connection)
                self._welcome(connection)
            else:
                connection.end()
                turned_away += 1
        return turned_away

    def newest(self) -> list[Connection]:
        """The newest connections that still stand."""
        return [connection for connection in self._newest if connection.is_open]

    def make_room(self) -> int:
        """Ends the newer half of the newest connections, for a time when no descriptors are left.

        Returns how many these were. Where none of them stands any more it pauses, and raises `CannotListen`.
        """
        if not self.is_listening:
            return 0
        newest = self.newest()
        older, newer = newest[: len(newest) // 2], newest[len(newest) // 2 :]
        self._newest = deque(older, _NEWEST)
        if not newer:
            self.pause()
            raise CannotListen(os.strerror(errno.EMFILE))
        for connection in newer:
            connection.end()
        return len(newer)

    def pause(self) -> None:
        """Listens no more, and cuts the connections; new ones wait in the kernel."""
        if self.is_listening and self._descriptor >= 0:
            self.is_listening = False
            self.socket.unbind(self.endpoint)

    def resume(self) -> None:
        """Listens again. Raises `CannotListen`."""
        if self.is_listening:
            return
        with ExitStack() as undo:
            try:
                if self._descriptor >= 0:
                    self.socket.use_fd = os.dup(self._descriptor)
                    undo.callback(os.close, self.socket.use_fd)
                os.close(_opened())  # so that there is one to accept a connection with
                self.socket.bind(self.endpoint)
            except (OSError, zmq.ZMQError) as error:
                raise CannotListen(_reason(error)) from None
            undo.pop_all()
        self.is_listening = True

    def reopen(self) -> None:
        """Closes the socket with all its connections, and has a new one in its place. Raises `CannotListen`.

        Where the new one cannot be made, all stays as it was; where it cannot listen yet, it can be resumed.
        """
        socket, monitor = self._made()
        was_listening, self.is_listening = self.is_listening, False
        if was_listening:
            self.socket.unbind(self.endpoint)
        self._close_socket()
        self.socket, self._monitor = socket, monitor
        if self._poller is not None:
            self.register(self._poller)
        if was_listening:
            with suppress(CannotListen):
                self.resume()

    def close(self) -> None:
        """Closes the socket, and takes its file away."""
        self._file.remove()
        self._close_socket()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _made(self) -> tuple[Socket, Monitor]:
        """A new socket, and the monitor of its events. Raises `CannotListen`."""
        with ExitStack() as undo:
            try:
                socket = undo.enter_context(self._make())
                monitor = Monitor(self._context, socket, _WATCHED)
            except zmq.ZMQError as error:
                raise CannotListen(_reason(error)) from None
            undo.pop_all()
        return socket, monitor

    def _close_socket(self) -> None:
        if self._poller is not None:
            self._poller.unregister(self.socket)
            self._poller.unregister(self._monitor.descriptor)
        self._monitor.close()
        self.socket.close(linger=self._linger_ms)


def _opened() -> int:
    """A descriptor that was free. Raises OSError where none is left."""
    return os.open(os.devnull, os.O_RDONLY)


def is_descriptor_left() -> bool:
    """Whether anything more can be opened."""
    try:
        os.close(_opened())
    except OSError:
        return False
    return True


def _first_kept() -> int:
    """The number of the first descriptor that is kept for the server's own needs."""
    limit, _ = getrlimit(RLIMIT_NOFILE)
    return sys.maxsize if limit == RLIM_INFINITY else limit - min(_KEPT, limit // _KEPT_OF_ALL)


def _reason(error: OSError | zmq.ZMQError) -> str:
    return os.strerror(error.errno or 0)
