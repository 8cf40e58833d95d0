"""What goes over the admin socket: messages in MessagePack, each behind its length in four bytes."""

import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from timer_protocol.plurals import counted
from timer_server.store.blocks import Row
from timer_server.store.state import HeaderRow

LENGTH = struct.Struct(">I")


class Backup(msgspec.Struct, frozen=True, tag="backup"):
    """Asks for a copy of the store."""


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """Says that the copy is on a disk under its name."""


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The copy begins: its header, in the schema of the store."""

    schema: int
    header: HeaderRow


class Blocks(msgspec.Struct, frozen=True, tag="blocks"):
    """The next blocks of the copy, in order."""

    rows: list[Row]


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """All blocks were sent."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """There is no copy, or it is given up."""

    reason: str


Asked = Backup | Kept
Told = Begun | Blocks | Ended | Refused

M = TypeVar("M")


class NoMessage(Exception):
    """What came is no message. The text is a part of a sentence."""


def framed(message: Asked | Told) -> bytes:
    """A message as it is sent."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


class Messages(Generic[M]):
    """Makes messages of the bytes that come in."""

    def __init__(self, decode: msgspec.msgpack.Decoder[M], most_bytes: int) -> None:
        self._decode = decode.decode
        self._most_bytes = most_bytes
        self._bytes = bytearray()

    def take(self, received: bytes) -> Iterator[M]:
        """The messages that are complete with these bytes. Raises `NoMessage`."""
        self._bytes += received
        while len(self._bytes) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._bytes)
            if length > self._most_bytes:
                raise NoMessage(f"a message of {counted(length, 'byte')}, which is more than {self._most_bytes}")
            end = LENGTH.size + length
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[LENGTH.size : end])
            del self._bytes[:end]
            try:
                yield self._decode(body)
            except (msgspec.MsgspecError, ValueError) as error:
                raise NoMessage(f"no message: {error}") from None


def asked_messages() -> Messages[Asked]:
    """What a server reads, which is little."""
    return Messages(msgspec.msgpack.Decoder(Asked), most_bytes=4_096)


def told_messages() -> Messages[Told]:
    """What those read who ask. A block has a single entry where that is large."""
    return Messages(msgspec.msgpack.Decoder(Told), most_bytes=2**30)
