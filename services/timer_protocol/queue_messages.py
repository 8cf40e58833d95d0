"""The messages of queues: parameters and results of their methods."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from timer_protocol.ids import KNOWN_ID_PATTERN
from timer_protocol.limits import ID_CHARACTERS, PAGE_DEFAULT
from timer_protocol.messages import Event, Key, Limit, Prefix, WaitMs
from timer_protocol.traces import Trace

QUEUE_CHARACTERS = 100
REASON_CHARACTERS = 256
RECEIPT_CHARACTERS = 160
RECEIPTS_MAXIMUM = 1000
"""Receipts in one call."""

TAKE_MAXIMUM = 100
"""Deliveries in one answer."""

LEASE_MINIMUM_MS = 1_000
LEASE_MAXIMUM_MS = 12 * 3_600_000
DELAY_MAXIMUM_MS = 7 * 86_400_000
KEEP_MAXIMUM_MS = 365 * 86_400_000
BACKLOG_MAXIMUM = 1_000_000
DEAD_MAXIMUM = 100_000
BYTES_MAXIMUM = 2**40

EndState = Literal["fired", "cancelled"]
QueueName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=QUEUE_CHARACTERS,
        extra_json_schema={"pattern": KNOWN_ID_PATTERN},
        description="A queue.",
    ),
]
LeaseMs = Annotated[
    int, Meta(ge=LEASE_MINIMUM_MS, le=LEASE_MAXIMUM_MS, description="How long a delivery is leased, in milliseconds.")
]
DelayMs = Annotated[int, Meta(ge=0, le=DELAY_MAXIMUM_MS)]
Receipt = Annotated[
    str, Meta(min_length=1, max_length=RECEIPT_CHARACTERS, description="Names a lease; it comes with the delivery.")
]
Receipts = Annotated[list[Receipt], Meta(min_length=1, max_length=RECEIPTS_MAXIMUM)]
DeadCursor = Annotated[str, Meta(min_length=1, max_length=RECEIPT_CHARACTERS, description="`next` of a page.")]


class PutQueueParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """What a queue reads, and its bounds. What is left out is the default for a new queue, and stays for another."""

    queue: QueueName
    prefix: Prefix
    states: Annotated[list[EndState], Meta(min_length=1, max_length=2)] | None = None
    begin: Literal["now", "start"] = field(name="from", default="now")
    lease_ms: LeaseMs | None = None
    max_deliveries: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    backoff_ms: Annotated[list[DelayMs], Meta(min_length=1, max_length=20)] | None = None
    max_backlog: Annotated[int, Meta(ge=1, le=BACKLOG_MAXIMUM)] | None = None
    max_dead: Annotated[int, Meta(ge=0, le=DEAD_MAXIMUM)] | None = None
    max_bytes: Annotated[int, Meta(ge=1, le=BYTES_MAXIMUM)] | None = None
    keep_ms: Annotated[int, Meta(ge=1_000, le=KEEP_MAXIMUM_MS)] | None = None


class QueueParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    queue: QueueName


class ListQueuesParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """`prefix` chooses the queues whose own prefix begins so."""

    prefix: Prefix = ""
    after: Annotated[str, Meta(max_length=ID_CHARACTERS, description="Only names that sort after this.")] | None = None
    limit: Limit = PAGE_DEFAULT


class TakeParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    queue: QueueName
    max: Annotated[int, Meta(ge=1, le=TAKE_MAXIMUM)] = 1
    wait_ms: WaitMs = 0
    key: Key | None = None


class AckParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    queue: QueueName
    receipts: Receipts


class NackParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """ "retry" waits for the queue's backoff, "return" not at all, unless `delay_ms` says otherwise."""

    queue: QueueName
    receipts: Receipts
    then: Literal["retry", "return", "dead"] = "retry"
    delay_ms: DelayMs | None = None
    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS)] | None = None


class RenewParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    queue: QueueName
    receipts: Receipts
    lease_ms: LeaseMs | None = None


class DeadParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    queue: QueueName
    after: DeadCursor | None = None
    limit: Limit = PAGE_DEFAULT


class MoveDeadParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """The dead letters with these receipts; without any, the next `limit` of them."""

    queue: QueueName
    receipts: Receipts | None = None
    after: DeadCursor | None = None
    limit: Limit = PAGE_DEFAULT


class Queue(Struct, frozen=True, kw_only=True):
    """A queue, its bounds, and how many ends it holds. `oldest_ready_ms` is how long ago the oldest ready one ended."""

    queue: str
    version: int
    prefix: str
    states: tuple[EndState, ...]
    lease_ms: int
    max_deliveries: int
    backoff_ms: tuple[int, ...]
    max_backlog: int
    max_dead: int
    max_bytes: int
    keep_ms: int
    ready: int
    leased: int
    delayed: int
    dead: int
    dropped: int
    oldest_ready_ms: int | None
    filling: bool


class QueuePage(Struct, frozen=True):
    """Queues in the order of their names. `next` is what to pass as `after` for the page that follows."""

    queues: list[Queue]
    next: str | None


class Delivery(Struct, frozen=True, gc=False):
    """An end that is leased to whoever took it, until `leased_until_ms`. `attempt` counts from 1.

    `trace` is there only where the start of the timer gave one.
    """

    receipt: str
    attempt: int
    max_deliveries: int
    leased_until_ms: int
    event: Event
    trace: Trace | UnsetType = UNSET


class Deliveries(Struct, frozen=True):
    deliveries: list[Delivery]


class Settled(Struct, frozen=True):
    """Receipts whose leases this call or an earlier copy of it has ended, and those that it could not."""

    done: list[str]
    lost: list[str]


class Renewed(Struct, frozen=True):
    """Receipts that are leased until `leased_until_ms`, and those whose lease is over."""

    leased: list[str]
    leased_until_ms: int
    lost: list[str]


class DeadLetter(Struct, frozen=True, gc=False):
    """An end that is delivered no more. `reason` is the last that was given, or why the server gave it up."""

    receipt: str
    attempts: int
    reason: str | None
    died_at_ms: int
    event: Event


class DeadPage(Struct, frozen=True):
    """Dead letters in the order in which they died. `next` is what to pass as `after` for the page that follows."""

    dead: list[DeadLetter]
    next: str | None


class DeadMoved(Struct, frozen=True):
    """Receipts of dead letters that were revived or dropped, and those that name none."""

    done: list[str]
    lost: list[str]
    next: str | None


class Deleted(Struct, frozen=True):
    """Whether there was a queue or plan of that name: none is left in any case."""

    deleted: bool
