"""Checks that tell a damaged log from a whole one: a checksum on every block, and counts of what should be there."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from timer_protocol.plurals import counted
from timer_server.core.entries import OtherEntry
from timer_server.core.first_starts import FirstStarts
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


def verify_complete(blocks: Iterable[Sequence[Entry]], held: int, ends: LogEnds) -> Iterator[Sequence[Entry]]:
    """Passes the blocks of a log on and checks that no entry is missing. Raises `Damage`, at the latest after the last.

    There should be `held` entries, none missing after the horizon, and each spec that another entry refers to. After
    the horizon each entry has to tell how many up to it are no events.
    """
    completeness = _Completeness(ends)
    for block in blocks:
        completeness.check(block)
        yield block
    completeness.check_end(held)


class _Completeness:
    """What was seen of a log so far."""

    def __init__(self, ends: LogEnds) -> None:
        self._ends = ends
        self._found = self._last = 0
        self._expected = ends.horizon + 1
        self._others = ends.horizon - ends.horizon_seq
        self._specs: set[int] = set()
        """The places of entries that hold a spec for others."""

    def check(self, block: Sequence[Entry]) -> None:
        """Checks the next entries. Raises `Damage`."""
        if isinstance(block, FirstStarts) and self._are_next(block):
            self._found += len(block)
            self._last = block.last_place
            self._expected = max(self._expected, self._last + 1)
            return
        last, expected, others, horizon = self._last, self._expected, self._others, self._ends.horizon
        for entry in block:
            place = entry.place
            if entry.spec_place:
                self._check_reference(entry)
            if place == expected:
                expected += 1
                others += type(entry) is not Countdown and isinstance(entry, OtherEntry)
                if entry.others != others:
                    told = f"tells of {entry.others} that are no events, and should tell of {others}"
                    raise Damage(f"entry {place} {told}")
            elif place > horizon:
                raise Damage(f"entry {expected} is missing, entry {place} stands in its place")
            elif place <= last:
                raise Damage(f"entry {place} stands after entry {last}")
            last = place
        self._found += len(block)
        self._last, self._expected, self._others = last, expected, others

    def _are_next(self, starts: FirstStarts) -> bool:
        """Whether nothing is missing before these or between them, where something has to be."""
        is_whole = starts.are_at(self._expected, self._others)
        return is_whole or starts.are_between(self._last, self._ends.horizon)

    def check_end(self, held: int) -> None:
        """Checks that the log ends where it should, and how many entries it holds. Raises `Damage`."""
        ends, last_place, found = self._ends, self._expected - 1, self._found
        if last_place != max(ends.last_place, ends.horizon):
            raise Damage(f"it ends at entry {last_place}, and should end at {ends.last_place}")
        if last_place - self._others != max(ends.last_seq, ends.horizon_seq):
            raise Damage(f"it ends at event {last_place - self._others}, and should end at {ends.last_seq}")
        if found != held:
            raise Damage(f"it holds {counted(found, 'entry', 'entries')}, and should hold {held}")

    def _check_reference(self, entry: Entry) -> None:
        """Notes an entry that holds a spec for others. Raises `Damage` for one whose spec is missing."""
        if entry.spec_place == entry.place:
            self._specs.add(entry.place)
        elif entry.spec_place not in self._specs:
            raise Damage(f"entry {entry.spec_place} is missing, to which entry {entry.place} refers")
