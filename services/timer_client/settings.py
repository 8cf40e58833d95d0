"""The client's settings: one table of environment variables, and what each of them allows."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timer_client.errors import ConfigError
from timer_protocol.key_files import PREFIX_CHARACTERS, check_prefix

MAX_SECONDS = 86_400
"""A day: longer is more likely a wrong unit than a wish."""

_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_NAMED = re.compile(r"(ipc|inproc)://\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where the server is and how patient the client is. Raises `ConfigError` for what is not allowed."""

    server: str = "tcp://127.0.0.1:8888"
    """Endpoint of the commands socket."""
    events: str = "tcp://127.0.0.1:8889"
    """Endpoint of the events socket."""
    timeout_s: float = 5.0
    """How long one attempt waits for its reply."""
    retry_deadline_s: float = 60.0
    """How long a call is tried in all before `ServerUnreachable`; 0 tries once."""
    retry_min_s: float = 0.1
    """The shortest pause between two attempts."""
    retry_max_s: float = 5.0
    """The longest pause between two attempts."""
    command: str = "timer"
    """What to type for the command line, as its hints say it."""
    id_prefix: str = ""
    """What ids begin with that the client makes."""
    curve_client_secret: str = ""
    """The file with the client's key pair; empty for no encryption."""
    curve_server_public: str = ""
    """The file with the server's public key; empty for `server.key` beside the client's."""

    def __post_init__(self) -> None:
        for variable in VARIABLES:
            value = getattr(self, variable.field)
            if not variable.is_allowed(value):
                raise ConfigError(f"{variable.field} is {value!r}, but must be {variable.allowed}")
        if self.retry_min_s > self.retry_max_s:
            raise ConfigError(
                f"TIMER_RETRY_MIN_S is {self.retry_min_s:g}, but must be at most TIMER_RETRY_MAX_S, "
                f"which is {self.retry_max_s:g}"
            )


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of the table: the environment variable of a setting, and what it may be."""

    name: str
    field: str
    convert: Callable[[str], Any]
    is_allowed: Callable[[Any], bool]
    allowed: str
    meaning: str

    @property
    def default(self) -> str:
        """The value where neither an option nor the environment has one, as text."""
        value = getattr(DEFAULTS, self.field)
        return value if isinstance(value, str) else f"{value:g}"

    def read(self, text: str, source: str) -> Any:
        """The value of a text that came from `source`. Raises `ConfigError`."""
        try:
            value = self.convert(text.strip())
        except ValueError:
            value = None
        if value is None or not self.is_allowed(value):
            raise ConfigError(f"{source} is {text!r}, but must be {self.allowed}")
        return value


def _is_endpoint(text: str) -> bool:
    if tcp := _TCP.fullmatch(text):
        return 0 < int(tcp["port"]) <= 65535
    return _NAMED.fullmatch(text) is not None


def _is_positive(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS


def _is_not_negative(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 <= seconds <= MAX_SECONDS


def _is_line(text: str) -> bool:
    return bool(text) and text.isprintable()


def _is_path(text: str) -> bool:
    return "\0" not in text


def _is_prefix(text: str) -> bool:
    try:
        check_prefix(text)
    except ValueError:
        return False
    return True


_PATH = "the path of a file"
_ENDPOINT = "an endpoint such as tcp://host:8888, ipc:///path or inproc://name"
_POSITIVE = f"a number of seconds greater than 0 and at most {MAX_SECONDS}"
_NOT_NEGATIVE = f"a number of seconds from 0 to {MAX_SECONDS}"

VARIABLES: tuple[Variable, ...] = (
    Variable("TIMER_SERVER", "server", str, _is_endpoint, _ENDPOINT, "Where the server takes requests"),
    Variable("TIMER_EVENTS", "events", str, _is_endpoint, _ENDPOINT, "Where the server publishes events"),
    Variable("TIMER_TIMEOUT_S", "timeout_s", float, _is_positive, _POSITIVE, "How long one try waits for its reply"),
    Variable(
        "TIMER_RETRY_DEADLINE_S", "retry_deadline_s", float, _is_not_negative, _NOT_NEGATIVE, "How long to try in all"
    ),
    Variable(
        "TIMER_RETRY_MIN_S", "retry_min_s", float, _is_positive, _POSITIVE, "The shortest pause between two tries"
    ),
    Variable("TIMER_RETRY_MAX_S", "retry_max_s", float, _is_positive, _POSITIVE, "The longest pause between two tries"),
    Variable(
        "TIMER_ID_PREFIX",
        "id_prefix",
        str,
        _is_prefix,
        f"at most {PREFIX_CHARACTERS} of the characters of an id",
        "What ids begin with that this client makes, for a key that is bound to a prefix",
    ),
    Variable(
        "TIMER_CURVE_CLIENT_SECRET",
        "curve_client_secret",
        str,
        _is_path,
        _PATH,
        "This client's key pair, which turns encryption on",
    ),
    Variable(
        "TIMER_CURVE_SERVER_PUBLIC",
        "curve_server_public",
        str,
        _is_path,
        _PATH,
        "The server's public key, by default `server.key` beside the pair",
    ),
    Variable("TIMER_COMMAND", "command", str, _is_line, "one line of printable text", "How hints name this command"),
)

DEFAULTS = Settings()
