"""Ends of many timers in one step, in columns: records are made from those, as no `Countdown` is needed."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

from timer_server.core.model import Countdown, Revision
from timer_server.core.records import Record, Row, pack_columns

_TAG = Countdown.__struct_config__.tag


class Ends(NamedTuple):
    """Ends of one kind, of timers that were pending, in columns of one length. Their places follow each other.

    `places_before` are those of the versions before; `dues_ms` are None for those that were paused.
    """

    kind_number: int
    ids: Sequence[str]
    records: list[Record]
    dues_ms: Sequence[int | None]
    places_before: Sequence[int]
    spec_places: Sequence[int]


def ended(rows: Sequence[Row], kind_number: int, at_ms: int, place: int, others: int) -> Ends:
    """The ends at a moment of timers that are not bound to the wall clock, given by their records, of which there are
    some. The first one gets the place.
    """
    _, dues_ms, places_before, _, _, started_ms, ids, durations_ms, revisions, spec_places, *spec = zip(
        *rows, strict=True
    )
    records = pack_columns(
        repeat(_TAG),
        dues_ms,
        range(place, place + len(rows)),
        repeat(others),
        repeat(kind_number),
        started_ms,
        ids,
        durations_ms,
        _revisions(revisions, map(at_ms.__sub__, started_ms)),
        spec_places,
        *spec,
    )
    return Ends(kind_number, ids, records, dues_ms, places_before, spec_places)


def _revisions(before: Sequence[Revision | None], elapsed_ms: Iterator[int]) -> Iterator[object]:
    """The revisions of ended timers, or tuples of what they have: for most timers all but one member is the same."""
    if not any(before):
        return zip(repeat(2), elapsed_ms, repeat(0), repeat(b""), repeat(None), strict=False)
    return (
        Revision(2, elapsed)
        if revision is None
        else Revision(revision.version + 1, elapsed, 0, revision.keys, revision.wall)
        for revision, elapsed in zip(before, elapsed_ms, strict=True)
    )
