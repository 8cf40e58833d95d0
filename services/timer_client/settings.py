"""The client's settings: typed, and read from options, the environment and a `.env` file."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from timer_client.errors import ConfigError
from timer_protocol.environment import read_environment, told_unknown
from timer_protocol.settings import CLIENT_VARIABLES, SettingError, Variable, endpoints

_log = logging.getLogger("timer_client")
_DEFAULTS: dict[str, Any] = {variable.field: variable.read({}) for variable in CLIENT_VARIABLES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where the server is and how patient the client is. Raises `ConfigError` for a value that is not allowed."""

    server: str = _DEFAULTS["server"]
    """Endpoint of the commands socket; or several, separated by commas, of servers of one store."""
    events: str = _DEFAULTS["events"]
    """Endpoint of the events socket; or several."""
    timeout_s: float = _DEFAULTS["timeout_s"]
    """How long one attempt waits for its reply."""
    retry_deadline_s: float = _DEFAULTS["retry_deadline_s"]
    """How long a call is tried in all before `ServerUnreachable`; 0 tries once."""
    retry_min_s: float = _DEFAULTS["retry_min_s"]
    """The shortest pause between two attempts."""
    retry_max_s: float = _DEFAULTS["retry_max_s"]
    """The longest pause between two attempts."""
    command: str = _DEFAULTS["command"]
    """The name of the command in its hints."""
    id_prefix: str = _DEFAULTS["id_prefix"]
    """The beginning of the ids that the client makes."""
    curve_client_secret: str = _DEFAULTS["curve_client_secret"]
    """The file with the client's key pair; empty for no encryption."""
    curve_server_public: str = _DEFAULTS["curve_server_public"]
    """The file with the server's public key; empty for `server.key` beside the client's."""

    def __post_init__(self) -> None:
        for variable in CLIENT_VARIABLES:
            _check(variable, getattr(self, variable.field))
        if self.retry_min_s > self.retry_max_s:
            raise ConfigError(
                f"TIMER_RETRY_MIN_S is {self.retry_min_s:g}, but must be at most TIMER_RETRY_MAX_S, "
                f"which is {self.retry_max_s:g}"
            )

    @property
    def server_endpoints(self) -> tuple[str, ...]:
        """The endpoints in `server`."""
        return endpoints(self.server)

    @property
    def events_endpoints(self) -> tuple[str, ...]:
        """The endpoints in `events`."""
        return endpoints(self.events)


@cache
def _log_once(sentence: str) -> None:
    _log.warning(sentence)


def load_settings(
    options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    *,
    warn: Callable[[str], object] = _log_once,
) -> Settings:
    """The settings: from options of a command line, else the environment, else `.env`, else the defaults.

    `options` maps a setting's name to its text. An empty variable counts as unset. The `.env` file is that of
    `directory`, by default the working directory; one that is gone has none. `warn` is called with a sentence for each
    variable `TIMER_…` that is no setting; by default it is logged, once in a process. Raises `ConfigError` for a value
    that is not allowed.
    """
    given = options or {}
    try:
        texts = read_environment(directory, environ)
        values = {
            variable.field: variable.parse(given[variable.field], option_of(variable))
            if variable.field in given
            else variable.read(texts)
            for variable in CLIENT_VARIABLES
        }
    except SettingError as error:
        raise ConfigError(str(error)) from None
    for sentence in told_unknown(texts):
        warn(sentence)
    return Settings(**values)


def option_of(variable: Variable) -> str:
    """The name of the command-line option for a setting."""
    return "--" + variable.field.removesuffix("_s").replace("_", "-")


def _check(variable: Variable, value: Any) -> None:
    """Raises `ConfigError` unless parsing the value's text gives the value."""
    try:
        is_allowed = variable.kind.parse(str(value)) == value
    except ValueError:
        is_allowed = False
    if not is_allowed:
        raise ConfigError(f"{variable.field} is {value!r}, but must be {variable.kind.allowed}")
