"""Options that several commands have. Light: nothing here opens a socket or reads the environment."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from timer_client.settings import VARIABLES

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {
    "server": ("--server", "ENDPOINT"),
    "events": ("--events", "ENDPOINT"),
    "timeout_s": ("--timeout", "SECONDS"),
    "retry_deadline_s": ("--retry-deadline", "SECONDS"),
}
"""The settings that have an option."""

ENVIRONMENT_ONLY = tuple(variable for variable in VARIABLES if variable.field not in _OPTIONS)
"""The others."""


class SettingOption(click.Option):
    """An option whose variable is shown here, but read by `config`, which knows `.env` as well."""

    def resolve_envvar_value(self, _ctx: click.Context) -> str | None:
        """Nothing: see above."""
        return None


def connection_options(command: F) -> F:
    """The options that say where the server is; before a command or after it, where they win."""
    for variable in reversed(VARIABLES):
        if variable in ENVIRONMENT_ONLY:
            continue
        name, metavar = _OPTIONS[variable.field]
        command = click.option(
            name,
            variable.field,
            cls=SettingOption,
            metavar=metavar,
            help=f"{variable.meaning} (default {variable.default}).",
            envvar=variable.name,
            show_envvar=True,
            expose_value=False,
            callback=_keep,
        )(command)
    return command


def json_option(command: F) -> F:
    """`--json`, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")(command)


def given_settings(context: click.Context) -> dict[str, str]:
    """The texts of the connection options that were given, by the setting's name."""
    return context.ensure_object(dict)


def _keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and parameter.name is not None:
        given_settings(context)[parameter.name] = value
