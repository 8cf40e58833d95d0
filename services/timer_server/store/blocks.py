"""Events as rows: some that were committed together share one, a block, so that appending costs little for each.

The body of a block is their records as one MessagePack array. Its checksum covers the key too, so a block that was
moved is noticed like one that was altered. A block stands under the `seq` of its last event; pruning takes events out
of it and leaves it there.
"""

import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from timer_server.core.model import Timer
from timer_server.core.records import Head, Record, unpack
from timer_server.store.integrity import Damage, is_sound, sealed

BLOCK_EVENTS = 32
"""Most events in a block: enough that the row costs little, few enough that reading one of them costs little more."""

BLOCK_BYTES = 4_000
"""Where so many come to more bytes than this, about a page of SQLite's, there are fewer, down to a single one."""

Row = tuple[int, bytes, int]
"""The `seq` under which a block stands, its body, its checksum."""

_ARRAY = struct.Struct(">BH")
_ARRAY_16 = 0xDC
_decode = msgspec.msgpack.Decoder(list[Timer]).decode
_decode_heads = msgspec.msgpack.Decoder(list[Head]).decode
_decode_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def to_rows(events: Sequence[Timer], records: Sequence[Record]) -> Iterator[Row]:
    """The rows for some events, given also as records, in their order."""
    end = 0
    while end < len(events):
        block = records[end : end + BLOCK_EVENTS]
        size = sum(map(len, block))
        if size > BLOCK_BYTES:
            block = block[: max(len(block) * BLOCK_BYTES // size, 1)]
        end += len(block)
        yield to_row(events[end - 1].seq, block)


def to_row(last_seq: int, records: Sequence[bytes]) -> Row:
    """The row of a block."""
    return last_seq, *sealed(_ARRAY.pack(_ARRAY_16, len(records)) + b"".join(records), last_seq)


def events_of(row: Row) -> list[Timer]:
    """All events of a block. Raises `Damage` where it was altered, or moved."""
    with _decoding(row) as body:
        return _decode(body)


def event_in(row: Row, seq: int) -> Timer | None:
    """One event of a block; None where it is not in there. Raises `Damage`."""
    with _decoding(row) as body:
        records = _decode_raw(body)
        if len(records) > row[0] - seq:  # where nothing was pruned, its place is known
            event = unpack(bytes(records[seq - row[0] - 1]))
            if event.seq == seq:
                return event
    return next((event for event in events_of(row) if event.seq == seq), None)


def without(row: Row, obsolete: Collection[int]) -> tuple[Row | None, int]:
    """What is left of a block without some events, None for nothing, and how many were taken out. Raises `Damage`."""
    with _decoding(row) as body:
        heads, records = _decode_heads(body), _decode_raw(body)
    kept = [bytes(record) for head, record in zip(heads, records, strict=True) if head.seq not in obsolete]
    return to_row(row[0], kept) if kept else None, len(records) - len(kept)


@contextmanager
def _decoding(row: Row) -> Iterator[bytes]:
    """Gives the body of a block, once it is checked. Raises `Damage` also where what is done with it fails."""
    last_seq, body, checksum = row
    if not is_sound(body, checksum, last_seq):
        raise Damage(f"the block of events up to {last_seq} does not match its checksum")
    try:
        yield body
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damage(f"the events up to {last_seq} cannot be decoded: {error}") from None
