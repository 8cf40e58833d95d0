"""A timer as the engine works on it, and the entries that the log is made of.

All times are whole milliseconds on the server's own timeline (see `loop.clock`): a moment is rounded down when it is
compared with a deadline and up when a deadline is made from it, so that no timer is ever early.

An entry of the log begins with a tag that says what it is. So far all entries are events of timers. Every entry has a
`place`, which rises by one over all entries; only events of timers have a `seq`, which rises by one over those.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from timer_protocol import messages
from timer_protocol.messages import EventKind, State

KINDS: tuple[EventKind, ...] = ("started", "paused", "resumed", "extended", "restarted", "cancelled", "fired")
"""Kinds of events by their number, as entries hold it. New kinds go to the end."""

NUMBER_OF = {kind: number for number, kind in enumerate(KINDS)}
"""The number of each kind."""

STARTED, CANCELLED, FIRED = NUMBER_OF["started"], NUMBER_OF["cancelled"], NUMBER_OF["fired"]

ENDED_KINDS = frozenset({CANCELLED, FIRED})
"""The kinds of events that end a timer."""

Natural = Annotated[int, Meta(ge=0)]


class Spec(Struct, frozen=True, gc=False, array_like=True):
    """What a start has asked for: the three amounts as they came, a label, and the payload as JSON.

    A new member goes to the end and gets a default, so that entries without it can still be read.
    """

    hours: int | float
    minutes: int | float
    seconds: int | float
    label: str
    payload: bytes


class _Entry(Struct, frozen=True, gc=False, array_like=True):
    """What every event of a timer tells: the timer right after it. The order of the fields is that of `records`.

    The event is of the kind `KINDS[kind_number]` and happened `elapsed_ms` after `started_at_ms`. `others` is how many
    entries before it are no events of timers. `duration_ms` is the whole of the countdown, extensions included.
    `due_at_ms` is None while paused, and only then is `remaining_ms` more than 0; an end leaves the one as it was.
    `keys` are digests of the latest keys (see `keys`). `spec_place` is where a large spec is written once, 0 for a
    small one, which is repeated in every entry.
    """

    due_at_ms: Natural | None
    place: Natural
    others: Natural
    kind_number: Annotated[int, Meta(ge=0, lt=len(KINDS))]
    started_at_ms: Natural
    elapsed_ms: Natural
    id: str
    duration_ms: int
    remaining_ms: Natural
    version: int
    keys: bytes
    spec_place: Natural

    @property
    def seq(self) -> int:
        """The number of the event among those of timers."""
        return self.place - self.others

    @property
    def kind(self) -> EventKind:
        """What happened."""
        return KINDS[self.kind_number]

    @property
    def at_ms(self) -> int:
        """When it happened."""
        return self.started_at_ms + self.elapsed_ms

    @property
    def has_ended(self) -> bool:
        """Whether the timer has fired or was cancelled."""
        return self.kind_number in ENDED_KINDS

    @property
    def state(self) -> State:
        """What the event has left the timer in."""
        if self.kind_number not in ENDED_KINDS:
            return "paused" if self.due_at_ms is None else "running"
        return "fired" if self.kind_number == FIRED else "cancelled"

    @property
    def ended_at_ms(self) -> int | None:
        """When the timer has ended; None while it is pending."""
        return self.at_ms if self.has_ended else None

    @property
    def holds_spec(self) -> bool:
        """Whether later entries of this timer refer to this one for their spec."""
        return self.spec_place == self.place


class Countdown(_Entry, frozen=True, gc=False, array_like=True, tag=1):
    """A timer right after an event, and that event. A change makes a new one, so an event never changes."""

    spec: Spec

    def view(self, now_ms: int) -> messages.Timer:
        """The timer as it goes over the wire at a given moment."""
        remaining_ms, state, spec = self.remaining_ms, self.state, self.spec
        if state == "running" and self.due_at_ms is not None:
            remaining_ms = min(max(self.due_at_ms - now_ms, 0), self.duration_ms)
        return messages.Timer(
            self.id,
            spec.label,
            state,
            spec.hours,
            spec.minutes,
            spec.seconds,
            self.duration_ms,
            remaining_ms,
            self.started_at_ms,
            self.due_at_ms,
            self.at_ms if self.kind_number in ENDED_KINDS else None,
            self.version,
            Raw(spec.payload),
        )

    def event_view(self, log_id: str) -> messages.Event:
        """The event as it goes over the wire, as one of a log."""
        return messages.Event(log_id, self.seq, self.kind, self.at_ms, self.view(self.at_ms))


class Referring(_Entry, frozen=True, gc=False, array_like=True, tag=2):
    """An event as the log holds it where its spec is large: that stands in the entry at `spec_place`."""

    def with_spec(self, spec: Spec) -> Countdown:
        """The event as a whole."""
        return Countdown(**{field: getattr(self, field) for field in self.__struct_fields__}, spec=spec)


Entry = Countdown | Referring
"""What a log is made of."""


def as_logged(countdown: Countdown) -> Entry:
    """The entry for an event: without its spec where an earlier entry has that."""
    if countdown.spec_place in (0, countdown.place):
        return countdown
    return Referring(**{field: getattr(countdown, field) for field in Referring.__struct_fields__})
