"""The arguments and options of the commands about queues. Durations come as milliseconds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from timer_client.cli.duration_argument import read_duration
from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.client import TimerClient
from timer_client.errors import TimerError
from timer_client.settings import load_settings
from timer_protocol.durations import total_ms

F = TypeVar("F", bound=Callable[..., Any])

FOREVER = "forever"
_PATIENCE_S = 0.5


def read_ms(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """The callback of an option that is a duration."""
    return None if text is None else _ms(text)


def _read_several_ms(_context: click.Context, _parameter: click.Parameter, text: str | None) -> list[int] | None:
    return None if text is None else [_ms(part.strip()) for part in text.split(",")]


def _read_retries(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """How often an end is delivered at the most, as the server counts: the first time too, and 0 for no end of them."""
    if text is None:
        return None
    if text == FOREVER:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"--retries is {text!r}, but must be a whole number or {FOREVER}")
    return int(text) + 1


def _complete_queue(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The queues whose names begin as typed; none where the server does not answer at once."""
    try:
        settings = load_settings(given_settings(context), warn=lambda _sentence: None)
        with TimerClient(settings=replace(settings, timeout_s=_PATIENCE_S, retry_deadline_s=0)) as client:
            queues = client.queues()
    except TimerError:
        return []
    return [
        CompletionItem(printable(each.queue), help=printable(each.prefix))
        for each in queues
        if each.queue.startswith(incomplete)
    ]


queue_argument = click.argument("queue", metavar="QUEUE", shell_complete=_complete_queue)


def receipts_argument(*, required: bool) -> Callable[[F], F]:
    """Adds the argument `receipts`."""
    return click.argument("receipts", metavar="RECEIPT..." if required else "[RECEIPT...]", nargs=-1, required=required)


def delivery_options(command: F) -> F:
    """Adds the options that say how a queue delivers: `lease_ms`, `max_deliveries` and `backoff_ms`."""
    for option in (
        click.option(
            "--backoff",
            "backoff_ms",
            callback=_read_several_ms,
            metavar="DURATIONS",
            help="How long an end waits before each next try; the last one repeats (default 1s,10s,1m).",
        ),
        click.option(
            "--retries",
            "max_deliveries",
            callback=_read_retries,
            metavar="N",
            help=f"How often an end is tried again before it is a dead letter, or {FOREVER} (default 4).",
        ),
        click.option(
            "--lease",
            "lease_ms",
            callback=read_ms,
            metavar="DURATION",
            help="How long an end is leased to a worker, unless that renews it (default 30s).",
        ),
    ):
        command = option(command)
    return command


def given(**values: object) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _ms(text: str) -> int:
    amounts = read_duration([text])
    return total_ms(*amounts)
