"""The commands that put a plan: `every`, `cron` and `run`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click

from timer_client.calls import new_id
from timer_client.cli import end_command
from timer_client.cli.connection import Failure, connected, settings_of
from timer_client.cli.duration_argument import duration_argument
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.payloads import read_payload
from timer_client.cli.plan_following import IntervalCommand, PlanCommand, follow, tell_what_runs
from timer_client.cli.plan_rules import (
    Rule,
    cron_rule,
    every_rule,
    read_bound,
    rounds_options,
    steps_rule,
    zone_option,
)
from timer_client.cli.plan_text import sentence, show_plan
from timer_client.cli.text import show_json
from timer_client.cli.watching import command_line
from timer_client.cursor import Cursor
from timer_client.settings import Settings
from timer_protocol.plan_messages import Missed, Overlap, Plan

F = TypeVar("F", bound=Callable[..., Any])


def _plan_options(command: F) -> F:
    """Adds the options of every plan."""
    for option in (
        click.option("--payload", metavar="JSON", help="Any JSON value; each timer of the plan has it."),
        click.option("--label", default="", metavar="TEXT", help="A name for people; each timer has it."),
        click.option("--from", "begin", metavar="MOMENT", help="When it begins; the forms are those of start --at."),
        click.option("--id", "plan_id", metavar="ID", help="Its id; made where left out. The same again is one plan."),
    ):
        command = option(command)
    return command


def _tell_of_times(_context: click.Context, _parameter: click.Parameter, count: str | None) -> None:
    """Refuses `--count`, which of steps is `--times`. Raises `click.UsageError`."""
    if count is not None:
        raise click.UsageError(f"steps have no --count: --times {count} goes through all of them so often.")


def _repeat_options(command: F) -> F:
    """Adds the options of plans whose moments come again and again."""
    for option in (
        click.option(
            "--overlap",
            type=click.Choice(get_args(Overlap)),
            default="allow",
            show_default=True,
            help="Where the timer before is still paused or extended: start the next beside it, or leave it out.",
        ),
        click.option(
            "--missed",
            type=click.Choice(get_args(Missed)),
            default="last",
            show_default=True,
            help="Which of the moments are caught up that passed while the server was down, of the last day.",
        ),
        click.option(
            "--count", type=click.IntRange(min=1), metavar="N", help="The plan ends after N timers that fired."
        ),
        click.option("--until", metavar="MOMENT", help="When it ends."),
    ):
        command = option(command)
    return command


@click.command(cls=IntervalCommand)
@duration_argument("DURATION | H M S", required=True)
@_plan_options
@_repeat_options
@json_option
@connection_options
@click.pass_context
def every(
    context: click.Context, /, *, duration: Sequence[str], command: Sequence[str], as_json: bool, **options: Any
) -> None:
    """Start a timer again and again, with the same time in between.

    This is a plan on the server: it goes on when this command has ended, and `timer plan` lists, pauses and removes it.

    With a COMMAND after -- the countdowns are shown, and the COMMAND is run after each end as `start` runs one; nothing
    runs while this client is gone.
    """
    _put_and_see(context, every_rule(duration), command, options, as_json=as_json)


@click.command(cls=PlanCommand)
@click.argument("rule", metavar="'RULE'", nargs=-1, required=True)
@zone_option
@_plan_options
@_repeat_options
@json_option
@connection_options
@click.pass_context
def cron(
    context: click.Context,
    /,
    *,
    rule: Sequence[str],
    zone: str | None,
    command: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Start a timer at each moment of a cron RULE.

    A RULE has five fields, as in crontab(5): minute, hour, day of the month, month, day of the week. '0 9 * * 1-5' is
    nine o'clock from Monday to Friday. A time that the clocks of the --zone skip comes when they do, one that they show
    twice comes once.

    This is a plan on the server: it goes on when this command has ended, and `timer plan` lists, pauses and removes it.

    With a COMMAND after -- the countdowns are shown, and the COMMAND is run after each end as `start` runs one; nothing
    runs while this client is gone.
    """
    _put_and_see(context, cron_rule(rule, zone), command, options, as_json=as_json)


@click.command(cls=PlanCommand)
@click.argument("steps", metavar="[NAME=]DURATION...", nargs=-1, required=True)
@rounds_options
@click.option("--count", hidden=True, expose_value=False, callback=_tell_of_times)
@_plan_options
@click.option("--detach", is_flag=True, help="Do not watch it.")
@json_option
@connection_options
@click.pass_context
def run(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    /,
    *,
    steps: Sequence[str],
    times: int,
    last: str | None,
    command: Sequence[str],
    detach: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run countdowns one after the other, and show them: work=25m rest=5m.

    This is a plan on the server. Ctrl-C leaves the countdown, not the plan: it runs on, and `timer plan watch` comes
    back to it. Watched to its end, the plan is removed. Exit code 0 when it is over, 3 when it was removed before.

    A COMMAND after -- is run after each end as `start` runs one; nothing runs while this client is gone.
    """
    if detach and command:
        raise click.UsageError("--detach leaves nobody to run the command after --: that takes a client that watches.")
    rule = steps_rule(steps, times, last)
    settings, before, plan = _put(context, rule, command, options)
    if detach:
        show_plan(plan, as_json=as_json)
        return
    if plan.state == "finished":
        again = command_line(context, settings, "plan rm", plan.plan)
        raise Failure(f"plan {plan.plan!r} has run before, and is over; after `{again}` it runs again")
    if as_json:
        show_json(plan)
    else:
        click.echo(sentence(plan))
    tell_what_runs(command)
    code = follow(context, settings, plan, before, command, as_json=as_json)
    with connected(context) as client:
        client.delete_plan(plan.plan)
    context.exit(code)


def _put_and_see(
    context: click.Context, rule: Rule, command: Sequence[str], options: dict[str, Any], *, as_json: bool
) -> None:
    """Puts a plan and tells of it; with a command, stays with it."""
    settings, before, plan = _put(context, rule, command, options)
    show_plan(plan, as_json=as_json)
    if command:
        tell_what_runs(command)
        context.exit(follow(context, settings, plan, before, command, as_json=as_json))


def _put(
    context: click.Context, rule: Rule, command: Sequence[str], options: dict[str, Any]
) -> tuple[Settings, Cursor, Plan]:
    """Puts a plan, unless its command cannot be run. Also gives where the log ended before that."""
    if command:
        end_command.check(command)
    settings = settings_of(context)
    plan_id, begin, until, payload = (options.pop(name, None) for name in ("plan_id", "begin", "until", "payload"))
    plan_id = settings.id_prefix + new_id() if plan_id is None else plan_id
    arguments = {
        **rule,
        **{name: value for name, value in options.items() if value is not None},
        "from_ms": read_bound("--from", begin, rule.get("zone")),
        "until_ms": read_bound("--until", until, rule.get("zone")),
        "payload": read_payload(payload),
    }
    try:
        with connected(context) as client:
            before = Cursor(client.info().cursor)
            return settings, before, client.put_plan(plan_id, **arguments)
    except KeyboardInterrupt:
        look = command_line(context, settings, "plan show", plan_id)
        click.echo(f"The plan may have been put. To look: {look}", err=True)
        raise
