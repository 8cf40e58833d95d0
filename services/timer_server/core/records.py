"""Entries as short strings of bytes: what memory holds of each pending timer, and what the log is made of.

A record is a MessagePack array of the entry's tag and fields. Whole numbers are written in as few bytes as they need,
the larger ones with a larger first byte, the rest big-endian: so they sort as their bytes do. Behind the tag the
deadline comes first and the place second. So records of running timers, compared as bytes, are in the order of their
deadlines, and in the order of the log where deadlines are the same. See github.com/msgpack/msgpack, spec.md.
"""

from collections.abc import Callable

from msgspec import Struct, msgpack

from timer_server.core.model import Countdown, Entry, Spec

Record = bytes
"""An entry, packed. One takes a hundred bytes and a few, where the timer itself takes five times as much."""

SPEC_REPEATED_BYTES = 256
"""A spec up to this size, packed, stands in each entry of its timer; a larger one is written once."""

_SURELY_SMALL_BYTES = 200
"""What label and payload may have at most if a spec is certainly not too large to be repeated."""

_NIL = 0xC0


class Head(Struct, frozen=True, gc=False, array_like=True):
    """The first fields of a record, which are read without the rest: see `model`."""

    tag: int
    due_at_ms: int | None
    place: int
    others: int
    kind_number: int
    started_at_ms: int
    elapsed_ms: int
    id: str


_encoder = msgpack.Encoder()
_encode_into = _encoder.encode_into
_buffer = bytearray()

unpack = msgpack.Decoder(Countdown).decode
"""The timer that a record was made of. Raises `msgspec.ValidationError` and `DecodeError` for what is none."""

unpack_entry: Callable[[bytes], Entry] = msgpack.Decoder(Entry).decode
"""The entry that a record was made of. Raises the same."""

head = msgpack.Decoder(Head).decode
"""The head of a record: half the work of unpacking it, or less where keys and payload are large."""


def is_paused(record: Record) -> bool:
    """Whether the record of a pending timer has no deadline, which stands behind the one byte that tells its length and
    the one of its tag."""
    return record[2] == _NIL


def pack(entry: Entry) -> Record:
    """The record of an entry."""
    _encode_into(entry, _buffer)
    return bytes(_buffer)  # of its own size: what `encode` returns holds on to half as much again


def is_large(spec: Spec) -> bool:
    """Whether a spec is too large to be repeated in each entry."""
    if len(spec.payload) + 4 * len(spec.label) <= _SURELY_SMALL_BYTES:
        return False
    return len(_encoder.encode(spec)) > SPEC_REPEATED_BYTES
