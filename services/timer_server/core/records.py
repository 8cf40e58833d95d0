"""Timers as short strings of bytes: what memory holds of each pending one, and what the log is made of.

A record is a MessagePack array of the timer's fields. Whole numbers are written in as few bytes as they need, the
larger ones with a larger first byte, the rest big-endian: so they sort as their bytes do. The deadline comes first and
`seq` second. So records of running timers, compared as bytes, are in the order of their deadlines, and in the order of
the log where deadlines are the same. See github.com/msgpack/msgpack, spec.md.
"""

from msgspec import Struct, msgpack

from timer_server.core.model import Timer

Record = bytes
"""A timer, packed. One takes a hundred bytes and a few, where the timer itself takes five times as much."""

_NIL = 0xC0


class Head(Struct, frozen=True, gc=False, array_like=True):
    """The first fields of a record, which are read without the rest: see `Timer`."""

    due_at_ms: int | None
    seq: int
    kind_number: int
    started_at_ms: int
    elapsed_ms: int
    id: str


_encode_into = msgpack.Encoder().encode_into
_buffer = bytearray()

unpack = msgpack.Decoder(Timer).decode
"""The timer that a record was made of. Raises `msgspec.ValidationError` and `DecodeError` for what is none."""

head = msgpack.Decoder(Head).decode
"""The head of a record: half the work of unpacking it, or less where keys and payload are large."""


def is_paused(record: Record) -> bool:
    """Whether the record of a pending timer has no deadline, which stands behind the one byte that tells its length."""
    return record[1] == _NIL


def pack(timer: Timer) -> Record:
    """The record of a timer."""
    _encode_into(timer, _buffer)
    return bytes(_buffer)  # of its own size: what `encode` returns holds on to half as much again
