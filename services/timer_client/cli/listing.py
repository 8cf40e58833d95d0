"""The command `timer list`."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import get_args

import click

from timer_client.cli.amounts import Amounts
from timer_client.cli.connection import connected
from timer_client.cli.due_timers import due_before_ms, due_by_id, next_due
from timer_client.cli.duration_argument import read_duration
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.printable import printable
from timer_client.cli.text import on_terminal, row, show_json, until
from timer_client.client import TimerClient
from timer_client.watch import clock_face
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import State, StateCounts, Timer

_PENDING: tuple[State, ...] = ("running", "paused")
_ENDED: tuple[State, ...] = ("fired", "cancelled")

_COUNTED = 20
"""Up to how many timers that are left out are fetched to count them, where the server's own counts are of no use."""


def _read_time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Amounts | None:
    return None if text is None else read_duration([text])


@click.command("list")
@click.option("--prefix", default="", metavar="TEXT", help="Only ids that begin so.")
@click.option("--state", type=click.Choice(get_args(State)), help="Only timers in this state.")
@click.option("--all", "with_ended", is_flag=True, help="Also those that have ended, behind the others.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="How many to list at most; all by default.")
@click.option("--sort", type=click.Choice(["id", "due"]), default="id", help="By id, or the next to fire first.")
@click.option("--due-before", callback=_read_time, metavar="DURATION", help="Only those that fire within this time.")
@json_option
@connection_options
@click.pass_context
def list_timers(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    prefix: str,
    state: State | None,
    limit: int | None,
    *,
    with_ended: bool,
    sort: str,
    due_before: Amounts | None,
    as_json: bool,
) -> None:
    """List pending timers in the order of their ids.

    Those that have ended can be listed for as long as the server remembers them. What is left out is told on stderr.
    """
    if sort == "due" or due_before is not None:
        if with_ended or state not in (None, "running"):
            raise click.UsageError("--sort due and --due-before are about running timers only")
        with connected(context) as client:
            _list_due(client, prefix, limit, due_before, by_deadline=sort == "due", as_json=as_json)
        return
    groups = [(state,)] if state else [_PENDING, _ENDED] if with_ended else [_PENDING]
    with connected(context) as client:
        # The server counts all its timers, but not those with a prefix, and a key may be bound to one.
        is_narrowed = bool(prefix or client.settings.curve_client_secret)
        at_once = None if limit is None else limit + (_COUNTED + 1 if is_narrowed else 0)
        timers = chain.from_iterable(_by_id(client, prefix, states, at_once) for states in groups)
        listed = _show(islice(timers, limit), as_json=as_json)
        counts = None if is_narrowed else client.info().counts
        if listed == limit:
            _tell_left_out(counts, [*chain.from_iterable(groups)], listed, timers, f"more, by --limit {limit}")
        if not state and not with_ended:
            ended = _by_id(client, prefix, _ENDED, _COUNTED + 1)
            _tell_left_out(counts, _ENDED, 0, ended, "that ended; --all lists them")


def _list_due(
    client: TimerClient, prefix: str, limit: int | None, within: Amounts | None, *, by_deadline: bool, as_json: bool
) -> None:
    before_ms = None if within is None else due_before_ms(client, within)
    if by_deadline:
        page = next_due(client, prefix, before_ms, limit)
        _show(iter(page.timers), as_json=as_json)
        if not page.complete:
            click.echo(f"Left out: those that fire after these {len(page.timers)}.", err=True)
        return
    timers = due_by_id(client, prefix, before_ms or 0)
    _show(islice(timers, limit), as_json=as_json)
    _tell_left_out(None, (), 0, timers, f"more, by --limit {limit}")


def _by_id(client: TimerClient, prefix: str, states: Sequence[State], most: int | None) -> Iterator[Timer]:
    """The timers in some states, in the order of their ids. No more than `most` are fetched at once."""
    page = PAGE_MAXIMUM if most is None else min(most, PAGE_MAXIMUM)
    return heapq.merge(*(_in_state(client, prefix, state, page) for state in states), key=lambda timer: timer.id)


def _in_state(client: TimerClient, prefix: str, state: State, page_limit: int) -> Iterator[Timer]:
    after = None
    while True:
        page = client.list(prefix, state, after, page_limit)
        yield from page.timers
        if page.next is None:
            return
        after = page.next


def _tell_left_out(
    counts: StateCounts | None, states: Sequence[State], listed: int, rest: Iterator[Timer], what: str
) -> None:
    """Says on stderr how many timers in some states are left out, if any are.

    The server's counts tell. Without them some of the rest are fetched to be counted.
    """
    if counts is None:
        count = sum(1 for _ in islice(rest, _COUNTED + 1))
        told = f"more than {_COUNTED}" if count > _COUNTED else str(count)
    else:
        count = sum(getattr(counts, state) for state in states) - listed
        told = str(count)
    if count > 0:
        click.echo(f"Left out: {told} {what}.", err=True)


def _show(timers: Iterator[Timer], *, as_json: bool) -> int:
    """Prints timers. Returns how many."""
    if on_terminal() and not as_json:
        return _show_table(timers)
    count = 0
    for timer in timers:
        count += 1
        if as_json:
            show_json(timer)
        else:
            click.echo(row(timer))
    return count


def _show_table(timers: Iterator[Timer]) -> int:
    """Prints columns as wide as a page of timers needs, since an id that is cut off cannot be copied."""
    lines: Iterable[tuple[str, ...]] = [("id", "state", "to go", "until", "label")]
    count = 0
    while page := list(islice(timers, PAGE_MAXIMUM)):
        count += len(page)
        lines = [*lines, *map(_cells, page)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            click.echo("  ".join(map(str.ljust, cells, widths)).rstrip())
        lines = []
    if not count:
        click.echo("No timers.")
    return count


def _cells(timer: Timer) -> tuple[str, ...]:
    remaining = "" if timer.ended else clock_face(timer.remaining_ms)
    due = "" if timer.ended else until(timer)
    return tuple(map(printable, (timer.id, timer.state, remaining, due, timer.label)))
