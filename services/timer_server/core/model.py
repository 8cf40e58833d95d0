"""A timer, as the engine works on it.

All times are whole milliseconds on the server's own timeline (see `loop.clock`): a moment is rounded down
when it is compared with a deadline and up when a deadline is made from it, so that no timer is ever early.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from timer_protocol import messages
from timer_protocol.messages import EventKind, State

KINDS: tuple[EventKind, ...] = ("started", "paused", "resumed", "extended", "restarted", "cancelled", "fired")
"""Kinds of events by their number, as records hold it."""

NUMBER_OF = {kind: number for number, kind in enumerate(KINDS)}
"""The number of each kind."""

STARTED, CANCELLED, FIRED = NUMBER_OF["started"], NUMBER_OF["cancelled"], NUMBER_OF["fired"]

Natural = Annotated[int, Meta(ge=0)]


class Timer(Struct, frozen=True, gc=False, array_like=True):
    """A timer right after an event, and that event: number `seq` of the log, of the kind `KINDS[kind_number]`,
    `elapsed_ms` after `started_at_ms`. A change makes a new one, so an event never changes.

    `hours`, `minutes` and `seconds` are as asked. `duration_ms` is the whole of the countdown, extensions included.
    `due_at_ms` is None while paused, and only then is `remaining_ms` more than 0; an end leaves the one as it was.
    `keys` are those of the latest changes that carried one. The order of the fields is that of `core.records`.
    """

    due_at_ms: Natural | None
    seq: Natural
    kind_number: Annotated[int, Meta(ge=0, lt=len(KINDS))]
    started_at_ms: Natural
    elapsed_ms: Natural
    id: str
    label: str
    hours: int | float
    minutes: int | float
    seconds: int | float
    duration_ms: int
    remaining_ms: Natural
    version: int
    keys: tuple[str, ...] | None
    payload: bytes

    @property
    def kind(self) -> EventKind:
        """What happened last."""
        return KINDS[self.kind_number]

    @property
    def at_ms(self) -> int:
        """When that was."""
        return self.started_at_ms + self.elapsed_ms

    @property
    def has_ended(self) -> bool:
        """Whether it has fired or was cancelled."""
        return self.kind_number >= CANCELLED

    @property
    def state(self) -> State:
        """What the last event has left the timer in."""
        if self.kind_number < CANCELLED:
            return "paused" if self.due_at_ms is None else "running"
        return "fired" if self.kind_number == FIRED else "cancelled"

    @property
    def ended_at_ms(self) -> int | None:
        """When it has ended; None while it is pending."""
        return self.at_ms if self.has_ended else None

    def view(self, now_ms: int) -> messages.Timer:
        """The timer as it goes over the wire at a given moment."""
        remaining_ms, state = self.remaining_ms, self.state
        if state == "running" and self.due_at_ms is not None:
            remaining_ms = min(max(self.due_at_ms - now_ms, 0), self.duration_ms)
        return messages.Timer(
            self.id,
            self.label,
            state,
            self.hours,
            self.minutes,
            self.seconds,
            self.duration_ms,
            remaining_ms,
            self.started_at_ms,
            self.due_at_ms,
            self.at_ms if self.kind_number >= CANCELLED else None,
            self.version,
            Raw(self.payload),
        )

    def event_view(self) -> messages.Event:
        """The event as it goes over the wire."""
        return messages.Event(self.seq, self.kind, self.at_ms, self.view(self.at_ms))
