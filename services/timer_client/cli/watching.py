"""What the commands share that show countdowns: the display, and how to come back."""

import shlex
from collections.abc import Sequence

import click

from timer_client.cli.displays import Display, JsonDisplay, LineDisplay
from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.cli.text import on_terminal
from timer_client.settings import Settings

_WHERE = ("server", "events")


def chosen_display(settings: Settings, *, as_json: bool) -> Display:
    """The display that suits the output."""
    if as_json:
        return JsonDisplay(settings)
    if not on_terminal():
        return LineDisplay(settings)
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    from timer_client.cli.bar_display import BarDisplay  # noqa: PLC0415 - nor this

    console = Console(highlight=False)
    return BarDisplay(console) if console.width and not console.is_dumb_terminal else LineDisplay(settings)


def command_line(context: click.Context, settings: Settings, verb: str, *ids: str, command: Sequence[str] = ()) -> str:
    """The command line for doing something on the same server, with a command after `--` if there is one."""
    options = [f"--{name} {shlex.quote(text)}" for name, text in given_settings(context).items() if name in _WHERE]
    dashes = ["--"] if any(each.startswith("-") for each in ids) else []
    then = ["--", shlex.join(command)] if command else []
    return printable(" ".join([settings.command, *options, verb, *dashes, *ids, *then]))
