"""The messages of plans: parameters and results of their methods."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from timer_protocol.durations import MS_PER_HOUR
from timer_protocol.ids import ID_PATTERN
from timer_protocol.limits import ID_CHARACTERS, LABEL_CHARACTERS, PAGE_DEFAULT, ZONE_CHARACTERS
from timer_protocol.messages import NULL, After, Amount, Key, Limit, Prefix, Timer

PLAN_CHARACTERS = 100
CRON_CHARACTERS = 256
STEPS_MAXIMUM = 100
CAUGHT_UP_MAXIMUM = 100
"""Missed moments that are caught up at most, where all are asked for."""

NEXT_SHOWN = 5
"""Moments to come that are told with a plan."""

PREVIEW_MAXIMUM = 100
LEAST_INTERVAL_MS = 1_000
LAST_MOMENT_MS = 253_402_300_799_999
"""The end of the year 9999: no moment of a plan is later."""

Missed = Literal["last", "all", "none"]
Overlap = Literal["allow", "skip"]
PlanState = Literal["active", "paused", "finished"]
SkipReason = Literal["missed", "overlap", "skip"]

PlanId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PLAN_CHARACTERS,
        extra_json_schema={"pattern": ID_PATTERN.replace(str(ID_CHARACTERS), str(PLAN_CHARACTERS))},
        description="A plan.",
    ),
]
Label = Annotated[str, Meta(max_length=LABEL_CHARACTERS, description="A name for people.")]
MomentMs = Annotated[int, Meta(ge=0, le=LAST_MOMENT_MS, description="Unix time in milliseconds.")]
Expression = Annotated[
    str, Meta(max_length=CRON_CHARACTERS, description="Five fields as in crontab(5), such as '0 9 * * 1-5'.")
]
Zone = Annotated[str, Meta(max_length=ZONE_CHARACTERS, description="The time zone of `cron`, such as Europe/Rome.")]


class Every(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """An interval of at least a second: three amounts that are added up."""

    hours: Amount = 0
    minutes: Amount = 0
    seconds: Amount = 0


class Step(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """A countdown of at least a second. Without a label of its own it has that of its plan."""

    hours: Amount = 0
    minutes: Amount = 0
    seconds: Amount = 0
    label: Label = ""


Steps = Annotated[list[Step], Meta(min_length=1, max_length=STEPS_MAXIMUM)]


class PutPlanParams(Struct, forbid_unknown_fields=True, frozen=True):
    """A rule, exactly one of `every`, `cron` with `zone`, and `steps`; and what the timers are like that it starts.

    What is left out is the default, also where the plan is there already; only `paused` stays as it is then.
    """

    plan: PlanId
    every: Every | None = None
    cron: Expression | None = None
    zone: Zone | None = None
    steps: Steps | None = None
    from_ms: MomentMs | None = None
    until_ms: MomentMs | None = None
    count: Annotated[int, Meta(ge=1, le=2**53, description="Occurrences that fire, or rounds of steps.")] | None = None
    missed: Missed = "last"
    missed_window_ms: Annotated[int, Meta(ge=0, le=2**53)] = 24 * MS_PER_HOUR
    overlap: Overlap = "allow"
    label: Label = ""
    payload: Annotated[Raw, Meta(description="Any JSON value; each timer of the plan has it.")] = field(
        default_factory=lambda: NULL
    )
    paused: bool | None = None


class PlanParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    plan: PlanId


class KeyedPlanParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    plan: PlanId
    key: Key | None = None


class ListPlansParams(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    prefix: Prefix = ""
    after: After | None = None
    limit: Limit = PAGE_DEFAULT


class PreviewPlanParams(Struct, forbid_unknown_fields=True, frozen=True):
    """A rule as `plan.put` takes it, and how many moments to tell."""

    every: Every | None = None
    cron: Expression | None = None
    zone: Zone | None = None
    steps: Steps | None = None
    from_ms: MomentMs | None = None
    count: Annotated[int, Meta(ge=1, le=PREVIEW_MAXIMUM)] = NEXT_SHOWN


class NextMoment(Struct, frozen=True, gc=False):
    """A moment to come: `local` is what clocks show then, with their offset; in UTC where the rule has no zone."""

    at_ms: int
    local: str


class PlanCounts(Struct, frozen=True, gc=False):
    """What became of the occurrences and moments of a plan since it was made."""

    fired: int
    cancelled: int
    skipped: int
    missed: int


class SkippedMoments(Struct, frozen=True, gc=False):
    """Moments in a row for which no timer was started, and why."""

    first_ms: int
    last_ms: int
    count: int
    reason: SkipReason


class Plan(Struct, frozen=True, kw_only=True):
    """A plan, and how it stands. `pending` is the timer that it waits for.

    `step` and `round` count from 1, and are null unless the plan has steps. `waiting` counts the runs that wait for
    room. `last_skipped` is the latest of what `~plan/<id>` tells. `next` is not there in pages of plans. `ran` is only
    there in the answer to plan.run: the timer that was started, null where there is none.
    """

    plan: str
    version: int
    state: PlanState
    every: Every | None
    cron: str | None
    zone: str | None
    steps: tuple[Step, ...] | None
    from_ms: int | None
    until_ms: int | None
    count: int | None
    missed: Missed
    missed_window_ms: int
    overlap: Overlap
    label: str
    payload: Any
    counts: PlanCounts
    pending: Timer | None
    step: int | None
    round: int | None
    waiting: int
    last_skipped: SkippedMoments | None
    next: list[NextMoment] | UnsetType = UNSET
    ran: Timer | UnsetType | None = UNSET


class PlanPage(Struct, frozen=True):
    """Plans in the order of their ids. `next` is what to pass as `after` for the page that follows."""

    plans: list[Plan]
    next: str | None


class PlanPreview(Struct, frozen=True):
    """Moments of a rule, as if it were put now."""

    next: list[NextMoment]


class Skipped(Struct, frozen=True, gc=False):
    """A message on `~plan/<id>`: moments in a row were skipped."""

    plan: str
    first_ms: int
    last_ms: int
    count: int
    reason: SkipReason
