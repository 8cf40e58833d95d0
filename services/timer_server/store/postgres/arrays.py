"""Numbers and arrays as PostgreSQL's protocol sends them in binary: no byte of a block is written as text."""

import struct
from collections.abc import Sequence
from uuid import UUID

_BYTEA, _INT8, _INT4, _TEXT, _UUID = 17, 20, 23, 25, 2950
"""The types of the elements, as the catalogue numbers them."""

_HEAD = struct.Struct(">iiIii")
_EMPTY = ">iiI"
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)


def int4(value: int) -> bytes:
    """An `integer`."""
    return struct.pack(">i", value)


def int8(value: int) -> bytes:
    """A `bigint`."""
    return struct.pack(">q", value)


def int4_array(values: Sequence[int]) -> bytes:
    """An array of `integer`."""
    return _numbers(values, _INT4, "i", 4)


def int8_array(values: Sequence[int]) -> bytes:
    """An array of `bigint`."""
    return _numbers(values, _INT8, "q", 8)


def bytea_array(values: Sequence[bytes]) -> bytes:
    """An array of `bytea`."""
    return _strings(values, _BYTEA)


def text_array(values: Sequence[str]) -> bytes:
    """An array of `text`."""
    return _strings([value.encode() for value in values], _TEXT)


def uuid_array(values: Sequence[str | None]) -> bytes:
    """An array of `uuid`, some of which may be null."""
    elements = (_NULL if value is None else _LENGTH.pack(16) + UUID(value).bytes for value in values)
    return b"".join([_head(_UUID, len(values)), *elements])


def _strings(values: Sequence[bytes], element: int) -> bytes:
    parts = [_head(element, len(values))]
    for value in values:
        parts += _LENGTH.pack(len(value)), value
    return b"".join(parts)


def _numbers(values: Sequence[int], element: int, code: str, size: int) -> bytes:
    words = [word for value in values for word in (size, value)]
    return _head(element, len(values)) + struct.pack(">" + ("i" + code) * len(values), *words)


def _head(element: int, count: int) -> bytes:
    """One dimension that begins at 1, without nulls; an empty array has none."""
    return _HEAD.pack(1, 0, element, count, 1) if count else struct.pack(_EMPTY, 0, 0, element)
