"""Queues and dead letters as text, and what has become of receipts."""

from collections.abc import Iterable, Sequence

import click

from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.printable import printable
from timer_client.cli.refusals import tell_faults
from timer_client.cli.text import moment, on_terminal, show_json
from timer_protocol.plurals import counted
from timer_protocol.queue_messages import DeadLetter, Queue, Settled


def show_settled(context: click.Context, settled: Settled, what: str, done: str, why: str, *, as_json: bool) -> None:
    """Prints how many were done, and tells those that could not be, with which the command fails."""
    if as_json:
        show_json(settled)
    else:
        tell_faults([f"{receipt} {why}" for receipt in settled.lost])
        click.echo(f"{counted(len(settled.done), what)} {done}")
    if settled.lost:
        context.exit(ExitCode.REFUSED)


def show_queue(queue: Queue, *, as_json: bool) -> None:
    """Prints a queue: JSON, or a line for each of its members."""
    if as_json:
        show_json(queue)
        return
    for name in queue.__struct_fields__:
        click.echo(f"{name:16} {printable(_value(getattr(queue, name)))}")


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def queue_cells(queue: Queue) -> tuple[str, ...]:
    """A queue as a row."""
    counts = (queue.ready, queue.leased, queue.delayed, queue.dead, queue.dropped)
    return (queue.queue, queue.prefix, *map(str, counts))


def letter_cells(letter: DeadLetter) -> tuple[str, ...]:
    """A dead letter as a row."""
    died = moment(letter.died_at_ms)
    return (letter.receipt, letter.event.timer.id, died, str(letter.attempts), letter.reason or "")


def show_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints columns: as wide as they need on a terminal, with tabs between them elsewhere."""
    lines = [tuple(map(printable, row)) for row in rows]
    if not on_terminal():
        for line in lines:
            click.echo("\t".join(line))
        return
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (tuple(header), *lines):
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())
