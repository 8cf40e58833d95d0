"""Single connections of a socket, known by their descriptors. libzmq itself closes only a socket with all of them."""

import ctypes
import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

import zmq

_SO_ATTACH_FILTER = 26
"""Linux, socket(7). Python has no name for it."""

_DROP_DATA = ctypes.create_string_buffer(
    b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (0x30, 0, 0, 12),  # the byte with the length of TCP's header, in words of four bytes
            (0x74, 0, 0, 2),
            (0x54, 0, 0, 0x3C),
            (0x07, 0, 0, 0),
            (0x80, 0, 0, 0),  # the length of the segment
            (0x1C, 0, 0, 0),
            (0x15, 0, 1, 0),  # is there nothing after the header?
            (0x06, 0, 0, 0xFFFFFFFF),
            (0x06, 0, 0, 0),
        )
    )
)
"""A program of the kernel's packet filter that lets in segments without data only."""

_FILTER = struct.pack("HP", 9, ctypes.addressof(_DROP_DATA))
"""`struct sock_fprog`: the number of instructions, and where they are."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Connection(NamedTuple):
    """A connection over TCP or IPC. Its descriptor is its own for as long as it has the same inode."""

    descriptor: int
    inode: int

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return self.inode != 0 and _inode(self.descriptor) == self.inode

    def is_at(self, endpoint: str) -> bool:
        """Whether this is a connection that was accepted at an endpoint: its descriptor may have another one by now."""
        if not self.is_open:
            return False
        try:
            connection = socket.socket(fileno=self.descriptor)
        except OSError:
            return False
        try:
            address = connection.getsockname()
            connection.getpeername()
        except OSError:
            return False
        finally:
            connection.detach()
        if isinstance(address, bytes):  # a name of Linux's own, and no file
            return endpoint == f"ipc://@{address[1:].decode(errors='replace')}"
        if isinstance(address, tuple):
            return endpoint.startswith("tcp://") and endpoint.rpartition(":")[2] == str(address[1])
        return bool(endpoint == f"ipc://{address}")

    def end(self, by_reset: bool = False) -> None:
        """Ends the connection, once libzmq has read what had arrived by now. Its peer sees an end, or a reset.

        To libzmq it looks as if the peer had ended it. Were both directions shut down, or the connection reset at once,
        libzmq 4.3.5 would end the process by an assertion of its own if it had stopped reading and a PING came next.
        """
        if not self.is_open:
            return
        with suppress(OSError):  # it has ended by now
            connection = socket.socket(fileno=self.descriptor)
            try:
                connection.getpeername()  # fails for a socket that listens
                with suppress(OSError):  # needed, and there, for TCP: it takes in more even after a shutdown
                    connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _FILTER)
                if by_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                connection.shutdown(socket.SHUT_RD)
            finally:
                connection.detach()


def connection_at(descriptor: int) -> Connection:
    """The connection that a descriptor belongs to now."""
    return Connection(descriptor, _inode(descriptor))


def connection_of(frame: zmq.Frame) -> Connection:
    """The connection that a frame came over. It may have ended since."""
    return connection_at(int(str(frame.get("__fd"))))


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return 0
