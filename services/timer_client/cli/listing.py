"""The command `timer list`."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import get_args

import click

from timer_client.cli.connection import connected
from timer_client.cli.options import connection_options, json_option, text
from timer_client.cli.text import local_time, on_terminal, printable, row, show_json
from timer_client.client import TimerClient
from timer_client.watch import clock_face
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import State, Timer

_PENDING: tuple[State, ...] = ("running", "paused")
_ENDED: tuple[State, ...] = ("fired", "cancelled")

_COUNTED = PAGE_MAXIMUM
"""Up to how many timers that are left out are counted, as each has to be fetched for it."""


@click.command("list")
@click.option("--prefix", type=text, default="", metavar="TEXT", help="Only ids that begin so.")
@click.option("--state", type=click.Choice(get_args(State)), help="Only timers in this state.")
@click.option("--all", "with_ended", is_flag=True, help="Also those that have ended, behind the others.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="How many to list at most; all by default.")
@json_option
@connection_options
@click.pass_context
def list_timers(
    context: click.Context, prefix: str, state: State | None, limit: int | None, *, with_ended: bool, as_json: bool
) -> None:
    """List pending timers in the order of their ids.

    Those that have ended can be listed for as long as the server remembers them. What is left out is told on stderr.
    """
    groups = [(state,)] if state else [_PENDING, _ENDED] if with_ended else [_PENDING]
    with connected(context) as client:
        timers = chain.from_iterable(_by_id(client, prefix, states) for states in groups)
        _show(islice(timers, limit), as_json=as_json)
        _tell_left_out(timers, f"more, by --limit {limit}")
        if not state and not with_ended:
            _tell_left_out(_by_id(client, prefix, _ENDED), "that ended; --all lists them")


def _by_id(client: TimerClient, prefix: str, states: Sequence[State]) -> Iterator[Timer]:
    """The timers in some states, in the order of their ids."""
    return heapq.merge(*(client.timers(prefix, state) for state in states), key=lambda timer: timer.id)


def _tell_left_out(timers: Iterator[Timer], what: str) -> None:
    """Says on stderr how many are left out, if any are."""
    count = sum(1 for _ in islice(timers, _COUNTED + 1))
    if count:
        click.echo(f"Left out: {count if count <= _COUNTED else f'more than {_COUNTED}'} {what}.", err=True)


def _show(timers: Iterator[Timer], *, as_json: bool) -> None:
    if on_terminal() and not as_json:
        _show_table(timers)
        return
    for timer in timers:
        if as_json:
            show_json(timer)
        else:
            click.echo(row(timer))


def _show_table(timers: Iterator[Timer]) -> None:
    """Prints columns as wide as a page of timers needs, since an id that is cut off cannot be copied."""
    lines: Iterable[tuple[str, ...]] = [("id", "state", "to go", "until", "label")]
    is_empty = True
    while page := list(islice(timers, PAGE_MAXIMUM)):
        is_empty = False
        lines = [*lines, *map(_cells, page)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            click.echo("  ".join(map(str.ljust, cells, widths)).rstrip())
        lines = []
    if is_empty:
        click.echo("No timers.")


def _cells(timer: Timer) -> tuple[str, ...]:
    remaining = "" if timer.ended else clock_face(timer.remaining_ms)
    until = "" if timer.ended or timer.due_at_ms is None else local_time(timer.due_at_ms)
    return tuple(map(printable, (timer.id, timer.state, remaining, until, timer.label)))
