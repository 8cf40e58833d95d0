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
from timer_server.core.records import SURELY_SMALL_BYTES, Column, Record, Same, is_large, pack_columns
from timer_server.core.room import ENTRY_BYTES, Room

_NONE = bytes(NULL)
"""The payload of a timer that is given none."""

_TAG = Countdown.__struct_config__.tag


class Starts(NamedTuple):
    """What is asked of each of some timers, in columns of one length. `seconds` may be one number for all; `hours`,
    `minutes`, `labels`, `payloads` and `traces` are None where all have none."""

    ids: Sequence[str]
    seconds: Sequence[Number] | Number
    labels: Sequence[str] | None
    payloads: Sequence[Raw] | None
    traces: Sequence[Trace | None] | None = None
    hours: Sequence[Number] | None = None
    minutes: Sequence[Number] | None = None

    def at(self, positions: Sequence[int]) -> "Starts":
        """Those at some positions, of which there are none twice."""
        if len(positions) == len(self.ids):
            return self
        return Starts(
            *(  # type: ignore[arg-type]  # each keeps its type
                [column[position] for position in positions] if isinstance(column, Sequence) else column
                for column in self
            )
        )


class Begun(NamedTuple):
    """When timers were started together, in milliseconds, and for how long each of them."""

    at_ms: int
    durations_ms: Sequence[int]


class BulkStarts:
    """Starts timers that are new, valid, without a trace, and have room, all at once. It refuses none: what might be
    refused, or is known already, is left to single starts, which say so."""

    def __init__(self, limits: Limits, ledger: Ledger, room: Room, places: Places) -> None:
        self._limits = limits
        self._ledger = ledger
        self._room = room
        self._places = places

    def start(self, starts: Starts, of_all: int, now_ns: int) -> Begun | None:
        """Starts all of these timers; None, and nothing has changed, where one might be refused.

        They are some of so many that are asked for together: only if all of those have a place, none takes it from
        another that is asked for before.
        """
        if not starts.ids or starts.traces is not None or not self._have_place(of_all):
            return None
        count = len(starts.ids)
        payloads = [_NONE] * count if starts.payloads is None else list(map(bytes, starts.payloads))
        size = count * ENTRY_BYTES + sum(map(len, payloads))
        if size > self._room.left_bytes or not self._are_new(starts.ids) or not self._are_sound(starts, payloads):
            return None
        try:
            durations = self._durations_ms(starts)
        except Refusal:
            return None
        self._room.left_bytes -= size
        begun = Begun(round_up(now_ns), durations)
        self._ledger.begin_all(starts.ids, self._records(starts, payloads, begun))
        return begun

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

    def _durations_ms(self, starts: Starts) -> Sequence[int]:
        """How long each timer runs. Raises `Refusal` where one may not."""
        count, seconds = len(starts.ids), starts.seconds
        none = [0] * count
        return durations_ms(
            starts.hours or none,
            starts.minutes or none,
            seconds if isinstance(seconds, Sequence) else [seconds] * count,
            self._limits.max_duration_s,
        )

    def _records(self, starts: Starts, payloads: Sequence[bytes], begun: Begun) -> list[Record]:
        """The records of the timers: made from the columns, as no `Countdown` is needed."""
        at_ms, durations = begun
        count, first = len(durations), self._ledger.last_place + 1
        places = range(first, first + count)
        is_one = durations.count(durations[0]) == count
        return pack_columns(
            count,
            [
                Same(_TAG),
                Same(at_ms + durations[0]) if is_one else map(at_ms.__add__, durations),
                places,
                Same(self._ledger.others),
                Same(STARTED),
                Same(at_ms),
                starts.ids,
                Same(durations[0]) if is_one else durations,
                Same(None),
                _spec_places(starts.labels, payloads, places),
                starts.hours or Same(0),
                starts.minutes or Same(0),
                starts.seconds if isinstance(starts.seconds, Sequence) else Same(starts.seconds),
                starts.labels or Same(""),
                payloads,
            ],
        )


def _spec_places(labels: Sequence[str] | None, payloads: Sequence[bytes], places: Sequence[int]) -> Column:
    """Where the specs of new timers stand: each that is large in the timer's own entry."""
    label_characters = max(map(len, labels)) if labels else 0
    if label_characters + max(map(len, payloads)) <= SURELY_SMALL_BYTES:
        return Same(0)
    large = map(is_large, labels or repeat(""), map(len, payloads))
    return [place if is_so else 0 for place, is_so in zip(places, large, strict=True)]
