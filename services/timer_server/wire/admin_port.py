"""The admin socket of a server, for operators on the same machine: whoever may write to the file may ask.

Nothing here blocks. One descriptor stands for the socket and its connections, so that a loop polls no more than that.
"""

import os
import selectors
import socket
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from timer_server.wire.admin_messages import Asked, NoMessage, Told, asked_messages, framed
from timer_server.wire.admin_place import short_enough

MOST_CONNECTIONS = 4
"""Others wait until one of these ends."""

_RECEIVED_BYTES = 4_096


class AdminConnection:
    """One who asks. What is sent waits here until the system takes it."""

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        self.socket = accepted
        self.messages = asked_messages()
        self._unsent: deque[memoryview] = deque()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._unsent)

    def send(self, message: Told) -> None:
        """Sends a message, as far as the system takes it now."""
        self._unsent.append(memoryview(framed(message)))
        self.flush()

    def flush(self) -> int:
        """Sends what waits, as far as the system takes it, and returns how many bytes it took.

        For one who has gone it takes nothing; that is noticed where the connection is read.
        """
        taken = 0
        with suppress(OSError):
            while self._unsent:
                sent = self.socket.send(self._unsent[0])
                taken += sent
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                else:
                    self._unsent.popleft()
        return taken


class Arrival(NamedTuple):
    """What has come over a connection; None where it has ended, `fault` where by what came."""

    connection: AdminConnection
    asked: Asked | None
    fault: str = ""


class AdminPort:
    """Listens at a path, which this process alone uses. A socket that was left there is replaced."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        self.path = path
        self._connections: dict[int, AdminConnection] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._is_listening = False
        try:
            _remove_left(path)
            self._listener.setblocking(False)
            with short_enough(path) as place:
                self._listener.bind(place)
            path.chmod(0o600)  # nobody can connect before it listens
            self._listener.listen()
        except OSError:
            self._listener.close()
            self._selector.close()
            raise
        self.resume()

    def fileno(self) -> int:
        """A descriptor that is readable while `take` has something."""
        return self._selector.fileno()

    def take(self) -> list[Arrival]:
        """What has come since the last call. Connections that have ended are closed."""
        arrivals: list[Arrival] = []
        for key, _ in self._selector.select(0):
            if key.fileobj is self._listener:
                self._accept()
            else:
                arrivals += self._read(self._connections[key.fd])
        return arrivals

    def resume(self) -> None:
        """Takes connections again, if there was no descriptor for one, or there were too many."""
        if not self._is_listening and len(self._connections) < MOST_CONNECTIONS:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._is_listening = True

    def end(self, connection: AdminConnection) -> None:
        """Ends a connection."""
        descriptor = connection.socket.fileno()
        if self._connections.pop(descriptor, None) is not None:
            self._selector.unregister(connection.socket)
            connection.socket.close()

    def close(self) -> None:
        """Ends all connections and removes the socket."""
        for connection in list(self._connections.values()):
            self.end(connection)
        self._listener.close()
        self._selector.close()
        with suppress(OSError):
            self.path.unlink()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._pause()
            return
        connection = AdminConnection(accepted)
        self._connections[accepted.fileno()] = connection
        self._selector.register(accepted, selectors.EVENT_READ)
        if len(self._connections) == MOST_CONNECTIONS:
            self._pause()

    def _pause(self) -> None:
        """Takes no connections until `resume`: who waits would wake the loop all the time."""
        self._selector.unregister(self._listener)
        self._is_listening = False

    def _read(self, connection: AdminConnection) -> Iterator[Arrival]:
        try:
            received = connection.socket.recv(_RECEIVED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        try:
            for asked in connection.messages.take(received):
                yield Arrival(connection, asked)
        except NoMessage as error:
            self.end(connection)
            yield Arrival(connection, None, f"it sent {error}")
            return
        if not received:
            self.end(connection)
            yield Arrival(connection, None)


def _remove_left(path: Path) -> None:
    """Removes a socket that a server has left. What is no socket stays, and nothing can be bound there."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            path.unlink()
