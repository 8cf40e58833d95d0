"""The messages: timers and events, and the parameters and results of the methods. `methods` joins them in one table.

These types are the one source: requests are decoded into them, replies encoded from them, and the OpenRPC
document is generated from them. Those of queues are in `queue_messages`.
"""

from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

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
from timer_protocol.traces import Trace

State = Literal["running", "paused", "fired", "cancelled"]
EventKind = Literal["started", "paused", "resumed", "extended", "restarted", "cancelled", "fired"]

Cause = Literal["clock"]
"""What brought an event about other than a request or a deadline: the wall clock was set."""

STATES: tuple[State, ...] = get_args(State)

ENDED: frozenset[State] = frozenset({"fired", "cancelled"})

# Only in the schema: `ids.check_id` checks new ids, while msgspec would match the pattern on every request.
_NEW_ID_SCHEMA = {"pattern": ID_PATTERN}
_ID_SCHEMA = {"pattern": KNOWN_ID_PATTERN}
NewId = Annotated[
    str, Meta(min_length=1, max_length=ID_CHARACTERS, extra_json_schema=_NEW_ID_SCHEMA, description="A timer.")
]
Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS, extra_json_schema=_ID_SCHEMA, description="A timer.")]
Prefix = Annotated[str, Meta(max_length=ID_CHARACTERS, description="Only ids that begin so.")]
After = Annotated[str, Meta(max_length=ID_CHARACTERS, description="Only ids that sort after this.")]
States = Annotated[tuple[State, ...], Meta(min_length=1, max_length=4, description="Only timers in one of these.")]
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
    """The events socket's sign of life: how the logs of the server that sends it stand.

    `servers_version` is that of `ServerInfo`.
    """

    logs: dict[str, LogStanding]
    servers_version: int = 0


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
    # Left out, and not null, where there is none: a server that does not know it yet takes all other starts.
    trace: Annotated[
        Trace | UnsetType | None, Meta(description="Where in a trace it was started. It comes back in deliveries only.")
    ] = UNSET


class GetParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    id: Id


class ListParams(Struct, forbid_unknown_fields=True, frozen=True):
    """Which timers to list. With `order` "due" they are the running ones, and nothing comes `after` a page."""

    prefix: Prefix = ""
    state: State | None = None
    after: After | None = None
    limit: Limit = PAGE_DEFAULT
    states: States | None = None
    due_before_ms: Annotated[int, Meta(ge=0, le=2**53, description="Only running timers due before this.")] | None = (
        None
    )
    order: Literal["id", "due"] = "id"
    omit: Annotated[tuple[Literal["payload"], ...], Meta(max_length=1, description="Members to leave out.")] = ()


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
    """`own` asks only about the shards that the server serves itself: it answers without the others."""

    own: bool = False


class DiscoverParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    pass


class TimerPage(Struct, frozen=True, omit_defaults=True):
    """Timers in the order of `id`. `next` is what to pass as `after` for the page that follows; null at the end.

    Timers in the order of their deadlines have no pages. Where not all of them are here, `complete` is false.
    """

    timers: list[Timer]
    next: str | None
    complete: bool = True


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


class ServerAddresses(Struct, frozen=True, gc=False):
    """A server: its name, for people, and the endpoints at which clients reach it."""

    name: str
    commands: str
    events: str


class UnreachableServer(Struct, frozen=True):
    """A server of the store that another cannot reach: where it should be for other servers, and why."""

    peer: str
    reason: str


class ServerInfo(Struct, frozen=True):
    """The server about itself. `cursor` is where its logs end: what to pass to `events.read` for what comes after.

    `plans` is how many there are, and `tzdata` the release of the time zones that their rules and `at` go by. `servers`
    are those of the store; `servers_version` rises with each change of them, and is 1 where there was never more than
    one. `unreachable` are those with which the server that answers has no connection.
    """

    version: str
    protocol: str
    logs: dict[str, LogStanding]
    cursor: dict[str, int]
    counts: StateCounts
    limits: Limits
    plans: int = 0
    tzdata: str = ""
    servers: tuple[ServerAddresses, ...] = ()
    servers_version: int = 0
    unreachable: tuple[UnreachableServer, ...] = ()
