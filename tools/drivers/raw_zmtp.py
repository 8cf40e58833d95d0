"""A peer that speaks ZMTP 3 over a plain TCP socket, so that it can say what no ZeroMQ socket would."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
GREETING_BYTES = 64
LIMIT_S = 10.0

_MORE, _LONG, _COMMAND = 1, 2, 4


def frame(body: bytes, more: bool = False) -> bytes:
    """One frame of a message."""
    return _framed(_MORE if more else 0, body)


def message(*frames: bytes) -> bytes:
    """A whole message."""
    return b"".join(frame(body, more=place < len(frames) - 1) for place, body in enumerate(frames))


def command(name: bytes, data: bytes) -> bytes:
    """A command frame, such as READY or PING."""
    return _framed(_COMMAND, bytes([len(name)]) + name + data)


def ready(socket_type: bytes, **metadata: bytes) -> bytes:
    """The READY command of the NULL mechanism; `Identity` is what claims a routing id."""
    properties = {"Socket-Type": socket_type, **metadata}
    return command(b"READY", b"".join(_property(name.encode(), value) for name, value in properties.items()))


def announced(size: int, more: bool = False) -> bytes:
    """The head of a frame that is said to have so many bytes."""
    return struct.pack(">BQ", _LONG | (_MORE if more else 0), size)


class RawPeer:
    """A TCP connection to an endpoint. Every read and write has a limit."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self.tcp = socket.create_connection((host, int(port)), LIMIT_S)

    def shake_hands(self, socket_type: bytes, **metadata: bytes) -> "RawPeer":
        """Greets, and says what kind of a socket this is."""
        self.send(GREETING)
        self.receive(GREETING_BYTES)
        self.send(ready(socket_type, **metadata))
        flags, size = self.receive(2)
        assert flags & _COMMAND, "the server did not answer with READY"
        self.receive(size)
        return self

    def send(self, data: bytes) -> None:
        """Sends bytes as they are. Raises OSError where the server has cut the connection."""
        self.tcp.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes. Raises ConnectionError where the server ends before."""
        data = b""
        while len(data) < size:
            chunk = self.tcp.recv(size - len(data))
            if not chunk:
                raise ConnectionError(f"cut off after {len(data)} of {size} bytes")
            data += chunk
        return data

    def is_cut_off(self) -> bool:
        """Whether the server closes the connection within the limit; what it has said before is dropped."""
        try:
            while self.tcp.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def shut_down(self) -> None:
        """Ends the connection under the hands of whoever reads or writes on it in another thread."""
        with suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lets go of the connection."""
        self.tcp.close()


@contextmanager
def raw_peer(endpoint: str) -> Iterator[RawPeer]:
    """A connection that is closed afterwards, whatever happened."""
    peer = RawPeer(endpoint)
    try:
        yield peer
    finally:
        peer.close()


def _framed(flags: int, body: bytes) -> bytes:
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | _LONG, len(body)) + body


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
