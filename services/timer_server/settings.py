"""Settings: environment variables and a `.env` file, checked before anything starts."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dotenv import dotenv_values
from msgspec import Struct

from timer_protocol.limits import Limits
from timer_server.access.keys import CLIENTS_FOLDER, CurveFiles


class ConfigError(Exception):
    """A variable has a value that is not allowed. The text names both, and what is allowed."""


class Config(Struct, frozen=True, kw_only=True):
    """All settings of the server.

    `store_path` is None for the store in memory, `metrics_bind` for no metrics, `curve` for no encryption.
    """

    bind: str
    events_bind: str
    store_path: Path | None
    metrics_bind: tuple[str, int] | None
    log_level: str
    log_format: str
    limits: Limits
    curve: CurveFiles | None = None


class Variable(NamedTuple):
    """One line of the table of settings. `parse` returns the value or raises ValueError."""

    name: str
    default: str
    parse: Callable[[str], Any]
    allowed: str


def _endpoint(text: str) -> str:
    tcp = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(\*|[0-9]{1,5})", text)
    if tcp and (tcp[2] == "*" or int(tcp[2]) <= 65_535):
        return text
    if re.fullmatch(r"ipc://\S+|inproc://\S+", text):
        return text
    raise ValueError(text)


def _store(text: str) -> Path | None:
    if text == "memory:":
        return None
    path = text.removeprefix("sqlite:///")
    if path in (text, "", ":memory:"):
        raise ValueError(text)
    return Path(path)


def _host_and_port(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if not match or int(match[2]) > 65_535:
        raise ValueError(text)
    return match[1].strip("[]"), int(match[2])


def _path(text: str) -> Path | None:
    if "\0" in text:
        raise ValueError(text)
    return Path(text) if text else None


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return parse


_ENDPOINTS = "tcp://HOST:PORT with a port up to 65535 (0 or * picks a free one), ipc://PATH or inproc://NAME"
_LEVELS = ("debug", "info", "warning", "error")
_LIMITS = Limits()


def _limit(name: str, most: int, unit: str) -> tuple[Variable, str]:
    field = name.lower()
    default = str(getattr(_LIMITS, field))
    return Variable(f"TIMER_{name}", default, _whole(1, most), f"a whole number of {unit} from 1 to {most}"), field


_LIMIT_VARIABLES = (
    _limit("MAX_TIMERS", 100_000_000, "timers"),
    _limit("MAX_PAYLOAD_BYTES", 16_777_216, "bytes"),
    _limit("MAX_BATCH", 100_000, "requests"),
    _limit("MAX_MESSAGE_BYTES", 268_435_456, "bytes"),
    _limit("MAX_DURATION_S", 3_153_600_000, "seconds"),
    _limit("RETENTION_S", 3_153_600_000, "seconds"),
)
_BIND = Variable("TIMER_BIND", "tcp://127.0.0.1:8888", _endpoint, _ENDPOINTS)
_EVENTS_BIND = Variable("TIMER_EVENTS_BIND", "tcp://127.0.0.1:8889", _endpoint, _ENDPOINTS)
_STORE = Variable("TIMER_STORE", "sqlite:///timers.db", _store, "sqlite:///PATH (four slashes for /PATH) or memory:")
_METRICS = Variable("TIMER_METRICS_BIND", "", _host_and_port, "HOST:PORT with a port up to 65535, or nothing for none")
_CURVE_SECRET = Variable(
    "TIMER_CURVE_SERVER_SECRET", "", _path, "the server's file from `timer-server keygen`, or nothing for no encryption"
)
_CURVE_CLIENTS = Variable(
    "TIMER_CURVE_CLIENTS",
    "",
    _path,
    f"the folder with allowed clients' keys; unset, `{CLIENTS_FOLDER}` beside that file",
)
_LOG_LEVEL = Variable("TIMER_LOG_LEVEL", "info", _one_of(*_LEVELS), f"one of {', '.join(_LEVELS)}")
_LOG_FORMAT = Variable("TIMER_LOG_FORMAT", "", _one_of("", "text", "json"), "text or json")

VARIABLES = (
    _BIND,
    _EVENTS_BIND,
    _STORE,
    _METRICS,
    _CURVE_SECRET,
    _CURVE_CLIENTS,
    _LOG_LEVEL,
    _LOG_FORMAT,
    *(variable for variable, _ in _LIMIT_VARIABLES),
)
"""Every setting there is."""


def load_environment(folder: Path) -> dict[str, str]:
    """The environment's variables, and those of a `.env` file in `folder` which it does not set.

    Raises `ConfigError` where the file cannot be read.
    """
    try:
        stored = {name: value for name, value in dotenv_values(folder / ".env").items() if value}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {folder / '.env'}: {error}") from None
    return {**stored, **{name: value for name, value in os.environ.items() if value}}


def read_config(environment: Mapping[str, str]) -> Config:
    """The settings from variables; an empty value counts as unset. Raises `ConfigError`."""

    def read(variable: Variable) -> Any:
        text = environment.get(variable.name, "").strip() or variable.default
        try:
            return variable.parse(text)
        except ValueError:
            raise ConfigError(f"{variable.name} is {text!r}, but must be {variable.allowed}") from None

    return Config(
        bind=read(_BIND),
        events_bind=read(_EVENTS_BIND),
        store_path=read(_STORE),
        metrics_bind=read(_METRICS),
        log_level=read(_LOG_LEVEL),
        log_format=read(_LOG_FORMAT) or ("text" if sys.stderr.isatty() else "json"),
        limits=Limits(**{field: read(variable) for variable, field in _LIMIT_VARIABLES}),
        curve=_curve_files(read(_CURVE_SECRET), read(_CURVE_CLIENTS)),
    )


def _curve_files(secret: Path | None, clients: Path | None) -> CurveFiles | None:
    if secret is None:
        if clients is not None:
            raise ConfigError(f"{_CURVE_CLIENTS.name} is {str(clients)!r}, but {_CURVE_SECRET.name} is unset: set both")
        return None
    return CurveFiles(secret, clients or secret.parent / CLIENTS_FOLDER)
