"""Starts of many timers in one step, where each of them would be started by a request of its own."""

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from msgspec import Raw

from timer_protocol.durations import Number, durations_ms
from timer_protocol.errors import Refusal
from timer_protocol.ids import are_valid_ids
from timer_protocol.limits import LABEL_CHARACTERS, Limits
from timer_protocol.messages import NULL
from timer_protocol.traces import Trace
from timer_server.core.effects import round_up
from timer_server.core.ledger import Ledger
from timer_server.core.model import STARTED, Countdown
from timer_server.core.payloads import are_sound_payloads
from timer_server.core.places import Places
from timer_server.core.records import SURELY_SMALL_BYTES, Record, is_large, pack_columns
from timer_server.core.room import ENTRY_BYTES, Room

_NONE = bytes(NULL)
"""The payload of a timer that is given none."""

_TAG = Countdown.__struct_config__.tag


class Starts(NamedTuple):
    """What is asked of each of some timers, in columns of one length. `labels`, `payloads` and `traces` are None where
    all have none."""

    ids: Sequence[str]
    seconds: Sequence[Number]
    labels: Sequence[str] | None
    payloads: Sequence[Raw] | None
    traces: Sequence[Trace | None] | None = None

    def at(self, positions: Sequence[int]) -> "Starts":
        """Those at some positions, of which there are none twice."""
        if len(positions) == len(self.ids):
            return self
        labels, payloads, traces = self.labels, self.payloads, self.traces
        return Starts(
            [self.ids[position] for position in positions],
            [self.seconds[position] for position in positions],
            None if labels is None else [labels[position] for position in positions],
            None if payloads is None else [payloads[position] for position in positions],
            None if traces is None else [traces[position] for position in positions],
        )


class BulkStarts:
    """Starts timers that are new, valid, without a trace, and have room, all at once. It refuses none: what might be
    refused, or is known already, is left to single starts, which say so."""

    def __init__(self, limits: Limits, ledger: Ledger, room: Room, places: Places) -> None:
        self._limits = limits
        self._ledger = ledger
        self._room = room
        self._places = places

    def start(self, starts: Starts, of_all: int, now_ns: int) -> bool:
        """Starts all of these timers; False, and nothing has changed, where one might be refused.

        They are some of so many that are asked for together: only if all of those have a place, none takes it from
        another that is asked for before.
        """
        if not starts.ids or starts.traces is not None or not self._have_place(of_all):
            return False
        count = len(starts.ids)
        payloads = [_NONE] * count if starts.payloads is None else list(map(bytes, starts.payloads))
        size = count * ENTRY_BYTES + sum(map(len, payloads))
        if size > self._room.left_bytes or not self._are_new(starts.ids) or not self._are_sound(starts, payloads):
            return False
        try:
            durations = durations_ms(starts.seconds, self._limits.max_duration_s)
        except Refusal:
            return False
        self._room.left_bytes -= size
        self._ledger.begin_all(starts.ids, self._records(starts, payloads, durations, round_up(now_ns)))
        return True

    def _have_place(self, count: int) -> bool:
        places = self._places
        return places.shares is None and places.has_place(count)

    def _are_new(self, timer_ids: Sequence[str]) -> bool:
        distinct = set(timer_ids)
        return len(distinct) == len(timer_ids) and not self._ledger.knows_any(distinct)

    def _are_sound(self, starts: Starts, payloads: Sequence[bytes]) -> bool:
        return (
            are_valid_ids(starts.ids)
            and (starts.labels is None or max(map(len, starts.labels)) <= LABEL_CHARACTERS)
            and (starts.payloads is None or are_sound_payloads(payloads, self._limits.max_payload_bytes))
        )

    def _records(
        self, starts: Starts, payloads: Sequence[bytes], durations: Sequence[int], at_ms: int
    ) -> Sequence[Record]:
        """The records of the timers, which begin at a moment: made from the columns, as no `Countdown` is needed."""
        first = self._ledger.last_place + 1
        labels = [""] * len(starts.ids) if starts.labels is None else starts.labels
        are_small = max(map(len, labels)) + max(map(len, payloads)) <= SURELY_SMALL_BYTES
        are_large = repeat(False) if are_small else map(is_large, labels, map(len, payloads))
        places = range(first, first + len(starts.ids))
        return pack_columns(
            repeat(_TAG),
            map(at_ms.__add__, durations),
            places,
            repeat(self._ledger.others),
            repeat(STARTED),
            repeat(at_ms),
            starts.ids,
            durations,
            repeat(None),
            [place if is_so else 0 for place, is_so in zip(places, are_large, strict=False)],
            repeat(0),
            repeat(0),
            starts.seconds,
            labels,
            payloads,
        )
