"""What can happen to a file on a disk: bytes that flip, an end that is gone, a block that is lost."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

BLOCK = 4096
HEADS = 120
"""Bytes at the beginning, where files say what they are: each of them is tried."""

_LOG_HEADER, _FRAME = 32, 24 + BLOCK
"""SQLite's write-ahead log: a header, and then each page with a header of its own (sqlite.org/fileformat2.html)."""


class Damaged(NamedTuple):
    """What was done, and the content that it leaves."""

    what: str
    content: bytes


def dice(seed: int) -> Random:
    """The same seed makes the same damage."""
    return Random(seed)  # noqa: S311 - damage, not secrets


def flips(content: bytes, chance: Random, count: int) -> Iterator[Damaged]:
    """The content with one byte changed: each of the first ones, and some anywhere."""
    heads = range(min(HEADS, len(content)))
    for at in [*heads, *(chance.randrange(len(content)) for _ in range(count))]:
        changed = bytes([content[at] ^ chance.randrange(1, 256)])
        yield Damaged(f"byte {at} flipped", content[:at] + changed + content[at + 1 :])


def cuts(content: bytes, chance: Random, count: int) -> Iterator[Damaged]:
    """The content without its end: empty, very short, on the edge of a block, and anywhere."""
    short = range(0, min(HEADS, len(content)), 10)
    blocks = range(BLOCK, len(content), BLOCK)
    for length in [*short, *blocks, *(chance.randrange(len(content)) for _ in range(count))]:
        yield Damaged(f"cut to {length} bytes", content[:length])


def holes(content: bytes) -> Iterator[Damaged]:
    """The content with a block of zeros, each in turn."""
    for at in range(0, len(content), BLOCK):
        yield Damaged(f"no block at {at}", _with_block(content, at, bytes(BLOCK)))


def stale_blocks(content: bytes, before: bytes) -> Iterator[Damaged]:
    """The content with one block as it was before, as if its last write had been lost, each that differs in turn."""
    for at in range(0, min(len(content), len(before)), BLOCK):
        if content[at : at + BLOCK] != before[at : at + BLOCK]:
            yield Damaged(f"a stale block at {at}", _with_block(content, at, before[at : at + BLOCK]))


def _with_block(content: bytes, at: int, block: bytes) -> bytes:
    return content[:at] + block[: len(content) - at] + content[at + BLOCK :]


def used_part(name: str, content: bytes) -> bytes:
    """A database of SQLite, or its write-ahead log, without the room behind its last page; other files whole."""
    if name.endswith("-wal"):
        end, salts = _LOG_HEADER, content[16:24]  # the salts tell its pages from those of before
        while any(salts) and content[end + 8 : end + 16] == salts and end + _FRAME <= len(content):
            end += _FRAME
        return content[:end]
    pages = int.from_bytes(content[28:32]) if content.startswith(b"SQLite format 3") else len(content)
    return content[: pages * BLOCK]
