"""Commands that show a timer, or move its end."""

from collections.abc import Sequence

import click

from timer_client.cli.amounts import is_duration
from timer_client.cli.connection import connected
from timer_client.cli.duration_argument import DurationCommand, duration_argument, read_duration
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.text import show_timer
from timer_client.cli.timer_ids import timer_id_argument


@click.command
@timer_id_argument
@json_option
@connection_options
@click.pass_context
def get(context: click.Context, timer_id: str, *, as_json: bool) -> None:
    """Show a timer."""
    with connected(context) as client:
        timer = client.get(timer_id)
    show_timer(timer, as_json=as_json)


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
