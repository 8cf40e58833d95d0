"""Ends of many timers in one step, in columns: records and views are made from those, as no `Countdown` is needed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, repeat

from msgspec import Raw

from timer_protocol import messages
from timer_server.core.keys import remembering
from timer_server.core.model import FIRED, KINDS, Countdown, Revision
from timer_server.core.records import Record, Row, Same, pack_columns, unpack

_TAG = Countdown.__struct_config__.tag


class Ends:
    """Ends of one kind at a moment, of timers that were pending and are not bound to the wall clock.

    Their places follow each other, from `place` on. `dues_ms`, `spec_places` and `places_before` tell of the timers
    right before; those that were paused have no deadline. `records` are those of the ends.
    """

    dues_ms: Sequence[int | None]
    places_before: Sequence[int]
    ids: Sequence[str]
    spec_places: Sequence[int]
    _started_ms: Sequence[int]
    _durations_ms: Sequence[int]
    _revisions: Sequence[Revision | None]

    def __init__(
        self, before: Sequence[Row], kind_number: int, at_ms: int, place: int, others: int, key: str | None = None
    ) -> None:
        """`before` is what the records of the timers have, of which there are some. `key` names the request."""
        self.kind_number, self.at_ms, self.place, self._others = kind_number, at_ms, place, others
        _, self.dues_ms, self.places_before, _, _, self._started_ms, *columns = zip(*before, strict=True)
        self.ids, self._durations_ms, self._revisions, self.spec_places, *self._spec = columns
        self.records: list[Record] = self._packed(key)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Countdown]:
        return map(unpack, self.records)

    @property
    def places(self) -> range:
        """The places of the ends."""
        return range(self.place, self.place + len(self.ids))

    @property
    def state(self) -> messages.State:
        """The state of the timers from now on."""
        return "fired" if self.kind_number == FIRED else "cancelled"

    def views(self, log_id: str) -> Iterable[messages.Event]:
        """The ends as they go over the wire: what `Countdown.event_view` tells of each. `log_id` names their log."""
        if any(self._revisions):
            return (unpack(record).event_view(log_id) for record in self.records)
        hours, minutes, seconds, labels, payloads = self._spec
        at_ms, state, kind = repeat(self.at_ms), repeat(self.state), repeat(KINDS[self.kind_number])
        timers = map(
            messages.Timer,
            self.ids,
            labels,
            state,
            hours,
            minutes,
            seconds,
            self._durations_ms,
            repeat(0),
            self._started_ms,
            self.dues_ms,
            at_ms,
            repeat(2),
            map(Raw, payloads),
        )
        return map(messages.Event, repeat(log_id), count(self.place - self._others), kind, at_ms, timers)

    def _packed(self, key: str | None) -> list[Record]:
        return pack_columns(
            len(self),
            [
                Same(_TAG),
                self.dues_ms,
                self.places,
                Same(self._others),
                Same(self.kind_number),
                self._started_ms,
                self.ids,
                self._durations_ms,
                self._ended_revisions(key),
                self.spec_places,
                *self._spec,
            ],
        )

    def _ended_revisions(self, key: str | None) -> Iterator[object]:
        """The revisions, or tuples of what they have: mostly the timers were just started, and all but one member is
        the same."""
        elapsed_ms, first_keys = map(self.at_ms.__sub__, self._started_ms), _with(b"", key)
        if not any(self._revisions):
            return zip(repeat(2), elapsed_ms, repeat(0), repeat(first_keys), repeat(None), strict=False)
        return (
            Revision(2, elapsed, 0, first_keys)
            if before is None
            else Revision(before.version + 1, elapsed, 0, _with(before.keys, key), before.wall)
            for before, elapsed in zip(self._revisions, elapsed_ms, strict=True)
        )


def _with(keys: bytes, key: str | None) -> bytes:
    return keys if key is None else remembering(keys, key)
