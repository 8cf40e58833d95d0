"""New versions of many timers in one step, in columns: records are made from those, as no `Countdown` is needed."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

from timer_protocol import messages
from timer_protocol.messages import EventKind
from timer_server.core.bulk_effects import Times
from timer_server.core.keys import remembering
from timer_server.core.model import ENDED_KINDS, KINDS, Countdown
from timer_server.core.records import Columns, Record, Same, pack_columns, unpack

_TAG = Countdown.__struct_config__.tag


class Step(NamedTuple):
    """What happens to many timers at a moment. `key` is the digest of the key of the request, if that has one."""

    kind_number: int
    at_ms: int
    key: bytes | None = None


class BulkVersions:
    """Versions that one step makes of timers that were pending and are not bound to the wall clock.

    Their places follow each other, from `place` on. `before` are the versions right before, `records` the new ones.
    """

    def __init__(self, before: Columns, times: Times, step: Step, place: int, others: int) -> None:
        self.before, self.times, self.place, self.others = before, times, place, others
        self.kind_number, self.at_ms, key = step
        self.records: list[Record] = self._packed(key)

    def __len__(self) -> int:
        return len(self.before.ids)

    def __iter__(self) -> Iterator[Countdown]:
        return map(unpack, self.records)

    @property
    def places(self) -> range:
        """The places of the versions."""
        return range(self.place, self.place + len(self))

    @property
    def kind(self) -> EventKind:
        """What has happened to the timers."""
        return KINDS[self.kind_number]

    @property
    def have_ended(self) -> bool:
        """Whether the timers have ended by it; otherwise they are still pending."""
        return self.kind_number in ENDED_KINDS

    def views(self, log_id: str) -> Iterable[messages.Event]:
        """The events as they go over the wire. `log_id` names their log."""
        return (timer.event_view(log_id) for timer in self)

    def _packed(self, key: bytes | None) -> list[Record]:
        before, times = self.before, self.times
        return pack_columns(
            len(self),
            [
                Same(_TAG),
                times.dues_ms,
                self.places,
                Same(self.others),
                Same(self.kind_number),
                times.started_ms,
                before.ids,
                times.durations_ms,
                self._revisions(key),
                before.spec_places,
                before.hours,
                before.minutes,
                before.seconds,
                before.labels,
                before.payloads,
            ],
        )

    def _revisions(self, key: bytes | None) -> Iterable[object]:
        """What the revisions have, as tuples: mostly the timers were just started, and most of it is the same."""
        before, paused_ms = self.before.revisions, self.times.paused_ms
        elapsed_ms, first_keys = map(self.at_ms.__sub__, self.times.started_ms), remembering(b"", key)
        if not any(before):
            return zip(repeat(2), elapsed_ms, paused_ms, repeat(first_keys), repeat(None), strict=False)
        return (
            (2, elapsed, left, first_keys, None)
            if revision is None
            else (revision.version + 1, elapsed, left, remembering(revision.keys, key), revision.wall)
            for revision, elapsed, left in zip(before, elapsed_ms, paused_ms, strict=True)
        )
