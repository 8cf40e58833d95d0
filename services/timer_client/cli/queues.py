"""The command `timer queue`: what there is of queues, and their dead letters."""

from collections.abc import Sequence
from typing import Any

import click

from timer_client.cli.connection import Failure, connected
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.printable import printable
from timer_client.cli.queue_arguments import delivery_options, given, queue_argument, read_ms, receipts_argument
from timer_client.cli.queue_text import letter_cells, queue_cells, show_queue, show_rows, show_settled
from timer_client.cli.text import on_terminal, show_json
from timer_client.client import TimerClient
from timer_client.errors import QueueNotFound
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.plurals import counted
from timer_protocol.queue_messages import BACKLOG_MAXIMUM, BYTES_MAXIMUM, DEAD_MAXIMUM, DeadLetter


@click.group
@connection_options
def queue() -> None:
    """Make, list, change and delete queues, and see to their dead letters.

    A queue hands the ends of timers below a prefix to workers, each end to one of them: see the command work.
    """


@queue.command
@queue_argument
@click.option(
    "--prefix", metavar="TEXT", help='The ends of timers whose id begins so; "" is all. A new queue needs it.'
)
@click.option(
    "--state",
    "states",
    type=click.Choice(["fired", "cancelled"]),
    multiple=True,
    help="Which ends; may be repeated (default fired).",
)
@click.option(
    "--from",
    "begin",
    type=click.Choice(["now", "start"]),
    default="now",
    help="Whether a new queue begins with the ends from now on, or with those that the log still has.",
)
@delivery_options
@click.option(
    "--max-backlog",
    type=click.IntRange(1, BACKLOG_MAXIMUM),
    metavar="N",
    help="How many ends may wait; beyond that the oldest are dead letters (default 100000).",
)
@click.option(
    "--max-dead",
    type=click.IntRange(0, DEAD_MAXIMUM),
    metavar="N",
    help="How many dead letters are kept (default 10000).",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1, BYTES_MAXIMUM),
    metavar="N",
    help="How many bytes of payloads may wait (default 1 GiB).",
)
@click.option(
    "--keep", "keep_ms", callback=read_ms, metavar="DURATION", help="How long ends and letters are kept (default 7d)."
)
@json_option
@connection_options
@click.pass_context
def put(
    context: click.Context, /, queue: str, prefix: str | None, states: Sequence[Any], *, as_json: bool, **bounds: Any
) -> None:
    """Make a queue, or change one.

    What is left out stays as it is.
    """
    with connected(context) as client:
        own = _prefix_of(client, queue) if prefix is None else prefix
        made = client.put_queue(queue, own, states=states or None, **given(**bounds))
    show_queue(made, as_json=as_json)


@queue.command
@click.option("--prefix", default="", metavar="TEXT", help="Only queues whose own prefix begins so.")
@json_option
@connection_options
@click.pass_context
def ls(context: click.Context, prefix: str, *, as_json: bool) -> None:
    """List queues in the order of their names."""
    with connected(context) as client:
        queues = client.queues(prefix)
    if as_json:
        for each in queues:
            show_json(each)
    elif on_terminal() and not queues:
        click.echo("No queues.")
    else:
        show_rows(("queue", "prefix", "ready", "leased", "delayed", "dead", "dropped"), map(queue_cells, queues))


@queue.command
@queue_argument
@json_option
@connection_options
@click.pass_context
def show(context: click.Context, queue: str, *, as_json: bool) -> None:
    """Show a queue, and how much it holds."""
    with connected(context) as client:
        found = client.get_queue(queue)
    show_queue(found, as_json=as_json)


@queue.command
@queue_argument
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="How many to list at most; all by default.")
@json_option
@connection_options
@click.pass_context
def dead(context: click.Context, queue: str, limit: int | None, *, as_json: bool) -> None:
    """List dead letters in the order in which they died.

    A dead letter is an end that was tried as often as the queue says, that a worker has given up, or that the queue had
    no room for.
    """
    letters: list[DeadLetter] = []
    after = None
    with connected(context) as client:
        while limit is None or len(letters) < limit:
            page = client.dead(queue, after, PAGE_MAXIMUM if limit is None else min(limit - len(letters), PAGE_MAXIMUM))
            letters += page.dead
            after = page.next
            if after is None:
                break
    if as_json:
        for letter in letters:
            show_json(letter)
    elif on_terminal() and not letters:
        click.echo("No dead letters.")
    else:
        show_rows(("receipt", "id", "died", "attempts", "reason"), map(letter_cells, letters))


def _prefix_of(client: TimerClient, name: str) -> str:
    """The prefix of a queue that is there."""
    try:
        return client.get_queue(name).prefix
    except QueueNotFound:
        raise Failure(f'queue {name} is not there; to make it give --prefix, which is "" for all ends') from None


def _move(name: str, done: str, text: str) -> None:
    """Adds a command about dead letters to the group; `done` is what they are then."""

    @queue.command(name, help=text)
    @queue_argument
    @receipts_argument(required=False)
    @click.option("--all", "are_all", is_flag=True, help="All dead letters, in place of receipts.")
    @json_option
    @connection_options
    @click.pass_context
    def command(context: click.Context, queue: str, receipts: Sequence[str], *, are_all: bool, as_json: bool) -> None:
        if bool(receipts) == are_all:
            raise click.UsageError(
                "name dead letters by their receipts, as the command queue dead lists them, or give --all"
            )
        with connected(context) as client:
            settled = getattr(client, name)(queue, None if are_all else receipts)
        show_settled(context, settled, "dead letter", done, "is no dead letter of this queue", as_json=as_json)


_move("revive", "revived", "Let dead letters be tried again, as if they had never been delivered.")
_move("drop", "dropped", "Forget dead letters.")


@queue.command
@queue_argument
@click.option("--force", is_flag=True, help="Also one that holds ends, which are lost with it.")
@json_option
@connection_options
@click.pass_context
def rm(context: click.Context, queue: str, *, force: bool, as_json: bool) -> None:
    """Delete a queue."""
    with connected(context) as client:
        if not force:
            found = client.get_queue(queue)
            held = found.ready + found.leased + found.delayed + found.dead
            if held:
                raise Failure(
                    f"queue {queue} holds {counted(held, 'end')}, of which {found.dead} dead; --force deletes them too"
                )
        deleted = client.delete_queue(queue)
    if as_json:
        show_json(deleted)
    else:
        click.echo(printable(f"Queue {queue} was deleted." if deleted.deleted else f"There was no queue {queue}."))
