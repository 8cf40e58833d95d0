"""A timer and the events of its life, as the engine holds them and the store keeps them.

All times are whole milliseconds on the server's own timeline (see `runtime.clock`): a moment is rounded down
when it is compared with a deadline and up when a deadline is made from it, so that no timer is ever early.
"""

from msgspec import Raw, Struct

from timer_protocol import messages
from timer_protocol.messages import EventKind, State


class Timer(Struct, frozen=True, gc=False, array_like=True):
    """A timer after its last change. A change makes a new one, so an event's timer never changes under it.

    `hours`, `minutes` and `seconds` are as asked. `duration_ms` is the whole of the countdown, extensions
    included. `due_at_ms` is None while paused, and only then does `remaining_ms` count; an end leaves the one as it
    was and sets the other to 0. `keys` are those of the latest changes that carried one. `seq` is that of the event
    that made this version, and so the row it is stored in. Stored rows hold the fields in this order.
    """

    seq: int
    id: str
    state: State
    label: str
    hours: int | float
    minutes: int | float
    seconds: int | float
    duration_ms: int
    due_at_ms: int | None
    remaining_ms: int
    started_at_ms: int
    ended_at_ms: int | None
    version: int
    keys: tuple[str, ...] | None
    payload: bytes

    def view(self, now_ms: int) -> messages.Timer:
        """The timer as it goes over the wire at a given moment."""
        remaining_ms = self.remaining_ms
        if self.state == "running" and self.due_at_ms is not None:
            remaining_ms = min(max(self.due_at_ms - now_ms, 0), self.duration_ms)
        return messages.Timer(
            self.id,
            self.label,
            self.state,
            self.hours,
            self.minutes,
            self.seconds,
            self.duration_ms,
            remaining_ms,
            self.started_at_ms,
            self.due_at_ms,
            self.ended_at_ms,
            self.version,
            Raw(self.payload),
        )


class Event(Struct, frozen=True, gc=False, array_like=True):
    """One row of the log: what happened when, and the timer right after."""

    kind: EventKind
    at_ms: int
    timer: Timer

    @property
    def seq(self) -> int:
        """The event's place in the log."""
        return self.timer.seq

    def view(self) -> messages.Event:
        """The event as it goes over the wire."""
        return messages.Event(self.timer.seq, self.kind, self.at_ms, self.timer.view(self.at_ms))
