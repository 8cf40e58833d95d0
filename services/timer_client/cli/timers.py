"""Commands that ask about timers or change one."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import get_args

import click

from timer_client.cli.connection import connected
from timer_client.cli.duration_argument import DurationCommand, duration_argument, read_duration
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.text import local_time, on_terminal, printable, row, show_json, show_timer
from timer_client.cli.timer_ids import timer_id_argument
from timer_client.client import TimerClient
from timer_client.watch import clock_face
from timer_protocol.limits import PAGE_DEFAULT
from timer_protocol.messages import State, Timer

Change = Callable[[TimerClient, str], Timer]


def _command(name: str, text: str, change: Change) -> click.Command:
    """A command that takes an id and prints the timer."""

    @click.command(name, help=text)
    @timer_id_argument
    @json_option
    @connection_options
    @click.pass_context
    def command(context: click.Context, timer_id: str, *, as_json: bool) -> None:
        with connected(context) as client:
            timer = change(client, timer_id)
        show_timer(timer, as_json=as_json)

    return command


get = _command("get", "Show a timer.", lambda client, timer_id: client.get(timer_id))
pause = _command("pause", "Stop a countdown until it is resumed.", lambda client, timer_id: client.pause(timer_id))
resume = _command("resume", "Let a paused timer run on.", lambda client, timer_id: client.resume(timer_id))
cancel = _command("cancel", "End a timer before its time.", lambda client, timer_id: client.cancel(timer_id))
restart = _command("restart", "Run a timer's full time again.", lambda client, timer_id: client.restart(timer_id))


@click.command(cls=DurationCommand)
@timer_id_argument
@duration_argument("DURATION | H M S", required=True)
@json_option
@connection_options
@click.pass_context
def extend(context: click.Context, timer_id: str, duration: Sequence[str], *, as_json: bool) -> None:
    """Add time to a timer, or take some away.

    A negative DURATION, such as -30s, takes time away.
    """
    amounts = read_duration(duration)
    with connected(context) as client:
        timer = client.extend(timer_id, *amounts)
    show_timer(timer, as_json=as_json)


@click.command("list")
@click.option("--prefix", default="", metavar="TEXT", help="Only ids that begin so.")
@click.option("--state", type=click.Choice(get_args(State)), help="Only timers in this state.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=PAGE_DEFAULT, show_default=True, help="How many to list at most."
)
@click.option("--all", "no_limit", is_flag=True, help="List all there are.")
@json_option
@connection_options
@click.pass_context
def list_timers(
    context: click.Context, prefix: str, state: State | None, limit: int, *, no_limit: bool, as_json: bool
) -> None:
    """List timers in the order of their ids."""
    with connected(context) as client:
        timers = islice(client.timers(prefix, state), None if no_limit else limit)
        if as_json:
            for timer in timers:
                show_json(timer)
        elif on_terminal():
            click.echo(_table(timers))
        else:
            for timer in timers:
                click.echo(row(timer))


def _table(timers: Iterable[Timer]) -> str:
    """Timers in columns as wide as needed, since an id that is cut off cannot be copied."""
    timers = list(timers)
    if not timers:
        return "No timers."
    rows = [("id", "state", "to go", "until", "label"), *map(_cells, timers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    header, *lines = ("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)
    return "\n".join([click.style(header, bold=True), *lines])


def _cells(timer: Timer) -> tuple[str, ...]:
    remaining = "" if timer.ended else clock_face(timer.remaining_ms)
    until = "" if timer.ended or timer.due_at_ms is None else local_time(timer.due_at_ms)
    return timer.id, timer.state, remaining, until, printable(timer.label)
