"""Plans as the protocol shows them, and as requests ask for them."""

from collections.abc import Iterable
from itertools import islice
from typing import get_args

from msgspec import UNSET, Raw, UnsetType

from timer_protocol import plan_messages as messages
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.ids import is_valid_id
from timer_protocol.plan_messages import (
    LEAST_INTERVAL_MS,
    NEXT_SHOWN,
    PLAN_CHARACTERS,
    NextMoment,
    PlanCounts,
    PlanState,
    PreviewPlanParams,
    PutPlanParams,
    SkippedMoments,
)
from timer_server.core.plans.plans import Plans
from timer_server.core.plans.rules import Amounts, CivilTime, Cron, Every, Rule, Step, Steps
from timer_server.core.plans.standing import Plan, Settings

_STATES: tuple[PlanState, ...] = get_args(PlanState)


def plan_view(plans: Plans, plan: Plan, now_ms: int, coming: Iterable[int] | None) -> messages.Plan:
    """A plan and how it stands; `coming` are its moments to come, None where they are not to be told."""
    settings, standing, pending = plan.settings, plan.standing, plans.pending(plan)
    rule, row, steps = settings.rule, standing.row, None
    if isinstance(rule, Steps):
        steps = tuple(messages.Step(*_amounts(step.amounts), step.label) for step in rule.steps)
    shown: list[NextMoment] | UnsetType = UNSET
    if coming is not None:
        shown = next_moments(plans.civil, rule, coming, NEXT_SHOWN)
    return messages.Plan(
        plan=plan.id,
        version=settings.version,
        state=_STATES[standing.state],
        every=messages.Every(*_amounts(rule.interval)) if isinstance(rule, Every) else None,
        cron=rule.expression if isinstance(rule, Cron) else None,
        zone=rule.zone if isinstance(rule, Cron) else None,
        steps=steps,
        from_ms=settings.from_ms,
        until_ms=settings.until_ms,
        count=settings.count,
        missed=settings.missed,
        missed_window_ms=settings.missed_window_ms,
        overlap=settings.overlap,
        label=settings.label,
        payload=Raw(settings.payload),
        counts=PlanCounts(standing.fired, standing.cancelled, standing.skipped, standing.missed),
        pending=None if pending is None else pending.view(now_ms),
        step=standing.at.step + 1 if steps and pending is not None else None,
        round=standing.at.round if steps else None,
        waiting=standing.waiting,
        last_skipped=None if row is None else SkippedMoments(row.first_ms, row.last_ms, row.count, row.reason),
        next=shown,
    )


def next_moments(civil: CivilTime, rule: Rule, coming: Iterable[int], most: int) -> list[NextMoment]:
    """The first of some moments, each with what the clocks of the rule's zone show then."""
    zone = rule.zone if isinstance(rule, Cron) else None
    return [NextMoment(moment_ms, civil.local(zone, moment_ms)) for moment_ms in islice(coming, most)]


def check_plan_id(plan_id: str) -> None:
    """Raises `Refusal` (invalid_params) unless a text can be the id of a new plan."""
    if not is_valid_id(plan_id) or len(plan_id) > PLAN_CHARACTERS:
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"plan must be 1 to {PLAN_CHARACTERS} of the characters A-Z a-z 0-9 . _ : / - ; got {plan_id[:40]!r}",
        )


def settings_of(params: PutPlanParams) -> Settings:
    """What a put asks for. Raises `Refusal` (invalid_params)."""
    return Settings(
        1,
        rule_of(params),
        params.from_ms,
        params.until_ms,
        params.count,
        params.missed,
        params.missed_window_ms,
        params.overlap,
        params.label,
        bytes(params.payload),
    )


def rule_of(params: PutPlanParams | PreviewPlanParams) -> Rule:
    """The rule that is asked for. Raises `Refusal` (invalid_params)."""
    given = [name for name in ("every", "cron", "steps") if getattr(params, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise Refusal(ErrorCode.INVALID_PARAMS, f"a plan needs one of every, cron and steps; got {got}")
    if params.cron is not None:
        if params.zone is None:
            raise Refusal(ErrorCode.INVALID_PARAMS, "cron needs a zone, such as Europe/Rome or UTC")
        return Cron(params.cron, params.zone)
    if params.zone is not None:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"zone belongs to cron; {given[0]} counts elapsed time")
    if params.every is not None:
        return Every(_long_enough("every", params.every))
    steps = enumerate(params.steps or (), start=1)
    return Steps(tuple(Step(_long_enough(f"step {number}", step), step.label) for number, step in steps))


def _long_enough(what: str, asked: messages.Every | messages.Step) -> Amounts:
    amounts = Amounts(asked.hours, asked.minutes, asked.seconds)
    if amounts.ms < LEAST_INTERVAL_MS:
        text = f"{what} needs at least {LEAST_INTERVAL_MS} ms; hours, minutes and seconds came to {amounts.ms} ms"
        raise Refusal(ErrorCode.INVALID_PARAMS, text, minimum_ms=LEAST_INTERVAL_MS)
    return amounts


def _amounts(amounts: Amounts) -> tuple[int | float, int | float, int | float]:
    return amounts.hours, amounts.minutes, amounts.seconds
