"""Reads the environment and a `.env` file, and finds names in them that are no settings. No other module reads them."""

import os
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES, SettingError, Variables
from timer_protocol.small_files import read_small_file

_PREFIX = "TIMER_"
_KNOWN = {
    *(variable.name for variable in (*SERVER_VARIABLES, *CLIENT_VARIABLES, *GATEWAY_VARIABLES)),
    "TIMER_BIN",  # the folder of the commands, where scripts try several installations
}
_NAME = re.compile(r"[\w.-]+")

OF_AN_END = ("TIMER_ID", "TIMER_LABEL", "TIMER_STATE", "TIMER_DUE_AT_MS", "TIMER_LATE_MS")
"""What a command that runs at the end of a timer is told in its environment. Such a command may be one of ours."""

OF_A_DELIVERY = ("TIMER_QUEUE", "TIMER_ATTEMPT", "TIMER_MAX_DELIVERIES")
"""What it is told beside that where a worker of a queue runs it."""


def read_environment(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Variables:
    """The variables of the environment, and those it does not set from the `.env` file in `folder`, if there is one.

    An empty value counts as unset. The folder is the working directory by default; one that cannot be reached has no
    such file. `environment` is the real one by default, which is not changed. Raises `SettingError` where the file
    cannot be read, or one of its lines.
    """
    path = (_working_directory() if folder is None else folder) / ".env"
    text = _text_of(path)
    stored, lines = _values_of(path, text) if text else ({}, {})
    given = _filled(os.environ if environment is None else environment)
    places = {name: f"{path}, line {line}" for name, line in lines.items()}
    return Variables({**_filled(stored), **given}, {**places, **dict.fromkeys(given, "the environment")})


def process_environment() -> dict[str, str]:
    """A copy of this process's environment: what a program that it starts is given, and what its terminal is."""
    return dict(os.environ)


def told_unknown(variables: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that has the name of a setting, `TIMER_…`, but is none. It offers the nearest one.

    The name of a setting in small letters is told as well: names are told apart by their letters' case.

    Those of the other programs are known too, since all read one `.env` file.
    """
    return [_sentence(name) for name in _unknown(variables)]


def _unknown(variables: Mapping[str, str]) -> Iterator[str]:
    # Kubernetes tells every container where its services are: one called `timer-server` sets TIMER_SERVER_SERVICE_HOST,
    # TIMER_SERVER_PORT_8888_TCP and so on.
    services = [name.removesuffix("SERVICE_HOST") for name in variables if name.endswith("_SERVICE_HOST")]
    of_services = tuple(service + rest for service in services for rest in ("SERVICE_", "PORT"))
    for name in variables:
        if name in _KNOWN or name in (*OF_AN_END, *OF_A_DELIVERY) or name.startswith(of_services):
            continue
        if name.startswith(_PREFIX) or name.upper() in _KNOWN:
            yield name


def _sentence(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

    near = get_close_matches(name.upper().removeprefix(_PREFIX), [known.removeprefix(_PREFIX) for known in _KNOWN], 1)
    hint = f"did you mean {_PREFIX}{near[0]}?" if near else "--help lists the settings"
    return f"{name} is no setting and has no effect; {hint}"


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed, or is out of reach
        return Path()


def _text_of(path: Path) -> str:
    try:
        path.lstat()
    except OSError:  # there is none, or the folder cannot be reached
        return ""
    try:
        stored = b"" if path.is_dir() else read_small_file(path)  # a folder of that name is an environment of Python's
        return stored.decode("utf-8-sig")
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = stored.count(b"\n", 0, error.start) + 1
        raise SettingError(f"{path}, line {line}, cannot be read: it is not text in UTF-8") from None


def _values_of(path: Path, text: str) -> tuple[dict[str, str | None], dict[str, int]]:
    """The values in the text of a file, and the line of each. Raises `SettingError`."""
    from dotenv import dotenv_values  # noqa: PLC0415 - where there is no file, programs do without and are quicker
    from dotenv.parser import parse_stream  # noqa: PLC0415

    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(text, newline=None)):
        blank = binding.original.string.removesuffix(binding.original.string.lstrip())
        line = binding.original.line + blank.count("\n")
        is_name = binding.key is None or binding.value is not None or _NAME.fullmatch(binding.key)
        if binding.error or not is_name:
            raise SettingError(f"{path}, line {line}, cannot be read: write NAME=value, or # before a remark")
        if binding.key is not None:
            lines[binding.key] = line  # the last one of a name holds
    return dotenv_values(stream=StringIO(text, newline=None)), lines


def _filled(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in variables.items() if text and text.strip()}
