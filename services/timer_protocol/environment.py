"""Reads the environment and a `.env` file. No other module does."""

import os
from collections.abc import Mapping
from pathlib import Path

from timer_protocol.settings import SettingError


def read_environment(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the environment, and those it does not set from the `.env` file in `folder`, if there is one.

    An empty value counts as unset. `environment` is the real one by default, which is not changed. Raises
    `SettingError` where the file cannot be read.
    """
    from dotenv import dotenv_values  # noqa: PLC0415 - help texts do without it, and are quicker

    path = folder / ".env"
    try:
        stored = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}") from None
    return {**_filled(stored), **_filled(os.environ if environment is None else environment)}


def _filled(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if text and text.strip()}
