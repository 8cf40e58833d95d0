"""Commands about the server as a whole: its events, and itself."""

from collections.abc import Iterator
from itertools import islice

import click

from timer_client.cli.connection import connected
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.text import event_row, local_time, show_json
from timer_client.client import TimerClient
from timer_client.errors import EventsTruncated
from timer_protocol.messages import Event, ServerInfo


@click.command
@click.argument("prefix", default="")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Begin after this event; 0 is all there are.")
@click.option("--count", "most", type=click.IntRange(min=1), help="Stop after so many events.")
@json_option
@connection_options
@click.pass_context
def events(context: click.Context, prefix: str, after: int | None, most: int | None, *, as_json: bool) -> None:
    """Follow what happens to timers.

    PREFIX selects ids that begin so; "ID " with a space at its end is one timer, "ID fired" its end. Nothing is
    missed while the connection is down. Ctrl-C ends it.
    """
    with connected(context) as client:
        for event in islice(_without_end(client, prefix, after), most):
            if as_json:
                show_json(event)
            else:
                click.echo(event_row(event))


def _without_end(client: TimerClient, prefix: str, after: int | None) -> Iterator[Event]:
    """Events, and a word on stderr where some are gone."""
    while True:
        try:
            yield from client.events(prefix, after)
        except EventsTruncated as truncated:
            click.echo(f"timer: {truncated}; the command `list` tells how things stand", err=True)
            after = truncated.resume_after


@click.command
@json_option
@connection_options
@click.pass_context
def info(context: click.Context, *, as_json: bool) -> None:
    """Show the server's version, counts and limits."""
    with connected(context) as client:
        about = client.info()
    if as_json:
        show_json(about)
        return
    for name, value in _lines(about):
        click.echo(f"{name:18} {value}")


def _lines(about: ServerInfo) -> list[tuple[str, object]]:
    counts, limits = about.counts, about.limits
    return [
        ("version", about.version),
        ("protocol", about.protocol),
        ("clock", local_time(about.now_ms)),
        ("last event", about.seq),
        *((name, getattr(counts, name)) for name in counts.__struct_fields__),
        *((name, getattr(limits, name)) for name in limits.__struct_fields__),
    ]
