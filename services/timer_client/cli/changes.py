"""Commands that change timers: those that are named, or all below a prefix."""

from collections.abc import Callable, Sequence
from typing import get_args

import click

from timer_client.cli.connection import connected
from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.refusals import reason_of, tell_faults
from timer_client.cli.text import show_json, show_timer
from timer_client.cli.timer_ids import complete_id
from timer_client.client import TimerClient
from timer_protocol.many import Action, ChangedMany
from timer_protocol.messages import STATES, State, Timer
from timer_protocol.plurals import counted

_PENDING: tuple[State, ...] = ("running", "paused")


def _command(action: Action, done: str, text: str, change: Callable[[TimerClient, str], Timer]) -> click.Command:
    """A command that changes one timer and prints it, or many and prints how many; `done` is what they are then."""

    @click.command(action, help=text)
    @click.argument("timer_ids", metavar="[ID...]", nargs=-1, shell_complete=complete_id)
    @click.option(
        "--prefix", metavar="TEXT", help='All timers whose id begins so, in place of ids; "" is all there are.'
    )
    @click.option(
        "--state",
        "states",
        type=click.Choice(get_args(State)),
        multiple=True,
        help="Only timers in this state; may be repeated. With --prefix running and paused by default.",
    )
    @click.option("--dry-run", is_flag=True, help="Say how many it would be, and change none.")
    @json_option
    @connection_options
    @click.pass_context
    def command(
        context: click.Context,
        timer_ids: Sequence[str],
        prefix: str | None,
        states: Sequence[State],
        dry_run: bool,
        as_json: bool,
    ) -> None:
        if bool(timer_ids) == (prefix is not None):
            raise click.UsageError("name timers by their ids, or give --prefix for all whose id begins so.")
        with connected(context) as client:
            if len(timer_ids) == 1 and not states and not dry_run:
                show_timer(change(client, timer_ids[0]), as_json=as_json)
                return
            changed = client.change_many(
                action,
                prefix=prefix,
                ids=timer_ids if prefix is None else None,
                states=states or (STATES if prefix is None else _PENDING),
                dry_run=dry_run,
            )
        _show(changed, f"would be {done}" if dry_run else done, as_json=as_json)
        if changed.refused:
            context.exit(ExitCode.REFUSED)

    return command


def _show(changed: ChangedMany, done: str, *, as_json: bool) -> None:
    """Prints how many timers were changed, and on stderr why others could not be."""
    if as_json:
        show_json(changed)
        return
    tell_faults([reason_of(change.error) for change in changed.refused])
    parts = [f"{counted(changed.changed, 'timer')} {done}"]
    parts += [f"{changed.unchanged} unchanged"] if changed.unchanged else []
    parts += [f"{len(changed.refused)} refused"] if changed.refused else []
    click.echo(", ".join(parts))


pause = _command(
    "pause", "paused", "Stop countdowns until they are resumed.", lambda client, timer_id: client.pause(timer_id)
)
resume = _command("resume", "resumed", "Let paused timers run on.", lambda client, timer_id: client.resume(timer_id))
cancel = _command(
    "cancel", "cancelled", "End timers before their time.", lambda client, timer_id: client.cancel(timer_id)
)
restart = _command(
    "restart", "restarted", "Run the full time of timers again.", lambda client, timer_id: client.restart(timer_id)
)
