"""The way to a server's admin socket, for commands: they wait for each answer."""

import os
import socket
from collections import deque
from pathlib import Path

from timer_server.wire.admin_messages import Asked, NoMessage, Told, framed, told_messages
from timer_server.wire.admin_place import short_enough

SILENCE_LIMIT_S = 60
"""How long the server may say nothing."""

_RECEIVED_BYTES = 1_048_576

_HAS_ENDED = "the server has ended, or cut the connection; its log says why"


class NoServer(Exception):
    """Nobody listens there."""


class LinkLost(Exception):
    """The server cannot be asked, or says no more. The text is a sentence for the operator."""


class AdminLink:
    """A connection to a server. Its methods raise `LinkLost`."""

    def __init__(self, path: Path) -> None:
        """Raises `NoServer`, and `LinkLost`."""
        self._path = path
        self._told: deque[Told] = deque()
        self._messages = told_messages()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SILENCE_LIMIT_S)
        try:
            with short_enough(path) as place:
                self._socket.connect(place)
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise NoServer from None
        except OSError as error:
            self._socket.close()
            raise self._lost(error) from error

    def send(self, message: Asked) -> None:
        """Sends a message."""
        try:
            self._socket.sendall(framed(message))
        except OSError as error:
            raise self._lost(error) from error

    def receive(self) -> Told:
        """The next message of the server, which is waited for."""
        while not self._told:
            try:
                received = self._socket.recv(_RECEIVED_BYTES)
                self._told.extend(self._messages.take(received))
            except OSError as error:
                raise self._lost(error) from error
            except NoMessage as error:
                raise LinkLost(f"what listens at {self._path} is no timer server: it sent {error}") from None
            if not received:
                raise LinkLost(_HAS_ENDED)
        return self._told.popleft()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _lost(self, error: OSError) -> LinkLost:
        if isinstance(error, TimeoutError):
            return LinkLost(f"the server has said nothing for {SILENCE_LIMIT_S} s")
        if isinstance(error, ConnectionError):
            return LinkLost(_HAS_ENDED)
        reason = error.strerror or os.strerror(error.errno or 0)
        help_text = "; run this as the user of the server" if isinstance(error, PermissionError) else ""
        return LinkLost(f"cannot ask the server at {self._path}: {reason}{help_text}")
