"""The commands `timer take`, `ack` and `nack`: a worker of a queue as a script."""

from collections.abc import Sequence

import click

from timer_client.cli.connection import connected
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.printable import printable
from timer_client.cli.queue_arguments import queue_argument, read_ms, receipts_argument
from timer_client.cli.queue_text import show_settled
from timer_client.cli.text import show_json
from timer_client.queue_calls import Then
from timer_protocol.limits import WAIT_MAXIMUM_MS
from timer_protocol.queue_messages import TAKE_MAXIMUM, Settled

_LOST = "is lost: its lease is over, and another worker may have the end"


@click.command
@queue_argument
@click.option(
    "--max", "most", type=click.IntRange(1, TAKE_MAXIMUM), default=1, metavar="N", help="How many at most (default 1)."
)
@click.option(
    "--wait", "wait_ms", callback=read_ms, metavar="DURATION", help="How long to wait for one (default not at all)."
)
@click.option("--key", metavar="TEXT", help="The same key again gives the same ends, and no others.")
@json_option
@connection_options
@click.pass_context
def take(context: click.Context, queue: str, most: int, wait_ms: int | None, key: str | None, *, as_json: bool) -> None:
    """Take ends from a queue.

    A line is printed for each: its receipt, attempt, id and label; with --json all of it, the payload in event.timer.
    Each is leased for a while. Within that time handle it, and pass its receipt to ack or nack; else another worker
    gets it. Where there is none, nothing is printed.
    """
    if wait_ms is not None and not 0 <= wait_ms <= WAIT_MAXIMUM_MS:
        raise click.UsageError(f"--wait may be at most {WAIT_MAXIMUM_MS // 1000} s")
    with connected(context) as client:
        taken = client.take(queue, most, wait_ms or 0, key=key)
    for delivery in taken:
        timer = delivery.event.timer
        if as_json:
            show_json(delivery)
        else:
            label = [timer.label] if timer.label else []
            click.echo("\t".join(map(printable, (delivery.receipt, str(delivery.attempt), timer.id, *label))))


@click.command
@queue_argument
@receipts_argument(required=True)
@json_option
@connection_options
@click.pass_context
def ack(context: click.Context, queue: str, receipts: Sequence[str], *, as_json: bool) -> None:
    """Be done with ends that were taken.

    They never come again. Exit code 1 when the lease of one was lost.
    """
    with connected(context) as client:
        settled = client.ack(queue, receipts)
    _show(context, settled, "acknowledged", as_json=as_json)


@click.command
@queue_argument
@receipts_argument(required=True)
@click.option("--return", "at_once", is_flag=True, help="Give them back at once, as if they had not been taken.")
@click.option("--dead", "for_good", is_flag=True, help="Give them up: they become dead letters.")
@click.option(
    "--delay",
    "delay_ms",
    callback=read_ms,
    metavar="DURATION",
    help="How long they wait; by default as the queue says.",
)
@click.option("--reason", metavar="TEXT", help="Why; kept with the end for who reads the dead letters.")
@json_option
@connection_options
@click.pass_context
def nack(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    queue: str,
    receipts: Sequence[str],
    delay_ms: int | None,
    reason: str | None,
    *,
    at_once: bool,
    for_good: bool,
    as_json: bool,
) -> None:
    """Give ends that were taken back, or up.

    Given back they are tried again after a while. Exit code 1 when the lease of one was lost.
    """
    if at_once and for_good:
        raise click.UsageError("--return gives the ends back and --dead gives them up: leave one of the two out")
    then: Then = "return" if at_once else "dead" if for_good else "retry"
    with connected(context) as client:
        settled = client.nack(queue, receipts, then, delay_ms=delay_ms, reason=reason)
    _show(context, settled, "given up" if then == "dead" else "given back", as_json=as_json)


def _show(context: click.Context, settled: Settled, done: str, *, as_json: bool) -> None:
    show_settled(context, settled, "end", done, _LOST, as_json=as_json)
