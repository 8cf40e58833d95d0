"""Options of several commands. Quick to import: nothing here opens a socket or reads the environment."""

import os
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import click

from timer_client.settings import option_of
from timer_protocol.settings import CLIENT_VARIABLES

F = TypeVar("F", bound=Callable[..., Any])

_METAVARS = {"server": "ENDPOINT", "events": "ENDPOINT", "timeout_s": "SECONDS", "retry_deadline_s": "SECONDS"}
"""The settings that have an option, with what it takes."""

_NO_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes that are no text in the locale's encoding."""

FILE_OPTIONS = frozenset({"--cursor-file", "--file", "--folder"})
"""The options that take the name of a file, which may be any bytes."""

_WITH_COMMAND = frozenset({"start", "every", "cron", "run", "plan", "work"})
"""The commands that may run another one, which stands after `--`."""

ENVIRONMENT_ONLY = tuple(variable for variable in CLIENT_VARIABLES if variable.field not in _METAVARS)
"""The settings without an option."""


def texts(arguments: Sequence[str]) -> list[str]:
    """The arguments as text in the locale's encoding, else in UTF-8. Names of files stay the bytes that they are.

    So does what stands after the `--` of those that run another command. Raises `click.UsageError` for any other that
    is no text in either.
    """
    dashes = arguments.index("--") if "--" in arguments else len(arguments)
    end = len(arguments) if _WITH_COMMAND.isdisjoint(arguments[:dashes]) else dashes
    own = [
        argument if {before, argument.partition("=")[0]} & FILE_OPTIONS else _text(argument)
        for before, argument in pairwise(["", *arguments[:end]])
    ]
    return [*own, *arguments[end:]]


class SettingOption(click.Option):
    """An option that shows its variable but does not read it: `settings` does, from `.env` too."""

    def resolve_envvar_value(self, _ctx: click.Context) -> str | None:
        """Always None, so that click reads no variable."""
        return None


def connection_options(command: F) -> F:
    """Adds the options that say where the server is. They may stand before a command too; those after it win."""
    for variable in reversed(CLIENT_VARIABLES):
        if variable in ENVIRONMENT_ONLY:
            continue
        command = click.option(
            option_of(variable),
            variable.field,
            cls=SettingOption,
            metavar=_METAVARS[variable.field],
            help=f"{variable.meaning} (default {variable.default}).",
            envvar=variable.name,
            show_envvar=True,
            expose_value=False,
            callback=_keep,
        )(command)
    return command


def json_option(command: F) -> F:
    """Adds `--json`, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")(command)


def given_settings(context: click.Context) -> dict[str, str]:
    """The texts of the given connection options, by the setting's name."""
    return context.ensure_object(dict)


def _keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and parameter.name is not None:
        given_settings(context)[parameter.name] = value


def _text(argument: str) -> str:
    if not _NO_TEXT.search(argument):
        return argument
    try:
        return os.fsencode(argument).decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"'{argument}' is no text in UTF-8") from None
