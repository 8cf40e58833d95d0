"""What a command does that stays with a plan: it shows the countdowns, and runs another command after each end."""

import asyncio
from collections.abc import Sequence

import click

from timer_client.cli import end_command
from timer_client.cli.connection import Failure, failures_told
from timer_client.cli.duration_argument import DurationCommand
from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.interrupts import Interrupted
from timer_client.cli.plan_text import sentence
from timer_client.cli.plan_watch import PlanWatch
from timer_client.cli.printable import printable
from timer_client.cli.sigterm import until_sigterm
from timer_client.cli.watching import chosen_display, command_line
from timer_client.cursor import Cursor
from timer_client.descriptors import WATCH_DESCRIPTORS, check_descriptors
from timer_client.settings import Settings
from timer_protocol.messages import Timer
from timer_protocol.plan_messages import Plan


class PlanCommand(end_command.ThenCommand):
    """A command about a plan, which takes after `--` a command for each end of its timers."""

    when = "after each end"


class IntervalCommand(PlanCommand, DurationCommand):
    """One that takes a duration, too."""


class Removed(Failure):
    """The plan was deleted while it was watched."""

    exit_code = ExitCode.CANCELLED


def tell_what_runs(command: Sequence[str]) -> None:
    """Says on stderr when the command runs, and when it does not."""
    if command:
        runs = f"the command {command[0]} runs after each end; nothing runs while this client is gone"
        click.echo(printable(f"timer: {runs} (`timer work` is for ends that nobody may miss)"), err=True)


def follow(
    context: click.Context,
    settings: Settings,
    plan: Plan,
    after: Cursor,
    command: Sequence[str],
    *,
    as_json: bool,
) -> int:
    """Shows a plan to its end, `after` a cursor that was told before the plan.

    Returns the exit code of the last run of the command. Raises `Removed`.
    """
    watch = PlanWatch(
        settings,
        plan,
        after,
        chosen_display(settings, as_json=as_json),
        lambda sentence: click.echo(printable(sentence), err=as_json),
        has_titles=not as_json,
    )
    code: int = ExitCode.DONE
    try:
        while (fired := _next_fired(watch, stops=bool(command))) is not None:
            code = end_command.run(command, fired)
    except (KeyboardInterrupt, Interrupted):
        _tell_left(context, settings, plan.plan, command)
        raise
    if watch.is_cut_off:
        raise Removed(f"plan {plan.plan!r} was removed")
    if watch.plan is not None and not as_json:
        click.echo(sentence(watch.plan))
    return code


def _next_fired(watch: PlanWatch, *, stops: bool) -> Timer | None:
    with failures_told():
        check_descriptors(WATCH_DESCRIPTORS)  # asyncio leaves a traceback where it finds too few
        return asyncio.run(until_sigterm(watch.until_fired(stops=stops)))


def _tell_left(context: click.Context, settings: Settings, plan_id: str, command: Sequence[str]) -> None:
    left = f"the plan goes on, and the command {printable(command[0])} will not run" if command else "the plan goes on"
    back = command_line(context, settings, "plan watch", plan_id, command=command)
    stop = command_line(context, settings, "plan rm", plan_id)
    click.echo(f"Left; {left}. To come back: {back}; to stop it: {stop}", err=True)
