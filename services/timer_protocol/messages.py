"""The messages: parameters and results of every method, and the table that joins them.

These types are the one source: requests are decoded into them, replies encoded from them, and the OpenRPC
document is generated from them.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from timer_protocol.errors import ErrorCode
from timer_protocol.ids import ID_PATTERN, KNOWN_ID_PATTERN
from timer_protocol.limits import (
    ID_CHARACTERS,
    KEY_CHARACTERS,
    LABEL_CHARACTERS,
    LOG_ID_CHARACTERS,
    LOGS_MAXIMUM,
    MOMENT_CHARACTERS,
    PAGE_DEFAULT,
    PAGE_MAXIMUM,
    WAIT_MAXIMUM_MS,
    ZONE_CHARACTERS,
    Limits,
)
from timer_protocol.sender import Right

State = Literal["running", "paused", "fired", "cancelled"]
EventKind = Literal["started", "paused", "resumed", "extended", "restarted", "cancelled", "fired"]

Cause = Literal["clock"]
"""What brought an event about other than a request or a deadline: the wall clock was set."""

Scope = Literal["id", "ids", "prefix", "queue", "none"]
"""Where the params of a request say which ids it touches; a queue has a prefix of ids."""

ENDED: frozenset[State] = frozenset({"fired", "cancelled"})

# Only in the schema: `ids.check_id` checks new ids, while msgspec would match the pattern on every request.
_NEW_ID_SCHEMA = {"pattern": ID_PATTERN}
_ID_SCHEMA = {"pattern": KNOWN_ID_PATTERN}
NewId = Annotated[
    str, Meta(min_length=1, max_length=ID_CHARACTERS, extra_json_schema=_NEW_ID_SCHEMA, description="A timer.")
]
Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS, extra_json_schema=_ID_SCHEMA, description="A timer.")]
Prefix = Annotated[str, Meta(max_length=ID_CHARACTERS, description="Only ids that begin so.")]
Key = Annotated[
    str, Meta(min_length=1, max_length=KEY_CHARACTERS, description="Names this change: repeated, it has no effect.")
]
Amount = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
LogId = Annotated[str, Meta(min_length=1, max_length=LOG_ID_CHARACTERS, description="A log.")]
Positions = Annotated[
    dict[LogId, Seq],
    Meta(
        max_length=LOGS_MAXIMUM,
        description='A cursor: the last `seq` seen of each log, such as {"<log>": 17}, as `next` of a page or `cursor`'
        " of server.info gives it; {} is the beginning.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAXIMUM)]
Moment = Annotated[
    str,
    Meta(
        max_length=MOMENT_CHARACTERS,
        description="A moment with its offset (RFC 3339), or the local time of a `zone`: 2026-12-01T09:00:00+01:00.",
    ),
]
WaitMs = Annotated[int, Meta(ge=0, le=WAIT_MAXIMUM_MS, description="How long to wait, in milliseconds.")]

NULL = Raw(b"null")


def _null() -> Raw:
    return NULL


class Timer(Struct, frozen=True, gc=False):
    """A timer as replies and events carry it. Times are Unix milliseconds, UTC, by the server's clock.

    `at` and `zone` are there only where the start named them: then the wall clock decides when the timer fires.
    """

    id: str
    label: str
    state: State
    hours: int | float
    minutes: int | float
    seconds: int | float
    duration_ms: int
    remaining_ms: int
    started_at_ms: int
    due_at_ms: int | None
    ended_at_ms: int | None
    version: int
    payload: Any = None
    at: str | UnsetType = UNSET
    zone: str | UnsetType = UNSET

    @property
    def ended(self) -> bool:
        """Whether the timer has fired or was cancelled."""
        return self.state in ENDED


class Event(Struct, frozen=True, gc=False):
    """Something that happened to a timer; `timer` is as it was right after. `seq` rises by one per event of `log`.

    `cause` is there only where neither a request nor a deadline brought it about.
    """

    log: str
    seq: int
    kind: EventKind
    at_ms: int
    timer: Timer
    cause: Cause | UnsetType = UNSET


class LogStanding(Struct, frozen=True, gc=False):
    """Where a log stands: the `seq` of its last event, and its clock, by which its moments are told."""

    seq: int
    now_ms: int


class Beat(Struct, frozen=True, gc=False):
    """The events socket's sign of life: how the logs of the server that sends it stand."""

    logs: dict[str, LogStanding]


class StartParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """What to count down: three amounts that add up to more than zero, or a moment of the wall clock in `at`."""

    id: NewId | None = None
    hours: Amount = 0
    minutes: Amount = 0
    seconds: Amount = 0
    label: Annotated[str, Meta(max_length=LABEL_CHARACTERS, description="A name for people.")] = ""
    payload: Annotated[Raw, Meta(description="Any JSON value; comes back with every reply and event.")] = field(
        default_factory=_null
    )
    at: Moment | None = None
    zone: Annotated[str, Meta(max_length=ZONE_CHARACTERS, description="The time zone of `at`.")] | None = None
    past: Annotated[
        Literal["refuse", "fire"], Meta(description="What happens where `at` has passed: an error, or an end at once.")
    ] = "refuse"


class GetParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id


class ListParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    prefix: Prefix = ""
    state: State | None = None
    after: Annotated[str, Meta(max_length=ID_CHARACTERS, description="Only ids that sort after this.")] | None = None
    limit: Limit = PAGE_DEFAULT


class PauseParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id
    key: Key | None = None


class ResumeParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id
    key: Key | None = None


class CancelParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id
    key: Key | None = None


class ExtendParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """By how much; negative amounts shorten, but never to zero or less."""

    id: Id
    hours: int | float = 0
    minutes: int | float = 0
    seconds: int | float = 0
    key: Key | None = None


class RestartParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id
    key: Key | None = None


class WaitParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id
    wait_ms: WaitMs


class ReadEventsParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    after: Positions
    prefix: Prefix = ""
    limit: Limit = PAGE_DEFAULT
    wait_ms: WaitMs = 0


class InfoParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    pass


class DiscoverParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    pass


class TimerPage(Struct, frozen=True):
    """Timers in the order of `id`. `next` is what to pass as `after` for the page that follows; null at the end."""

    timers: list[Timer]
    next: str | None


class EventPage(Struct, frozen=True):
    """Events in the order of `seq` within each log; between logs there is no order.

    `next` is what to pass as `after` to go on, and names exactly the logs of the store. `more` says that there is more
    to read at once; `truncated` that some of what was asked for is gone.
    """

    events: list[Event]
    next: dict[str, int]
    more: bool
    truncated: bool


class StateCounts(Struct, frozen=True):
    """How many timers are in each state; ended ones count until retention removes them."""

    running: int
    paused: int
    fired: int
    cancelled: int


class ServerInfo(Struct, frozen=True):
    """The server about itself. `cursor` is where its logs end: what to pass to `events.read` for what comes after."""

    version: str
    protocol: str
    logs: dict[str, LogStanding]
    cursor: dict[str, int]
    counts: StateCounts
    limits: Limits


class Method(Struct, frozen=True):
    """One line of the table of methods.

    `right` is what a sender needs, None for nothing; `scope` says where in the params the ids stand. Neither has a
    default, so that each new method declares both.
    """

    name: str
    params: type[Struct]
    right: Right | None
    scope: Scope
    result: Any
    summary: str
    errors: tuple[ErrorCode, ...] = ()


_NOT_FOUND = (ErrorCode.TIMER_NOT_FOUND,)
_CHANGE = (ErrorCode.TIMER_NOT_FOUND, ErrorCode.WRONG_STATE)
_GROWTH = (*_CHANGE, ErrorCode.LIMIT_REACHED)
_PARKED = (ErrorCode.LIMIT_REACHED, ErrorCode.SHUTTING_DOWN)

METHODS: tuple[Method, ...] = (
    Method(
        "timer.start",
        StartParams,
        "start",
        "id",
        Timer,
        "Start a timer, or return the one that the same request with the same id has started.",
        (ErrorCode.ID_CONFLICT, ErrorCode.LIMIT_REACHED),
    ),
    Method("timer.get", GetParams, "read", "id", Timer, "A timer as it stands.", _NOT_FOUND),
    Method("timer.list", ListParams, "read", "prefix", TimerPage, "A page of timers in the order of their ids."),
    Method(
        "timer.pause", PauseParams, "change", "id", Timer, "Stop the countdown; a paused timer stays paused.", _GROWTH
    ),
    Method(
        "timer.resume",
        ResumeParams,
        "change",
        "id",
        Timer,
        "Let a paused timer run on; a running one runs on.",
        _GROWTH,
    ),
    Method(
        "timer.cancel",
        CancelParams,
        "change",
        "id",
        Timer,
        "End a timer before its time; a cancelled one stays so.",
        _CHANGE,
    ),
    Method(
        "timer.extend", ExtendParams, "change", "id", Timer, "Add time to a pending timer, or take some away.", _GROWTH
    ),
    Method(
        "timer.restart",
        RestartParams,
        "change",
        "id",
        Timer,
        "Run a timer's full time again, from any state.",
        (ErrorCode.TIMER_NOT_FOUND, ErrorCode.LIMIT_REACHED),
    ),
    Method(
        "timer.wait",
        WaitParams,
        "read",
        "id",
        Timer,
        "The timer once it has ended, or as it stands after `wait_ms`.",
        _NOT_FOUND + _PARKED,
    ),
    Method(
        "events.read",
        ReadEventsParams,
        "read",
        "prefix",
        EventPage,
        "Events after a cursor; waits for one if asked.",
        _PARKED,
    ),
    Method("server.info", InfoParams, None, "none", ServerInfo, "The server's version, clock, counts and limits."),
    Method(
        "rpc.discover", DiscoverParams, None, "none", dict[str, Any], "This document: the service described in OpenRPC."
    ),
)
