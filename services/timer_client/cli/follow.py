"""Commands about the server as a whole: `events` and `info`."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import click

from timer_client.cli.connection import Misuse, connected
from timer_client.cli.cursor_file import CursorFile
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.printable import printable
from timer_client.cli.text import event_row, local_time, show_json
from timer_client.client import TimerClient
from timer_client.cursor import NOW, Cursor, cursor_after
from timer_client.errors import EventsTruncated, TimerError
from timer_protocol.messages import Event, ServerInfo

Keep = Callable[[Cursor | None], None]


@click.command
@click.argument("prefix", default="")
@click.option(
    "--after", metavar="CURSOR", help='Begin after this position: "start" is all there is, "now" is the default.'
)
@click.option(
    "--cursor-file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the position in this file; where it exists, go on from it, whatever --after says.",
)
@click.option("--count", "most", type=click.IntRange(min=1), help="Stop after so many events.")
@json_option
@connection_options
@click.pass_context
def events(
    context: click.Context, prefix: str, after: str | None, path: Path | None, most: int | None, *, as_json: bool
) -> None:
    """Follow what happens to timers.

    PREFIX selects ids that begin so; "ID " with a space at its end is one timer, "ID fired" its end. Nothing is
    missed while the connection is down. Ctrl-C ends it.
    """
    file = None if path is None else CursorFile(path)
    begins_after = _begins_after(after, file)
    keep: Keep = _keep_nowhere if file is None else file.save
    with connected(context) as client:
        for event, cursor in islice(_without_end(client, prefix, begins_after, keep), most):
            if as_json:
                show_json(event)
            else:
                click.echo(event_row(event))
            keep(cursor)  # only after it was printed, as one that was not has to come again


def _begins_after(after: str | None, file: CursorFile | None) -> Cursor | None:
    """The position to begin after; None for where the logs end. Ends the command where the text is not a position."""
    if file is not None and (kept := file.read()) is not None:
        return kept
    try:
        return cursor_after(NOW if after is None else after)
    except ValueError as error:
        raise Misuse(f"--after: {error}") from None


def _without_end(
    client: TimerClient, prefix: str, after: Cursor | None, keep: Keep
) -> Iterator[tuple[Event, Cursor | None]]:
    """Events, each with the position after it, and a word on stderr where some are gone.

    It keeps the positions without an event itself: at the beginning, and where the iteration ends in a wait.
    """
    after = Cursor(client.info().cursor) if after is None else after
    while True:
        keep(after)
        stream = client.events(prefix, after)
        try:
            for event in stream:
                yield event, stream.cursor
        except EventsTruncated as truncated:
            click.echo(f"timer: {printable(str(truncated))}; the command `list` tells how things stand", err=True)
            after = truncated.resume_after
        except (KeyboardInterrupt, TimerError):
            keep(stream.cursor)
            raise


def _keep_nowhere(_cursor: Cursor | None) -> None:
    pass


@click.command
@json_option
@connection_options
@click.pass_context
def info(context: click.Context, *, as_json: bool) -> None:
    """Show the server's version, logs, counts and limits."""
    with connected(context) as client:
        about = client.info()
    if as_json:
        show_json(about)
        return
    for name, value in _lines(about):
        click.echo(f"{printable(name):18} {printable(str(value))}")


def _lines(about: ServerInfo) -> list[tuple[str, object]]:
    counts, limits = about.counts, about.limits
    return [
        ("version", about.version),
        ("protocol", about.protocol),
        *(
            (f"log {log}", f"last event {standing.seq}, clock {local_time(standing.now_ms)}")
            for log, standing in about.logs.items()
        ),
        ("cursor", Cursor(about.cursor)),
        *(
            (f"server {server.name}", f"requests at {server.commands}, events at {server.events}")
            for server in about.servers
            if len(about.servers) > 1
        ),
        *((name, getattr(counts, name)) for name in counts.__struct_fields__),
        *((name, getattr(limits, name)) for name in limits.__struct_fields__),
    ]
