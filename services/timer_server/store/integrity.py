"""What tells a damaged log from a whole one: a checksum on every block, and a count of what should be there."""

import struct
from collections.abc import Iterable, Iterator
from zlib import crc32

from timer_server.core.ledger import LogEnds
from timer_server.core.model import Entry

_KEYS = struct.Struct(">QQ")


class Damage(Exception):
    """What was read is not what was written. The text says what was found, and where in the log."""


def checksum_of(body: bytes, key: int = 0, second_key: int = 0) -> int:
    """The checksum to store beside a body, which covers the keys of its row as well."""
    return crc32(body, crc32(_KEYS.pack(key, second_key)))


def is_sound(body: object, checksum: object, key: object = 0, second_key: object = 0) -> bool:
    """Whether body and keys are what the checksum was made of; damage may have changed the types of what was stored."""
    try:
        return isinstance(body, bytes) and checksum_of(body, key, second_key) == checksum  # type: ignore[arg-type]
    except struct.error:
        return False


def verify_complete(entries: Iterable[Entry], held: int, ends: LogEnds) -> Iterator[Entry]:
    """The entries of a log, checked to be all that it should hold: `held` of them, none missing after the horizon, and
    each spec there that another entry refers to.

    Raises `Damage` at the first that is out of place, or at the end.
    """
    found, last, expected, seq = 0, 0, ends.horizon + 1, ends.horizon_seq
    for entry in _verify_references(entries):
        place = entry.place
        if place == expected:
            expected, seq = expected + 1, entry.seq
        elif place > ends.horizon:
            raise Damage(f"entry {expected} is missing, entry {place} stands in its place")
        elif place <= last:
            raise Damage(f"entry {place} stands after entry {last}")
        found, last = found + 1, place
        yield entry
    if expected - 1 != max(ends.last_place, ends.horizon):
        raise Damage(f"it ends at entry {expected - 1}, and should end at {ends.last_place}")
    if seq != max(ends.last_seq, ends.horizon_seq):
        raise Damage(f"it ends at event {seq}, and should end at {ends.last_seq}")
    if found != held:
        raise Damage(f"it holds {found} entries, and should hold {held}")


def _verify_references(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries. Raises `Damage` at one that refers to a spec which none before it holds."""
    specs: set[int] = set()
    for entry in entries:
        if entry.holds_spec:
            specs.add(entry.place)
        elif entry.spec_place and entry.spec_place not in specs:
            raise Damage(f"entry {entry.spec_place} is missing, to which entry {entry.place} refers")
        yield entry
