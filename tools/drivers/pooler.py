"""A connection pooler in transaction mode, as small as it can be: all its clients share one session of PostgreSQL.

It belongs to one of them for a transaction, and then to another.
"""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

from drivers.postgres import OWNER, SUPERUSER

_PROTOCOL_3 = 196_608
_LENGTH = struct.Struct(">i")
_KEY = struct.pack(">cIII", b"K", 12, 4_711, 4_711)
"""The process and the key that it tells its clients, and that are not those of PostgreSQL."""


class Pooler:
    """Serves on `address` while entered."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_connection(("127.0.0.1", port))
        words = ["user", SUPERUSER, "database", OWNER, "", ""]
        startup = _LENGTH.pack(_PROTOCOL_3) + "\0".join(words).encode()
        self._server.sendall(_LENGTH.pack(4 + len(startup)) + startup)
        self._greeting = b"".join(message for message in self._until_ready() if message[:1] in b"RS") + _KEY
        self._turn = threading.Lock()
        """Held by the client whose transaction it is."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> "Pooler":
        self._threads[0].start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _traceback: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(ConnectionError):
            while struct.unpack(">i", _read(client, _length(client) - 4)[:4])[0] != _PROTOCOL_3:
                client.sendall(b"N")  # no encryption
            client.sendall(self._greeting + b"Z\0\0\0\5I")
            while (message := _message(client))[:1] != b"X":
                with self._turn:
                    self._transaction(client, message)

    def _transaction(self, client: socket.socket, message: bytes) -> None:
        """Passes messages on, from the first one of a client until PostgreSQL is in no transaction any more."""
        try:
            while not self._pass_on(client, message):
                message = _message(client)
        except ConnectionError:
            self._server.sendall(b"Q\0\0\0\15rollback\0")
            list(self._until_ready())
            raise

    def _pass_on(self, client: socket.socket, message: bytes) -> bool:
        """Whether PostgreSQL is in no transaction after a message."""
        if message[:1] == b"X":
            raise ConnectionError
        self._server.sendall(message)
        if message[:1] not in (b"Q", b"S"):
            return False
        for answer in (answers := self._until_ready()):
            client.sendall(answer)
        return answers[-1][5:] == b"I"

    def _until_ready(self) -> list[bytes]:
        messages = [_message(self._server)]
        while messages[-1][:1] != b"Z":
            messages.append(_message(self._server))
        return messages


def _message(peer: socket.socket) -> bytes:
    """A message with its type and its length."""
    kind = _read(peer, 1)
    length = _length(peer)
    return kind + _LENGTH.pack(length) + _read(peer, length - 4)


def _length(peer: socket.socket) -> int:
    length: int = _LENGTH.unpack(_read(peer, 4))[0]
    return length


def _read(peer: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        if not (part := peer.recv(count - len(parts))):
            raise ConnectionError
        parts += part
    return parts
