"""Settings from the environment and a `.env` file. Nothing else in the client reads either."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from timer_client.errors import ConfigError
from timer_client.settings import VARIABLES, Settings

ENV_FILE = ".env"


def load_settings(
    options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """The settings: options of a command line first, then the environment, then `.env`, then the defaults.

    `options` maps a setting's name to its text. An empty variable counts as unset. The `.env` file is that of
    `directory`, by default the working directory. Raises `ConfigError` for a value that is not allowed.
    """
    options = options or {}
    environ = os.environ if environ is None else environ
    variables = {**_read_env_file((directory or Path.cwd()) / ENV_FILE), **_filled(environ)}
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        if variable.field in options:
            values[variable.field] = variable.read(options[variable.field], _option_name(variable.field))
        elif text := variables.get(variable.name):
            values[variable.field] = variable.read(text, variable.name)
    return Settings(**values)


def _option_name(field: str) -> str:
    return "--" + field.removesuffix("_s").replace("_", "-")


def _filled(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if text and text.strip()}


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return _filled(dotenv_values(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
