"""The new entries of a turn. Events that were made in bulk are only unpacked where somebody looks at them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from timer_server.core.bulk_versions import BulkVersions
from timer_server.core.model import FIRED, Countdown, NewEntry
from timer_server.core.records import Record, unpack


class Packed(NamedTuple):
    """Events of one kind that were made in one step, and are held as their records so far, from a position on. All but
    starts come with their columns."""

    position: int
    number: int
    kind_number: int
    versions: BulkVersions | None = None

    @property
    def lapsed_ms(self) -> Sequence[int]:
        """The deadlines at which timers have fired, in order."""
        if self.versions is None or self.kind_number != FIRED:
            return ()
        return self.versions.before.dues_ms  # type: ignore[return-value]  # what has fired was running


class TurnEntries:
    """The new entries of a turn, in order. `packed` tells of those that are held as their records so far.

    `has_others` tells whether there are entries that are no events of timers.
    """

    __slots__ = ("_held", "has_others", "packed")

    def __init__(self, held: list[NewEntry | Record], has_others: bool, packed: Sequence[Packed]) -> None:
        self._held = held
        self.has_others = has_others
        self.packed = packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TurnEntries) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes how it holds what it has

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, position: int) -> NewEntry:
        return made(self._held[position])

    def __iter__(self) -> Iterator[NewEntry]:
        return iter(self._all())

    @property
    def events(self) -> Sequence[Countdown]:
        """The events of timers among them."""
        entries = self._all()
        return _events(entries) if self.has_others else entries  # type: ignore[return-value]  # all are events

    def events_apart(self) -> Iterable[Countdown]:
        """The events of timers among them but for the `packed` ones."""
        return self._between_packed() if self.packed else self.events

    def parts(self) -> Iterator[Iterable[Countdown]]:
        """The events of timers among them, in order; all but starts that were made in one step are `BulkVersions`."""
        done = 0
        for packed in self.packed:
            if packed.versions is not None:
                yield _events(self._held[done : packed.position])
                yield packed.versions
                done = packed.position + packed.number
        yield _events(self._held[done:])

    def _between_packed(self) -> Iterator[Countdown]:
        done = 0
        for packed in self.packed:
            yield from _events(self._held[done : packed.position])
            done = packed.position + packed.number
        yield from _events(self._held[done:])

    def _all(self) -> Sequence[NewEntry]:
        if self.packed:
            self._held, self.packed = [made(entry) for entry in self._held], ()
        return self._held  # type: ignore[return-value]  # none is a record


def _events(held: Iterable[NewEntry | Record]) -> list[Countdown]:
    return [entry for entry in map(made, held) if isinstance(entry, Countdown)]


def made(entry: NewEntry | Record) -> NewEntry:
    """An entry that may be held as its record."""
    return unpack(entry) if isinstance(entry, bytes) else entry
