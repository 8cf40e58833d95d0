"""Plans as text: for people on a terminal, as tab-separated lines elsewhere, as JSON for programs.

What others have written is made `printable`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import click
import msgspec
from msgspec import UNSET

from timer_client.cli.amounts import Amounts
from timer_client.cli.printable import printable
from timer_client.cli.steps import spoken_steps, step_title
from timer_client.cli.text import local_time, moment, on_terminal, show_json, standing
from timer_protocol.durations import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from timer_protocol.plan_messages import Every, NextMoment, Plan, SkippedMoments
from timer_protocol.plurals import counted

_INDENT = "  "


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Prints a plan: JSON, or a sentence and the moments that come next."""
    if as_json:
        show_json(plan)
        return
    for line in [sentence(plan), *_coming(plan)]:
        click.echo(line)


def show_details(plan: Plan, *, as_json: bool) -> None:
    """Prints all there is to know of a plan."""
    if as_json:
        show_json(plan)
        return
    for line in [sentence(plan), *(f"{name:9} {printable(text)}" for name, text in _details(plan)), *_coming(plan)]:
        click.echo(line)


def show_plans(plans: Sequence[Plan], *, as_json: bool) -> None:
    """Prints plans: JSON lines, a table on a terminal, tab-separated lines elsewhere."""
    if as_json:
        for plan in plans:
            show_json(plan)
    elif not on_terminal():
        for plan in plans:
            click.echo("\t".join(map(printable, _row(plan))).rstrip("\t"))
    elif plans:
        lines = [("plan", "state", "next", "rule", "label"), *(tuple(map(printable, _cells(plan))) for plan in plans)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            click.echo("  ".join(map(str.ljust, cells, widths)).rstrip())
    else:
        click.echo("No plans.")


def show_moments(moments: Sequence[NextMoment], zone: str | None, *, as_json: bool) -> None:
    """Prints moments to come, one a line: on the clocks of a zone, or of this machine."""
    for each in moments:
        if as_json:
            show_json(each)
        else:
            click.echo(moment_line(each, zone))


def sentence(plan: Plan) -> str:
    """How a plan stands, in words."""
    return printable(f"{_title(plan)} is {plan.state}: {spoken_rule(plan)}{_bounds(plan)}.")


def spoken_rule(plan: Plan) -> str:
    """The rule of a plan in words."""
    if plan.every is not None:
        return f"every {_spoken(plan.every)}"
    if plan.cron is not None:
        return f"{plan.cron} in {plan.zone}"
    return spoken_steps(plan.steps or ())


def moment_line(coming: NextMoment, zone: str | None) -> str:
    """A moment to come, as the clocks of a zone show it, or this machine's: with its day of the week and its offset."""
    if zone is None:
        shown = datetime.fromtimestamp(coming.at_ms / 1000).astimezone()
    else:
        shown = datetime.fromisoformat(coming.local)
    text = shown.isoformat(sep=" ", timespec="seconds")
    return f"{shown:%a} {text[:19]} {text[19:]}"


def _title(plan: Plan) -> str:
    return f"{plan.label} (plan {plan.plan})" if plan.label else f"Plan {plan.plan}"


def _spoken(every: Every) -> str:
    return Amounts(every.hours, every.minutes, every.seconds).spoken()


def _spoken_ms(ms: int) -> str:
    hours, rest_ms = divmod(ms, MS_PER_HOUR)
    return Amounts(hours, rest_ms // MS_PER_MINUTE, rest_ms % MS_PER_MINUTE / MS_PER_SECOND).spoken()


def _bounds(plan: Plan) -> str:
    parts = []
    if plan.from_ms is not None:
        parts.append(f"from {local_time(plan.from_ms)}")
    if plan.until_ms is not None:
        parts.append(f"until {local_time(plan.until_ms)}")
    if plan.count is not None and not (plan.steps and plan.count == 1):
        parts.append(counted(plan.count, "round" if plan.steps else "time"))
    return "".join(f", {part}" for part in parts)


def _coming(plan: Plan) -> Iterator[str]:
    """The moments that come next, or why there are none."""
    if plan.next is UNSET:
        return
    if plan.next:
        yield "Next:"
        for each in plan.next:
            yield _INDENT + moment_line(each, plan.zone)
    elif plan.state == "paused":
        yield "Next: nothing until it is resumed."
    elif plan.state == "finished":
        yield "Next: nothing any more."


def _details(plan: Plan) -> Iterator[tuple[str, str]]:
    if title := step_title(plan):
        yield "step", title
    if plan.pending is not None:
        yield "pending", f"{plan.pending.id} {standing(plan.pending)}"
    counts = plan.counts
    yield "counts", ", ".join(f"{getattr(counts, name)} {name}" for name in counts.__struct_fields__)
    if plan.waiting:
        yield "waiting", f"{counted(plan.waiting, 'run')} for room among the server's timers"
    if plan.last_skipped is not None:
        yield "skipped", _spoken_skip(plan.last_skipped)
    if not plan.steps:
        yield "missed", f"{plan.missed}, within {_spoken_ms(plan.missed_window_ms)}"
        yield "overlap", plan.overlap
    if plan.payload is not None:
        yield "payload", msgspec.json.encode(plan.payload).decode()


def _spoken_skip(skipped: SkippedMoments) -> str:
    count = counted(skipped.count, "moment")
    if skipped.count == 1:
        return f"last {count}, {moment(skipped.first_ms)} ({skipped.reason})"
    return f"last {count}, {moment(skipped.first_ms)} to {moment(skipped.last_ms)} ({skipped.reason})"


def _row(plan: Plan) -> tuple[str, ...]:
    due_at_ms = _due_at_ms(plan)
    return plan.plan, plan.state, "" if due_at_ms is None else moment(due_at_ms), spoken_rule(plan), plan.label


def _cells(plan: Plan) -> tuple[str, ...]:
    due_at_ms = _due_at_ms(plan)
    return plan.plan, plan.state, "" if due_at_ms is None else local_time(due_at_ms), spoken_rule(plan), plan.label


def _due_at_ms(plan: Plan) -> int | None:
    """When the timer is due that a plan waits for."""
    due_at_ms = None if plan.pending is None else plan.pending.due_at_ms
    if due_at_ms is None or plan.cron is None:
        return due_at_ms
    return round(due_at_ms, -3)  # the server's timeline may be off the wall clock by a few milliseconds
