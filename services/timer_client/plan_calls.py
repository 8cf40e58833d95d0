"""What the clients ask of plans, each written once for both."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from timer_client.arguments import check_kinds, several, wrong_kind
from timer_client.calls import Call, Talk, new_id
from timer_client.encoding import encoded
from timer_client.errors import InvalidArgument
from timer_protocol.durations import MS_PER_HOUR
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.plan_messages import (
    NEXT_SHOWN,
    Every,
    KeyedPlanParams,
    ListPlansParams,
    Missed,
    Overlap,
    Plan,
    PlanPage,
    PlanParams,
    PlanPreview,
    Step,
)
from timer_protocol.queue_messages import Deleted

MISSED_WINDOW_MS = 24 * MS_PER_HOUR

R = TypeVar("R", Every, Step)

Interval = Every | Mapping[str, float]
"""An `Every`, or its members as a mapping."""

Steps = Iterable[Step | Mapping[str, Any]]
"""Each a `Step`, or its members as a mapping."""


class RuleSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule as it goes over the wire."""

    every: dict[str, Any] | None = None
    cron: str | None = None
    zone: str | None = None
    steps: list[dict[str, Any]] | None = None
    from_ms: int | None = None


class PreviewSpec(RuleSpec, frozen=True, kw_only=True, omit_defaults=True):
    """A rule whose moments are to be told, as it goes over the wire."""

    count: int = NEXT_SHOWN


class PlanSpec(RuleSpec, frozen=True, kw_only=True, omit_defaults=True):
    """A plan to put, as it goes over the wire."""

    plan: str
    until_ms: int | None = None
    count: int | None = None
    missed: Missed = "last"
    missed_window_ms: int = MISSED_WINDOW_MS
    overlap: Overlap = "allow"
    label: str = ""
    payload: Any = None
    paused: bool | None = None


def put_plan(  # noqa: PLR0913 - the members of the request
    plan: str,
    *,
    every: Interval | None = None,
    cron: str | None = None,
    zone: str | None = None,
    steps: Steps | None = None,
    from_ms: int | None = None,
    until_ms: int | None = None,
    count: int | None = None,
    missed: Missed = "last",
    missed_window_ms: int = MISSED_WINDOW_MS,
    overlap: Overlap = "allow",
    label: str = "",
    payload: Any = None,
    paused: bool | None = None,
) -> Call[Plan]:
    """Make a plan, a durable rule that starts ordinary timers, one ahead; or change the one that there is.

    The rule is one of `every`, an interval such as `Every(hours=1)` or `{"hours": 1}`; `cron`, five fields as in
    crontab(5), on the clocks of a `zone` such as "Europe/Rome"; and `steps`, each a `Step(minutes=25, label="work")` or
    a mapping, one after the other and from the first again. It holds from `from_ms` to `until_ms` (Unix milliseconds),
    for `count` timers that fire, or rounds of steps. Of moments that passed while the server was down, at most
    `missed_window_ms` ago, timers are started for the "last", "all" or "none". A moment that comes while the timer
    before is paused or extended gets a timer of its own, or none with `overlap="skip"`. Each timer has the `label` and
    the `payload`.

    The same put again changes nothing. One with another rule or another `from_ms` cancels the pending timer and begins
    anew; all else leaves the moments and the counts as they are. Needs the right `admin`. Raises `InvalidRequest`,
    `LimitReached`.
    """
    spec = PlanSpec(
        plan=plan,
        every=None if every is None else _members("every", every, Every),
        cron=cron,
        zone=zone,
        steps=_each_step(steps),
        from_ms=from_ms,
        until_ms=until_ms,
        count=count,
        missed=missed,
        missed_window_ms=missed_window_ms,
        overlap=overlap,
        label=label,
        payload=payload,
        paused=paused,
    )
    return put_spec(spec)


def put_spec(spec: PlanSpec) -> Call[Plan]:
    """Make or change a plan as its spec says; see `put_plan`."""
    return Call("plan.put", encoded(spec), Plan)


def delete_plan(plan: str) -> Call[Deleted]:
    """Delete a plan and cancel the timer that it waits for; `deleted` says whether there was one."""
    return Call("plan.delete", encoded(PlanParams(plan)), Deleted)


def get_plan(plan: str) -> Call[Plan]:
    """A plan as it stands: its rule, its counts, the `pending` timer and the `next` moments. Raises `PlanNotFound`."""
    return Call("plan.get", encoded(PlanParams(plan)), Plan)


def plans_page(prefix: str, after: str | None, limit: int = PAGE_MAXIMUM) -> Call[PlanPage]:
    """A page of plans."""
    return Call("plan.list", encoded(ListPlansParams(prefix, after, limit)), PlanPage)


def plans(prefix: str = "") -> Talk[list[Plan]]:
    """All plans whose id begins with `prefix`, in the order of their ids, without their `next` moments."""
    found: list[Plan] = []
    after = None
    while True:
        page: PlanPage = yield plans_page(prefix, after)
        found += page.plans
        if page.next is None:
            return found
        after = page.next


def pause_plan(plan: str) -> Call[Plan]:
    """Let a plan rest: the timer that it waits for is cancelled, or paused where the plan has steps.

    Raises `PlanNotFound`.
    """
    return Call("plan.pause", encoded(PlanParams(plan)), Plan)


def resume_plan(plan: str) -> Call[Plan]:
    """Let a paused plan go on, with its next moment after now. Raises `PlanNotFound`."""
    return Call("plan.resume", encoded(PlanParams(plan)), Plan)


def skip_plan(plan: str, *, key: str | None = None) -> Call[Plan]:
    """Leave out the occurrence that comes next: its timer is cancelled, and the one after it started.

    A repeated `key` skips nothing more, and one is made where it is left out. Raises `PlanNotFound`, `WrongState`.
    """
    return Call("plan.skip", encoded(KeyedPlanParams(plan, _key(key))), Plan)


def run_plan(plan: str, *, key: str | None = None) -> Call[Plan]:
    """Start a timer of a plan that is due at once, beside the one that it waits for; `ran` of the result is it.

    A repeated `key` starts no other, and one is made where it is left out. Raises `PlanNotFound`.
    """
    return Call("plan.run", encoded(KeyedPlanParams(plan, _key(key))), Plan)


def preview_plan(
    *,
    every: Interval | None = None,
    cron: str | None = None,
    zone: str | None = None,
    steps: Steps | None = None,
    from_ms: int | None = None,
    count: int = NEXT_SHOWN,
) -> Call[PlanPreview]:
    """The `next` moments of a rule, at most 100, as if `put_plan` put it now; nothing is stored.

    Raises `InvalidRequest`.
    """
    spec = PreviewSpec(
        every=None if every is None else _members("every", every, Every),
        cron=cron,
        zone=zone,
        steps=_each_step(steps),
        from_ms=from_ms,
        count=count,
    )
    return Call("plan.preview", encoded(spec), PlanPreview)


def _each_step(steps: Steps | None) -> list[dict[str, Any]] | None:
    if steps is None:
        return None
    found = several("steps", steps, "a list of Step")
    return [_members(f"steps[{place}]", step, Step) for place, step in enumerate(found)]


def _members(name: str, given: R | Mapping[str, Any], kind: type[R]) -> dict[str, Any]:
    """What is given of an interval or a step, each member of the right kind. Raises `InvalidArgument`."""
    if isinstance(given, Mapping):
        members = dict(given)
        allowed = kind.__struct_fields__
        if unknown := [each for each in members if each not in allowed]:
            raise InvalidArgument(f"{name} has {unknown[0]!r}, but may have {', '.join(allowed)}")
    elif isinstance(given, kind):
        members = {field: getattr(given, field) for field in kind.__struct_fields__ if getattr(given, field)}
    else:
        raise wrong_kind(name, given, f"{_with_article(kind.__name__)}, or a mapping of its members")
    check_kinds(kind(**members), f"{name}.")
    return members


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _key(key: str | None) -> str:
    return new_id() if key is None else key
