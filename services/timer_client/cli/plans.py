"""The command `timer plan`: what there is of plans, and what can be done with one."""

from collections.abc import Callable, Sequence
from typing import Literal

import click

from timer_client.cli import end_command
from timer_client.cli.connection import Failure, PauseNotice, connected, settings_of
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.plan_following import PlanCommand, follow, tell_what_runs
from timer_client.cli.plan_rules import (
    Rule,
    cron_rule,
    every_rule,
    read_bound,
    rounds_options,
    steps_rule,
    zone_option,
)
from timer_client.cli.plan_text import show_details, show_moments, show_plan, show_plans
from timer_client.cli.printable import printable
from timer_client.cli.text import show_json, show_timer
from timer_client.cli.timer_ids import plan_id_argument, plan_ids_argument
from timer_client.client import TimerClient
from timer_client.cursor import Cursor
from timer_protocol.plan_messages import NEXT_SHOWN, PREVIEW_MAXIMUM, Plan

Kind = Literal["every", "cron", "run"]


@click.group
def plan() -> None:
    """See to plans: rules that start timers by themselves.

    The commands `every`, `cron` and `run` put them.
    """


@plan.command("ls")
@click.option("--prefix", default="", metavar="TEXT", help="Only ids that begin so.")
@json_option
@connection_options
@click.pass_context
def list_plans(context: click.Context, prefix: str, *, as_json: bool) -> None:
    """List plans in the order of their ids."""
    with connected(context) as client:
        plans = client.plans(prefix)
    show_plans(plans, as_json=as_json)


@plan.command
@plan_id_argument
@json_option
@connection_options
@click.pass_context
def show(context: click.Context, plan_id: str, *, as_json: bool) -> None:
    """Show a plan, its counts, and the moments that come next."""
    with connected(context) as client:
        found = client.get_plan(plan_id)
    show_details(found, as_json=as_json)


@plan.command(cls=PlanCommand)
@plan_id_argument
@json_option
@connection_options
@click.pass_context
def watch(context: click.Context, plan_id: str, *, command: Sequence[str], as_json: bool) -> None:
    """Show the countdowns of a plan until it is over.

    Ctrl-C leaves the countdown, not the plan. A COMMAND after -- is run after each end that comes from now on, as
    `start` runs one.
    """
    if command:
        end_command.check(command)
    with connected(context) as client:
        before = Cursor(client.info().cursor)
        found = client.get_plan(plan_id)
    tell_what_runs(command)
    context.exit(follow(context, settings_of(context), found, before, command, as_json=as_json))


@plan.command
@click.argument("kind", metavar="every|cron|run", type=click.Choice(["every", "cron", "run"]))
@click.argument("words", metavar="RULE...", nargs=-1, required=True)
@zone_option
@rounds_options
@click.option("--from", "begin", metavar="MOMENT", help="When the rule begins, if not now.")
@click.option(
    "--count",
    type=click.IntRange(1, PREVIEW_MAXIMUM),
    default=NEXT_SHOWN,
    show_default=True,
    help="How many moments to show.",
)
@json_option
@connection_options
@click.pass_context
def preview(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    /,
    *,
    kind: Kind,
    words: Sequence[str],
    zone: str | None,
    times: int,
    last: str | None,
    begin: str | None,
    count: int,
    as_json: bool,
) -> None:
    """Show the moments of a rule; nothing is put.

    It is written as for `every`, `cron` or `run`:

    \b
    timer plan preview cron '0 9 * * 1-5' --zone Europe/Rome
    timer plan preview run work=25m rest=5m --times 4
    """
    if zone is not None and kind != "cron":
        raise click.UsageError("--zone is about cron: an interval and steps are the same time in every zone.")
    if (last is not None or times > 1) and kind != "run":
        raise click.UsageError("--times and --last are about run.")
    rule: Rule
    match kind:
        case "every":
            rule = every_rule(words)
        case "cron":
            rule = cron_rule(words, zone)
        case "run":
            rule = steps_rule(words, times, last)
            count = min(count, len(rule["steps"]) * rule.pop("count"))
    with connected(context) as client:
        found = client.preview_plan(**rule, from_ms=read_bound("--from", begin, rule.get("zone")), count=count)
    show_moments(found.next, rule.get("zone"), as_json=as_json)


def _change(name: str, text: str, change: Callable[[TimerClient, str], Plan]) -> None:
    """Adds a command that changes a plan and prints it."""

    @plan.command(name, help=text)
    @plan_id_argument
    @json_option
    @connection_options
    @click.pass_context
    def command(context: click.Context, plan_id: str, *, as_json: bool) -> None:
        with connected(context) as client:
            changed = change(client, plan_id)
        show_plan(changed, as_json=as_json)


_change(
    "skip",
    "Leave out the timer that comes next, and start the one after it.",
    lambda client, one: client.skip_plan(one),
)


@plan.command
@plan_id_argument
@json_option
@connection_options
@click.pass_context
def run(context: click.Context, plan_id: str, *, as_json: bool) -> None:
    """Start a timer of a plan that is due at once. The moments of the plan stay as they are."""
    with connected(context) as client:
        plan = client.run_plan(plan_id)
    if as_json:
        show_json(plan)
    elif plan.ran:
        show_timer(plan.ran, as_json=False)
    else:
        click.echo(printable(f"Plan {plan_id}: the timer waits until the server has room for it."))


_change("pause", "Let a plan rest until it is resumed.", lambda client, one: client.pause_plan(one))
_change("resume", "Let a paused plan go on, from its next moment.", lambda client, one: client.resume_plan(one))


@plan.command("rm")
@plan_ids_argument
@json_option
@connection_options
@click.pass_context
def remove(context: click.Context, plan_ids: Sequence[str], *, as_json: bool) -> None:
    """Remove plans, and cancel the timers that they wait for."""
    on_pause = PauseNotice(settings_of(context))
    with connected(context, on_pause) as client:
        missing = []
        for plan_id in dict.fromkeys(plan_ids):
            deleted = client.delete_plan(plan_id).deleted
            if as_json:
                show_json({"plan": plan_id, "deleted": deleted})
            elif deleted:
                click.echo(printable(f"Plan {plan_id} was removed."))
            if not deleted and not on_pause.pauses:  # else a try before may have deleted it
                missing.append(plan_id)
    if missing:
        raise Failure(f"there is no plan {', '.join(map(repr, missing))}; the command `plan ls` shows those there are")
