"""First starts in columns. Most of a log of pending timers are entries of this kind, which are taken up together."""

from collections.abc import Sequence
from itertools import repeat
from operator import lt
from typing import Literal, overload

from msgspec import MsgspecError, Raw, msgpack

from timer_server.core.entries import Natural
from timer_server.core.model import Countdown
from timer_server.core.records import Record, unpack


class _FirstStart(Countdown, frozen=True, gc=False, array_like=True, tag=1):
    """A timer that has just been started, runs on the timeline, and has a small spec and no trace."""

    due_at_ms: Natural
    kind_number: Literal[0]
    revision: None
    spec_place: Literal[0]


_decode = msgpack.Decoder(list[_FirstStart]).decode
_split = msgpack.Decoder(list[Raw]).decode


class FirstStarts(Sequence[Countdown]):
    """Some entries of a log in a row, all of them first starts. An event is made where somebody looks at it."""

    __slots__ = ("_others", "_places", "ids", "records")

    def __init__(
        self, ids: Sequence[str], records: Sequence[Record], places: Sequence[int], others: Sequence[int]
    ) -> None:
        self.ids = ids
        self.records = records
        self._places = places
        self._others = others

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Countdown: ...

    @overload
    def __getitem__(self, at: slice) -> "FirstStarts": ...

    def __getitem__(self, at: int | slice) -> "Countdown | FirstStarts":
        if isinstance(at, slice):
            return FirstStarts(self.ids[at], self.records[at], self._places[at], self._others[at])
        return unpack(self.records[at])

    def are_at(self, place: int, others: int) -> bool:
        """Whether they stand from a place on without a gap, each of them behind so many entries that are no events."""
        return self._places == [*range(place, place + len(self))] and self._others == [*repeat(others, len(self))]

    def are_between(self, place: int, last: int) -> bool:
        """Whether they stand behind a place, in order, and none behind `last`."""
        return all(map(lt, (place, *self._places), self._places)) and self._places[-1] <= last

    @property
    def last_place(self) -> int:
        """The place of the last of them."""
        return self._places[-1]


def first_starts(records: bytes) -> FirstStarts | None:
    """Entries that are all first starts, by their records in a MessagePack array; None for any others, and for none."""
    try:
        starts = _decode(records)
    except (MsgspecError, ValueError):  # whoever decodes them as what they are says what is wrong
        return None
    if not starts:
        return None
    return FirstStarts(
        [start.id for start in starts],
        list(map(bytes, _split(records))),
        [start.place for start in starts],
        [start.others for start in starts],
    )
