"""Commands that ask about one timer or change it."""

from collections.abc import Callable, Sequence

import click

from timer_client.cli.amounts import is_duration
from timer_client.cli.connection import connected
from timer_client.cli.duration_argument import DurationCommand, duration_argument, read_duration
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.text import show_timer
from timer_client.cli.timer_ids import timer_id_argument
from timer_client.client import TimerClient
from timer_protocol.messages import Timer

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
    _check_order(timer_id, duration)
    amounts = read_duration(duration)
    with connected(context) as client:
        timer = client.extend(timer_id, *amounts)
    show_timer(timer, as_json=as_json)


def _check_order(timer_id: str, duration: Sequence[str]) -> None:
    *before, last = timer_id, *duration
    if is_duration(before) and not is_duration(duration):
        raise click.UsageError(f"the id comes first: extend {last} {' '.join(before)}")
