"""Checks that tell a damaged log from a whole one: a checksum on every block, and counts of what should be there."""

import struct
from collections.abc import Iterable, Iterator
from zlib import crc32

from timer_protocol.plurals import counted
from timer_server.core.entries import OtherEntry
from timer_server.core.ledger import LogEnds
from timer_server.core.model import Countdown, Entry

_KEYS = struct.Struct(">QQ")


class Damage(Exception):
    """What was read is not what was written. The text says what was found, and where in the log."""


class UnknownEntry(Damage):
    """An entry is whole, but of a type that only a newer server knows. The text says which, and where in the log."""


def checksum_of(body: bytes, key: int = 0, second_key: int = 0) -> int:
    """The checksum to store beside a body. It covers the keys of the row as well."""
    return crc32(body, crc32(_KEYS.pack(key, second_key)))


def is_sound(body: object, checksum: object, key: object = 0, second_key: object = 0) -> bool:
    """Whether a checksum is that of body and keys, whose types damage may have changed too."""
    try:
        return isinstance(body, bytes) and checksum_of(body, key, second_key) == checksum  # type: ignore[arg-type]
    except struct.error:
        return False


def verify_complete(entries: Iterable[Entry], held: int, ends: LogEnds) -> Iterator[Entry]:
    """Passes the entries of a log on and checks that all are there. Raises `Damage`, at the latest after the last.

    There should be `held` entries, none missing after the horizon, and each spec that another entry refers to. After
    the horizon each entry has to tell how many up to it are no events.
    """
    found, last, expected, others = 0, 0, ends.horizon + 1, ends.horizon - ends.horizon_seq
    specs: set[int] = set()
    for entry in entries:
        place = entry.place
        if entry.spec_place:
            _check_reference(entry, specs)
        if place == expected:
            expected += 1
            others += type(entry) is not Countdown and isinstance(entry, OtherEntry)
            if entry.others != others:
                raise Damage(f"entry {place} tells of {entry.others} that are no events, and should tell of {others}")
        elif place > ends.horizon:
            raise Damage(f"entry {expected} is missing, entry {place} stands in its place")
        elif place <= last:
            raise Damage(f"entry {place} stands after entry {last}")
        found, last = found + 1, place
        yield entry
    if expected - 1 != max(ends.last_place, ends.horizon):
        raise Damage(f"it ends at entry {expected - 1}, and should end at {ends.last_place}")
    if expected - 1 - others != max(ends.last_seq, ends.horizon_seq):
        raise Damage(f"it ends at event {expected - 1 - others}, and should end at {ends.last_seq}")
    if found != held:
        raise Damage(f"it holds {counted(found, 'entry', 'entries')}, and should hold {held}")


def _check_reference(entry: Entry, specs: set[int]) -> None:
    """Notes an entry that holds a spec for others. Raises `Damage` for one whose spec is missing."""
    if entry.spec_place == entry.place:
        specs.add(entry.place)
    elif entry.spec_place not in specs:
        raise Damage(f"entry {entry.spec_place} is missing, to which entry {entry.place} refers")
