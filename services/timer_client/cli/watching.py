"""What the commands share that show countdowns: the display, the end by a signal, and how to come back."""

import asyncio
import shlex
import signal
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console

from timer_client.cli.bar_display import BarDisplay
from timer_client.cli.displays import Display, JsonDisplay, LineDisplay
from timer_client.cli.interrupts import Terminated
from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.cli.text import on_terminal
from timer_client.settings import Settings

T = TypeVar("T")

_WHERE = ("server", "events")


def chosen_display(settings: Settings, *, as_json: bool) -> Display:
    """The display that suits the output."""
    if as_json:
        return JsonDisplay(settings)
    console = Console(highlight=False)
    can_draw = on_terminal() and console.width and not console.is_dumb_terminal
    return BarDisplay(console) if can_draw else LineDisplay(settings)


def command_line(context: click.Context, settings: Settings, verb: str, *ids: str, command: Sequence[str] = ()) -> str:
    """The command line for doing something on the same server, with a command after `--` if there is one."""
    options = [f"--{name} {shlex.quote(text)}" for name, text in given_settings(context).items() if name in _WHERE]
    dashes = ["--"] if any(each.startswith("-") for each in ids) else []
    then = ["--", shlex.join(command)] if command else []
    return printable(" ".join([settings.command, *options, verb, *dashes, *ids, *then]))


async def until_sigterm(watching: Coroutine[Any, Any, T]) -> T:
    """Watches until SIGTERM, which ends the task: an exception from a signal may be lost in a callback.

    Raises `Terminated`, as elsewhere.
    """
    task = asyncio.ensure_future(watching)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel, "SIGTERM")
    try:
        return await task
    except asyncio.CancelledError as ended:
        if ended.args == ("SIGTERM",):
            raise Terminated from None
        raise
