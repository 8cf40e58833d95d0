"""Timers as short strings of bytes: what memory holds of each pending one, and what the log is made of.

A record is a MessagePack array of the timer's fields. Whole numbers are written in as few bytes as they need, the
larger ones with a larger first byte, the rest big-endian: so they sort as their bytes do. The deadline comes first and
`seq` second. So records of running timers, compared as bytes, are in the order of their deadlines, and in the order of
the log where deadlines are the same. See github.com/msgpack/msgpack, spec.md.
"""

from typing import NewType

from msgspec import msgpack

from timer_server.core.model import Timer

Record = NewType("Record", bytes)
"""A timer, packed. One takes a hundred bytes and a few, where the timer itself takes five times as much."""

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Timer).decode


def pack(timer: Timer) -> Record:
    """The record of a timer."""
    return Record(_encode(timer))


def unpack(record: Record) -> Timer:
    """The timer that a record was made of."""
    return _decode(record)
