"""Countdowns that follow one another, as `timer run work=25m rest=5m` takes them, and how each is called."""

from collections.abc import Sequence

from timer_client.cli.amounts import Amounts, parse_duration
from timer_protocol.durations import total_ms
from timer_protocol.plan_messages import LEAST_INTERVAL_MS, STEPS_MAXIMUM, Plan, Step


def duration_in(text: str) -> str:
    """The part of a step that is its duration."""
    return text.rpartition("=")[2]


def parse_step(text: str) -> Step:
    """The step in a text such as `work=25m`, or `25m` without a name. Raises `ValueError` with a sentence."""
    name, equals, duration = text.rpartition("=")
    if equals and not name:
        raise ValueError(f"{text!r} has no name before the =; a step is written as in work=25m, or 25m without a name")
    try:
        amounts = parse_duration([duration])
    except ValueError as error:
        raise ValueError(f"{text!r} is no step such as work=25m: {error}") from None
    if total_ms(*amounts) < LEAST_INTERVAL_MS:
        raise ValueError(f"{text!r} is too short: a step takes at least 1 second")
    return Step(*amounts, name)


def written_out(steps: Sequence[Step], times: int, last: Step | None) -> tuple[list[Step], int]:
    """The steps of a plan, and how often it goes through them. Raises `ValueError` with a sentence.

    With `last` in place of the very last step, the rounds are not all alike, and have to be written out.
    """
    out, rounds = (list(steps), times) if last is None else ([*(list(steps) * times)[:-1], last], 1)
    if len(out) > STEPS_MAXIMUM:
        written = f", written out for --times {times} with --last" if last else ""
        raise ValueError(f"these are {len(out)} steps{written}, and a plan takes at most {STEPS_MAXIMUM}")
    return out, rounds


def step_title(plan: Plan) -> str | None:
    """What the step is called that a plan is at, with its round: `work 2/4`. None where it has no steps.

    A round begins with each step that is the same as the first, as rounds may be written out.
    """
    if not plan.steps or plan.step is None or plan.round is None:
        return None
    step = plan.steps[plan.step - 1]
    name = step.label or plan.label or f"step {plan.step}"
    begins = [each == plan.steps[0] for each in plan.steps]
    number = (plan.round - 1) * sum(begins) + sum(begins[: plan.step])
    if plan.count is None:
        return f"{name} {number}"
    total = plan.count * sum(begins)
    return name if total == 1 else f"{name} {number}/{total}"


def spoken_steps(steps: Sequence[Step]) -> str:
    """Steps in words."""
    return ", ".join(
        f"{step.label} {Amounts(step.hours, step.minutes, step.seconds).spoken()}".lstrip() for step in steps
    )
