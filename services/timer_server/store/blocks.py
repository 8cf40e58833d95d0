"""Blocks: entries that were committed together share a row, so that appending costs little for each.

The body of a block is the records of its entries as one MessagePack array. Its keys are the place of its last entry and
the `seq` there; pruning takes entries out of it and leaves the keys. The checksum covers the keys too, so that a moved
block is noticed like an altered one.
"""

import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

import msgspec

from timer_server.core.first_starts import first_starts
from timer_server.core.model import Entry
from timer_server.core.records import Head, Record, entry_head, unpack_entry
from timer_server.store.integrity import Damage, UnknownEntry, checksum_of, is_sound

BLOCK_ENTRIES = 64
"""Most entries in a block: mostly its bytes end it, so that it fills a page."""

BLOCK_BYTES = 4_000
"""Bytes of a block, about a page of SQLite's: some forty entries, down to a single one where they are large. Enough to
share the cost of a row, few enough that reading one of them costs little more."""

Row = tuple[int, int, bytes, int]
"""The place of a block's last entry, the `seq` there, the body, and the checksum."""

_ARRAY = struct.Struct(">BH")
_ARRAY_16 = 0xDC
_TAGS = frozenset(entry_type.__struct_config__.tag for entry_type in get_args(Entry))
_decode = msgspec.msgpack.Decoder(list[Entry]).decode
_decode_heads = msgspec.msgpack.Decoder(list[Head]).decode
_decode_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def to_rows(records: Sequence[Record]) -> Iterator[Row]:
    """The rows for some entries, given by their records."""
    end = 0
    while end < len(records):
        block = records[end : end + BLOCK_ENTRIES]
        size = sum(map(len, block))
        if size > BLOCK_BYTES:
            block = block[: max(len(block) * BLOCK_BYTES // size, 1)]
        end += len(block)
        last = entry_head(records[end - 1])
        yield to_row(last.place, last.place - last.others, block)


def to_row(last_place: int, last_seq: int, records: Sequence[bytes]) -> Row:
    """The row of a block."""
    body = _ARRAY.pack(_ARRAY_16, len(records)) + b"".join(records)
    return last_place, last_seq, body, checksum_of(body, last_place, last_seq)


def entries_of(row: Row) -> list[Entry]:
    """All entries of a block. Raises `Damage` where it was altered or moved."""
    with _decoding(row) as body:
        return _decode(body)


def count_in(row: Row) -> int:
    """How many entries are in a block. Raises `Damage`."""
    with _decoding(row) as body:
        return len(_decode_raw(body))


def parts_of(row: Row) -> Sequence[Entry]:
    """The same, to be restored: in columns where all of them are first starts. Raises `Damage`."""
    last_place, last_seq, body, checksum = row
    starts = first_starts(body) if is_sound(body, checksum, last_place, last_seq) else None
    return starts or entries_of(row)


def entry_in(row: Row, place: int) -> Entry | None:
    """One entry of a block; None where it is not there. Raises `Damage`."""
    with _decoding(row) as body:
        records = _decode_raw(body)
        if len(records) > row[0] - place:  # where nothing was pruned, its position is known
            entry = unpack_entry(bytes(records[place - row[0] - 1]))
            if entry.place == place:
                return entry
    return next((entry for entry in entries_of(row) if entry.place == place), None)


def without(row: Row, obsolete: Collection[int]) -> tuple[Row | None, int]:
    """A block without some places, None where nothing is left, and how many were taken out. Raises `Damage`."""
    with _decoding(row) as body:
        heads, records = _decode_heads(body), _decode_raw(body)
    kept = [bytes(record) for head, record in zip(heads, records, strict=True) if head.place not in obsolete]
    return to_row(row[0], row[1], kept) if kept else None, len(records) - len(kept)


@contextmanager
def _decoding(row: Row) -> Iterator[bytes]:
    """Checks a block and gives its body. Raises `Damage`, also where the body cannot be decoded."""
    last_place, last_seq, body, checksum = row
    if not is_sound(body, checksum, last_place, last_seq):
        raise Damage(f"the block of entries up to {last_place} does not match its checksum")
    try:
        yield body
    except (msgspec.MsgspecError, ValueError) as error:
        _check_tags(body)
        raise Damage(f"the entries up to {last_place} cannot be decoded: {error}") from None


def _check_tags(body: bytes) -> None:
    """Raises `UnknownEntry` for a body that holds an entry of a type that this server does not know."""
    try:
        heads = _decode_heads(body)
    except (msgspec.MsgspecError, ValueError):
        return
    for head in heads:
        if head.tag not in _TAGS:
            raise UnknownEntry(f"entry {head.place} is of type {head.tag}, this one knows 1 to {max(_TAGS)}")
