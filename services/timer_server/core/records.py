"""Records: entries in MessagePack. Memory holds one for each pending timer, and the log is made of them.

A record is an array of the entry's tag and fields. Numbers take as few bytes as they need; longer ones begin with a
larger byte, and the rest is big-endian, so they sort as their bytes do. After the tag come the deadline and the place.
So records of running timers, compared as bytes, are in the order of their deadlines, and for equal deadlines in the
order of the log. See github.com/msgpack/msgpack, spec.md.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Raw, Struct, msgpack

from timer_server.core.model import Countdown, Entry, Revision

Record = bytes
"""An entry in MessagePack: somewhat over a hundred bytes, a fifth of what the timer itself takes."""

Row = tuple[
    int,
    int | None,
    int,
    int,
    int,
    int,
    str,
    int,
    Revision | None,
    int,
    int | float,
    int | float,
    int | float,
    str,
    bytes,
]
"""What a record of a `Countdown` has: its tag, and its fields in order."""

DUE_IN_ROW: Final = 1
ID_IN_ROW: Final = 6


class Columns(NamedTuple):
    """Rows of some timers, by columns."""

    tags: Sequence[int]
    dues_ms: Sequence[int | None]
    places: Sequence[int]
    others: Sequence[int]
    kind_numbers: Sequence[int]
    started_ms: Sequence[int]
    ids: Sequence[str]
    durations_ms: Sequence[int]
    revisions: Sequence[Revision | None]
    spec_places: Sequence[int]
    hours: Sequence[int | float]
    minutes: Sequence[int | float]
    seconds: Sequence[int | float]
    labels: Sequence[str]
    payloads: Sequence[bytes]


SPEC_REPEATED_BYTES = 256
"""A spec with so many bytes of label, payload and trace is repeated in each entry of its timer; a larger one stands in
one."""

SURELY_SMALL_BYTES = SPEC_REPEATED_BYTES // 4
"""As many characters never have more bytes than that. This quick test settles most starts."""

_NIL = 0xC0
_ARRAY, _ARRAY_SHORT = 0x90, 16
_BEHIND_LENGTH_AND_TAG = 2


class Same(Struct, frozen=True, gc=False):
    """A column in which all have one value."""

    value: object


Column = Iterable[object] | Same


class Head(Struct, frozen=True, gc=False, array_like=True):
    """The first fields of any record, read without the rest."""

    tag: int
    due_at_ms: int | None
    place: int
    others: int


class TimerHead(Head, frozen=True, gc=False, array_like=True):
    """The first fields of a timer's record. `model` says what they are."""

    kind_number: int
    started_at_ms: int
    id: str


_encoder = msgpack.Encoder()
_encode_into = _encoder.encode_into
_buffer = bytearray()
_split = msgpack.Decoder(list[Raw]).decode
_decode_rows = msgpack.Decoder(list[Row]).decode
_TIMER_BEGINS = msgpack.encode((Countdown.__struct_config__.tag,) * (1 + len(Countdown.__struct_fields__)))[:2]
"""The first bytes of a record of a `Countdown`: its length, and the tag."""

unpack = msgpack.Decoder(Countdown).decode
"""The timer in a record. Raises `msgspec.ValidationError` and `msgspec.DecodeError` for other bytes."""

unpack_entry: Callable[[bytes], Entry] = msgpack.Decoder(Entry).decode
"""The entry in a record. Raises the same."""

entry_head = msgpack.Decoder(Head).decode
"""The head of any entry's record."""

head = msgpack.Decoder(TimerHead).decode
"""The head of a timer's record, for half the work of unpacking it or less."""


def is_paused(record: Record) -> bool:
    """Whether a pending timer's record has no deadline. That comes after a byte of array length and one of tag."""
    return record[_BEHIND_LENGTH_AND_TAG] == _NIL


def pack(entry: Entry) -> Record:
    """The record of an entry."""
    _encode_into(entry, _buffer)
    return bytes(_buffer)  # a copy of the right size: what `encode` returns has half as much again allocated


def pack_columns(count: int, columns: Sequence[Column]) -> list[Record]:
    """The records of so many entries, given by columns: of their tag, and of their fields in order. What is the same
    for all is packed once."""
    parts: list[Iterable[object]] = []
    same = _array_of(len(columns))
    for column in columns:
        if isinstance(column, Same):
            same += _encoder.encode(column.value)
            continue
        if same:
            parts.append([Raw(same)] * count)
            same = b""
        parts.append(column)
    if same:
        parts.append([Raw(same)] * count)
    flat: list[object] = [None] * (count * len(parts))
    for at, part in enumerate(parts):
        flat[at :: len(parts)] = part
    packed = _encoder.encode(flat)  # as an array of all parts, of which one of all records is made
    return list(map(bytes, _split(_array_of(count) + packed[len(_array_of(len(flat))) :])))


def _array_of(count: int) -> bytes:
    """How an array of so many items begins."""
    if count < _ARRAY_SHORT:
        return bytes([_ARRAY | count])
    return b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")


def unpack_rows(records: Sequence[Record]) -> list[Row]:
    """What records of `Countdown`s have, for less than unpacking each. Raises the same."""
    return _decode_rows(_array_of(len(records)) + b"".join(records))


def columns_of(rows: Sequence[Row]) -> Columns:
    """The columns of rows, of which there are some."""
    return Columns(*zip(*rows, strict=True))


def earliest_due(moment_ms: int) -> Record:
    """What sorts before the record of every timer that is due at a moment or later, and after those of all others."""
    return _TIMER_BEGINS + _encoder.encode(moment_ms)


def is_large(label: str, other_bytes: int) -> bool:
    """Whether a spec is too large to be repeated in each entry: its label, and so many bytes besides."""
    return other_bytes + (len(label) if label.isascii() else len(label.encode())) > SPEC_REPEATED_BYTES
