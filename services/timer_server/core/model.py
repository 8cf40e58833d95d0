"""A timer as the engine works on it, and the entries that the log is made of.

All times are whole milliseconds on the server's own timeline (see `loop.clock`). A moment is rounded down when it is
compared with a deadline and up when a deadline is made from it, so that no timer is ever early.

Each entry begins with a tag for its type: most are events of timers, the others are in `core.entries`. Every entry has
a `place`, which rises by one over all entries; only events of timers have a `seq`, which rises by one over those.
"""

from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import asdict, replace

from timer_protocol import messages
from timer_protocol.messages import Cause, EventKind, State
from timer_server.core.entries import Natural, PlanEntry, QueueEntry, ServerStarted

KINDS: tuple[EventKind, ...] = (
    "started",
    "paused",
    "resumed",
    "extended",
    "restarted",
    "cancelled",
    "fired",
    "extended",
)
"""The kinds of events. Entries hold a kind as its number in this order, so new kinds go to the end."""

NUMBER_OF = {kind: KINDS.index(kind) for kind in KINDS}
"""The number of each kind, as a request or a deadline brings it about."""

STARTED, CANCELLED, FIRED = NUMBER_OF["started"], NUMBER_OF["cancelled"], NUMBER_OF["fired"]

MOVED_BY_CLOCK = len(KINDS) - 1
"""An `extended` that no request has made: the wall clock was set, and a timer is bound to it."""

ENDED_KINDS = frozenset({CANCELLED, FIRED})
"""The kinds of events that end a timer."""


class Wall(Struct, frozen=True, gc=False, array_like=True):
    """The moment of the wall clock that a timer was started for, as the start asked for it.

    `moment_ms` is what `at` and `zone` came to then, in Unix time; no later release of the time zones moves it.
    `fires_late` says that a start after the moment fires at once. `ahead_ms` is by how much the wall clock was ahead of
    the timeline at the latest event; it is None where that clock no longer decides when the timer fires.
    """

    at: str
    zone: str | None
    moment_ms: int
    fires_late: bool
    ahead_ms: int | None


class Revision(Struct, frozen=True, gc=False, array_like=True):
    """What a changed timer has, and one that was started for a moment. Most have neither, and one byte in its place.

    The latest event happened `elapsed_ms` after `started_at_ms`. `remaining_ms` is more than 0 only while paused.
    `keys` are digests of the latest keys (see `core.keys`).
    """

    version: int
    elapsed_ms: Natural = 0
    remaining_ms: Natural = 0
    keys: bytes = b""
    wall: Wall | None = None


class _Entry(Struct, frozen=True, gc=False, array_like=True):
    """An event of a timer: the timer right after it, without its spec. `records` relies on the order of the fields.

    The event is of the kind `KINDS[kind_number]`. `others` counts the entries before it that are not events of timers.
    `due_at_ms` is by the wall clock where the timer is bound to it, otherwise on the timeline; it is None while paused,
    and an end does not change it. `duration_ms` is the whole countdown, extensions
    included. `revision` is None in a first start. `spec_place` is the place of the entry that holds a large spec; 0
    stands for a small one, which is repeated in every entry.
    """

    due_at_ms: Natural | None
    place: Natural
    others: int
    kind_number: Annotated[int, Meta(ge=0, lt=len(KINDS))]
    started_at_ms: Natural
    id: str
    duration_ms: int
    revision: Revision | None
    spec_place: int

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
        return self.started_at_ms if self.revision is None else self.started_at_ms + self.revision.elapsed_ms

    @property
    def version(self) -> int:
        """The number of the event among those of its id, from 1."""
        return 1 if self.revision is None else self.revision.version

    @property
    def remaining_ms(self) -> int:
        """Time to go of a paused timer; 0 for all others."""
        return 0 if self.revision is None else self.revision.remaining_ms

    @property
    def keys(self) -> bytes:
        """Digests of the latest keys of changes."""
        return b"" if self.revision is None else self.revision.keys

    @property
    def wall(self) -> Wall | None:
        """The moment that the timer was started for; None for most."""
        return None if self.revision is None else self.revision.wall

    @property
    def is_wall_bound(self) -> bool:
        """Whether the wall clock decides when the timer fires."""
        return self.wall is not None and self.wall.ahead_ms is not None

    @property
    def due_on_timeline_ms(self) -> int | None:
        """When the timer is due by the clocks as they stood at the event; None while paused."""
        if self.due_at_ms is None or self.wall is None:
            return self.due_at_ms
        return self.due_at_ms - (self.wall.ahead_ms or 0)

    @property
    def has_ended(self) -> bool:
        """Whether the timer has fired or was cancelled."""
        return self.kind_number in ENDED_KINDS

    @property
    def state(self) -> State:
        """The state of the timer after the event."""
        if self.kind_number in ENDED_KINDS:
            return "fired" if self.kind_number == FIRED else "cancelled"
        return "paused" if self.due_at_ms is None else "running"

    @property
    def ended_at_ms(self) -> int | None:
        """When the timer ended; None while it is pending."""
        return self.at_ms if self.has_ended else None

    @property
    def holds_spec(self) -> bool:
        """Whether later entries of this timer refer to this one for their spec."""
        return self.spec_place == self.place


class Countdown(_Entry, frozen=True, gc=False, array_like=True, tag=1):
    """A timer right after an event, and that event. Immutable: a change makes a new one.

    Its own fields are the spec, as the start asked for it: the amounts as they came, and the payload as JSON. A new
    member of the request goes to the end and gets a default, so that entries without it can still be read.
    """

    hours: int | float
    minutes: int | float
    seconds: int | float
    label: str
    payload: bytes

    def view(self, now_ms: int) -> messages.Timer:
        """The timer as it goes over the wire at a given moment."""
        state, due_at_ms, duration_ms = self.state, self.due_at_ms, self.duration_ms
        version, remaining_ms, ended_at_ms, wall = 1, 0, None, None
        if (revision := self.revision) is not None:
            version, remaining_ms, wall = revision.version, revision.remaining_ms, revision.wall
            if wall is not None:
                due_at_ms = self.due_on_timeline_ms
            if self.kind_number in ENDED_KINDS:
                ended_at_ms = self.started_at_ms + revision.elapsed_ms
        if state == "running" and due_at_ms is not None:
            remaining_ms = due_at_ms - now_ms
            if not 0 <= remaining_ms <= duration_ms:
                remaining_ms = duration_ms if remaining_ms > 0 else 0
        timer = messages.Timer(
            self.id,
            self.label,
            state,
            self.hours,
            self.minutes,
            self.seconds,
            duration_ms,
            remaining_ms,
            self.started_at_ms,
            due_at_ms,
            ended_at_ms,
            version,
            Raw(self.payload),
        )
        return timer if wall is None else replace(timer, at=wall.at, zone=UNSET if wall.zone is None else wall.zone)

    def event_view(self, log_id: str) -> messages.Event:
        """The event as it goes over the wire. `log_id` names its log."""
        cause: Cause | UnsetType = "clock" if self.kind_number == MOVED_BY_CLOCK else UNSET
        at_ms = self.at_ms
        return messages.Event(log_id, self.seq, self.kind, at_ms, self.view(at_ms), cause)

    def traced(self, trace: bytes) -> "Traced":
        """The same with a trace."""
        return Traced(**asdict(self), trace=trace)


class Traced(Countdown, frozen=True, gc=False, array_like=True, tag=6):
    """An event of a timer that was started in a trace, which is a part of its spec (see `core.traces`)."""

    trace: bytes

    def untraced(self) -> Countdown:
        """The same without the trace."""
        return Countdown(**{field: getattr(self, field) for field in Countdown.__struct_fields__})


class Referring(_Entry, frozen=True, gc=False, array_like=True, tag=2):
    """An event without its spec, which is large and stands in the entry at `spec_place`."""

    def with_spec_of(self, holder: Countdown) -> Countdown:
        """The whole event, given the one that holds its spec."""
        return replace(holder, **{field: getattr(self, field) for field in self.__struct_fields__})


class Recall(NamedTuple):
    """An ended timer that has to be read from the log of its shard: its last event is the entry at `place`."""

    id: str
    place: int


NewEntry = Countdown | Traced | QueueEntry | ServerStarted | PlanEntry
"""An entry as a turn makes it: an event is whole."""

Entry = NewEntry | Referring
"""An entry of a log."""


def as_logged(entry: NewEntry) -> Entry:
    """The entry as it is stored: of an event without its spec, where an earlier entry holds that."""
    if not isinstance(entry, Countdown) or entry.spec_place in (0, entry.place):
        return entry
    return Referring(**{field: getattr(entry, field) for field in Referring.__struct_fields__})
