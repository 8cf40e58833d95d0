"""The messages about many timers at once. Each timer is treated as by a request of its own; it is no transaction."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from timer_protocol.errors import RpcError
from timer_protocol.ids import ID_PATTERN
from timer_protocol.limits import ID_CHARACTERS, LABEL_CHARACTERS, PAGE_MAXIMUM
from timer_protocol.messages import After, Id, Key, Limit, Prefix, States
from timer_protocol.traces import Trace

Action = Literal["pause", "resume", "cancel", "extend", "restart"]

# Their bounds are only in the schema: what is beyond them is the fault of one timer, and no other's.
_ID_SCHEMA = {"minLength": 1, "maxLength": ID_CHARACTERS, "pattern": ID_PATTERN}
_NewIds = Annotated[list[Annotated[str, Meta(extra_json_schema=_ID_SCHEMA)]], Meta(description="At most `max_batch`.")]
_MORE_THAN_NONE = Meta(extra_json_schema={"exclusiveMinimum": 0})
_Seconds = Annotated[int, _MORE_THAN_NONE] | Annotated[float, _MORE_THAN_NONE]
_Label = Annotated[str, Meta(extra_json_schema={"maxLength": LABEL_CHARACTERS})]


class StartManyParams(Struct, forbid_unknown_fields=True, frozen=True):
    """What to count down, in columns: `ids`, and of each what stands at its place in the other arrays."""

    ids: _NewIds
    seconds: Annotated[
        _Seconds | list[_Seconds], Meta(description="One number for all, or an array with one for each id.")
    ]
    labels: Annotated[list[_Label], Meta(description="One for each id.")] | None = None
    payloads: Annotated[list[Raw], Meta(description="One for each id, any JSON value.")] | None = None
    traces: Annotated[
        Trace | list[Trace | None] | UnsetType | None,
        Meta(description="One for all, or an array with one for each id."),
    ] = UNSET


class RefusedStart(Struct, frozen=True):
    """A timer that was not started: its place in `ids`, and the error that a start of its own would have got."""

    index: int
    error: RpcError


class StartedMany(Struct, frozen=True):
    """How many timers were started, the places in `ids` of those that the same request had started, and the others."""

    started: int
    existing: list[int]
    refused: list[RefusedStart]


class ChangeManyParams(Struct, forbid_unknown_fields=True, frozen=True):
    """What to do to which timers: those of `ids`, or those whose id begins with `prefix`; one of both is needed."""

    action: Action
    prefix: Annotated[Prefix, Meta(description='Only ids that begin so; "" is all there are.')] | None = None
    ids: Annotated[list[Id], Meta(max_length=PAGE_MAXIMUM)] | None = None
    states: States = ("running", "paused")
    seconds: Annotated[int | float | None, Meta(description="What `extend` adds; negative takes away.")] = None
    limit: Limit = PAGE_MAXIMUM
    after: After | None = None
    key: Key | None = None
    dry_run: Annotated[bool, Meta(description="Change nothing, and say what would change.")] = False


class RefusedChange(Struct, frozen=True):
    """A timer that was not changed, and the error that a change of its own would have got."""

    id: str
    error: RpcError


class ChangedMany(Struct, frozen=True):
    """How many timers were changed, how many were so already, and those that could not be.

    `next` is what to pass as `after` for the page that follows; null at the end.
    """

    changed: int
    unchanged: int
    refused: list[RefusedChange]
    next: str | None
