"""The table of settings: each environment variable of server, client and gateway, its default, and what is allowed.

All programs, their help texts and `.env.example` use it. `environment` and the command line supply the texts.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from timer_protocol.durations import LONGEST_S
from timer_protocol.key_files import PREFIX_CHARACTERS, TIMERS_MOST, check_prefix
from timer_protocol.limits import Limits

SECONDS_MAXIMUM = 86_400
"""A day: longer is more likely a wrong unit than a wish."""


class SettingError(ValueError):
    """A setting that cannot be used. The text names it, its value and what is allowed."""


class Variables(dict[str, str]):
    """The texts of variables by name, each with the place where it is set, as a sentence ends with it."""

    def __init__(self, texts: Mapping[str, str], places: Mapping[str, str]) -> None:
        super().__init__(texts)
        self._places = places

    def place(self, name: str) -> str:
        """Where a variable is set, such as `.env, line 3`."""
        return self._places[name]


def told_place(texts: Mapping[str, str], name: str) -> str:
    """The end of a sentence about a variable: where it is set, as far as that is known."""
    return f"; it is set in {texts.place(name)}" if isinstance(texts, Variables) and name in texts else ""


class Kind(NamedTuple):
    """The values of a variable: `convert` makes one of its text or raises ValueError; `is_allowed` checks it."""

    convert: Callable[[str], Any]
    allowed: str
    is_allowed: Callable[[Any], object] = lambda _value: True
    shown: Callable[[str], str] = str
    """The text without what nobody may read, such as a password."""

    def parse(self, text: str) -> Any:
        """The value of a text. Raises ValueError."""
        value = self.convert(text)
        if not self.is_allowed(value):
            raise ValueError(text)
        return value


class Variable(NamedTuple):
    """One variable of the table."""

    name: str
    default: str
    kind: Kind
    meaning: str

    @property
    def field(self) -> str:
        """The setting's name in Python."""
        return self.name.removeprefix("TIMER_").lower()

    def parse(self, text: str, source: str = "") -> Any:
        """The value of a text from `source`, by default the variable itself. Raises `SettingError`."""
        text = text.strip()
        try:
            return self.kind.parse(text)
        except ValueError:
            shown = self.kind.shown(text)
            raise SettingError(f"{source or self.name} is {shown!r}, but must be {self.kind.allowed}") from None

    def read(self, texts: Mapping[str, str]) -> Any:
        """The value among texts by variable; an empty text counts as unset. Raises `SettingError`."""
        try:
            return self.parse(texts.get(self.name, "").strip() or self.default)
        except SettingError as error:
            raise SettingError(f"{error}{told_place(texts, self.name)}") from None


def _is_port(text: str) -> bool:
    return text == "*" or int(text) <= 65_535


def _endpoint(host: str, port: str, others: str = "ipc|inproc") -> Callable[[str], bool]:
    tcp = re.compile(rf"tcp://(?:\[[0-9A-Fa-f:.%]+\]|{host}):({port})")

    def is_endpoint(text: str) -> bool:
        match = tcp.fullmatch(text)
        return _is_port(match[1]) if match else bool(re.fullmatch(rf"({others})://\S+", text))

    return is_endpoint


_BETWEEN = re.compile(" *, *(?=(?:tcp|ipc|inproc)://)")
"""What separates endpoints. Another comma belongs to the name of a file."""

can_connect = _endpoint(r"[A-Za-z0-9._-]+", r"(?!0+$)[0-9]{1,5}")
"""Whether a text is an endpoint that a client can connect to."""


def endpoints(text: str) -> tuple[str, ...]:
    """The endpoints in a text, where they are separated by commas; each once."""
    return tuple(dict.fromkeys(_BETWEEN.split(text)))


def _advertised(text: str) -> tuple[str, ...]:
    """One host, or the endpoints for requests, events and perhaps other servers; nothing where binds can be reached."""
    if not text or re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", text):
        return (text,) if text else ()
    told = endpoints(text)
    if len(told) not in (2, 3) or len(told) < len(_BETWEEN.split(text)) or not all(map(can_connect, told)):
        raise ValueError(text)
    return told


def _host_and_port(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if not match or not _is_port(match[2]):
        raise ValueError(text)
    return match[1].strip("[]"), int(match[2])


class StorePlace(NamedTuple):
    """Where timers are kept: in the file at a path, or in the PostgreSQL database of a URL, or else in memory."""

    path: str = ""
    url: str = ""


def _store_place(text: str) -> StorePlace:
    if text == "memory:":
        return StorePlace()
    if re.fullmatch(r"postgres(ql)?://\S+", text):
        return StorePlace(url=text)
    path = text.removeprefix("sqlite:///")
    if path in (text, "", ":memory:"):
        raise ValueError(text)
    return StorePlace(path)


def without_password(url: str) -> str:
    """A URL whose password cannot be read, wherever in it that stands, and however wrong the URL is."""
    scheme = found[0] if (found := re.match(r"\w*://", url)) else ""
    hidden = re.sub(r"^([^:@]*):.*@", r"\1:***@", url.removeprefix(scheme), flags=re.DOTALL)
    return scheme + re.sub(r"(password=)[^&]*", r"\1***", hidden)


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def _hosts(text: str) -> tuple[str, ...]:
    """Names, each perhaps with a port, in small letters."""
    names = tuple(name.strip().lower() for name in text.split(",")) if text else ()
    if not all(map(_HOST.fullmatch, names)):
        raise ValueError(text)
    return names


def _is_one(text: str) -> bool:
    """Whether a switch is on."""
    if text not in ("", "0", "1"):
        raise ValueError(text)
    return text == "1"


def _prefix(text: str) -> str:
    check_prefix(text)
    return text


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _path(allowed: str) -> Kind:
    return Kind(str, allowed, lambda text: "\0" not in text)


def _limit(name: str, most: int, unit: str, meaning: str) -> Variable:
    kind = Kind(_whole_number, f"a whole number of {unit} from 1 to {most}", range(1, most + 1).__contains__)
    return Variable(name, str(getattr(Limits(), name.removeprefix("TIMER_").lower())), kind, meaning)


_REPLICATIONS = ("required", "external", "none")
_LEVELS = ("debug", "info", "warning", "error")
_TCP_BIND = "tcp://HOST:PORT with a port up to 65535 (0 or * picks a free one)"
_BOUND = r"[^\s:/\[\]]+", r"\*|[0-9]{1,5}"
_BIND = Kind(str, f"{_TCP_BIND}, ipc://PATH or inproc://NAME", _endpoint(*_BOUND))
_PEER_BIND = Kind(str, f"{_TCP_BIND}, or ipc://PATH", _endpoint(*_BOUND, others="ipc"))
_CONNECT = Kind(
    str,
    "an endpoint such as tcp://host:8888, ipc:///path or inproc://name, or several of them, separated by commas",
    lambda text: all(map(can_connect, endpoints(text))),
)
_SECONDS = Kind(float, f"a number of seconds from 0 to {SECONDS_MAXIMUM}", lambda value: 0 <= value <= SECONDS_MAXIMUM)
_SOME_SECONDS = Kind(
    float,
    f"a number of seconds greater than 0 and at most {SECONDS_MAXIMUM}",
    lambda value: 0 < value <= SECONDS_MAXIMUM,
)

LOG_VARIABLES = (
    Variable(
        "TIMER_LOG_LEVEL",
        "info",
        Kind(str.lower, f"one of {', '.join(_LEVELS)}", _LEVELS.__contains__),
        "The least severe entries to log: debug, info, warning or error",
    ),
    Variable(
        "TIMER_LOG_FORMAT",
        "",
        Kind(str.lower, "text or json", ("", "text", "json").__contains__),
        "text or json; unset = text on a terminal, json elsewhere",
    ),
)
"""How the log of a program that serves looks: rows of the server's table, which the gateway reads as well."""

SERVER_VARIABLES = (
    Variable(
        "TIMER_BIND", "tcp://127.0.0.1:8888", _BIND, "Where requests are taken (tcp://*:8888 = on every interface)"
    ),
    Variable("TIMER_EVENTS_BIND", "tcp://127.0.0.1:8889", _BIND, "Where events are published"),
    Variable(
        "TIMER_PEER_BIND",
        "tcp://127.0.0.1:8890",
        _PEER_BIND,
        "Where other servers of a store in PostgreSQL connect; beyond this machine only with keys",
    ),
    Variable(
        "TIMER_NAME",
        "",
        Kind(
            str,
            "one line of printable text, or nothing for the host's name",
            lambda text: not text or text.isprintable(),
        ),
        "What this server is called among others; unset = the host's name",
    ),
    Variable(
        "TIMER_ADVERTISE",
        "",
        Kind(
            _advertised,
            "a host, or endpoints tcp://HOST:PORT, separated by commas, for requests and events and perhaps for other"
            " servers, or nothing",
        ),
        "Where others reach this server, if not at its binds: a host, or the endpoints in the order of the binds",
    ),
    Variable(
        "TIMER_STORE",
        "sqlite:///timers.db",
        Kind(
            _store_place,
            "sqlite:///PATH (four slashes for /PATH), postgresql://USER@HOST[,HOST...]/DATABASE or memory:",
            shown=without_password,
        ),
        "Where timers are kept: a file (four slashes = an absolute path), postgresql://USER@HOST/DATABASE, or memory:",
    ),
    Variable(
        "TIMER_REPLICATION",
        "required",
        Kind(str.lower, f"one of {', '.join(_REPLICATIONS)}", _REPLICATIONS.__contains__),
        "Who has a second copy of what PostgreSQL commits: required = a synchronous standby, external = its disk, none",
    ),
    Variable(
        "TIMER_METRICS_BIND",
        "",
        Kind(_host_and_port, "HOST:PORT with a port up to 65535, or nothing for none"),
        "Where Prometheus reads metrics, such as 127.0.0.1:9464; unset = nowhere",
    ),
    Variable(
        "TIMER_CURVE_SERVER_SECRET",
        "",
        _path("the server's file from `timer-server keygen`, or nothing for no encryption"),
        "The server's key pair, from `timer-server keygen`: turns encryption on, and lets in only those who have a key",
    ),
    Variable(
        "TIMER_CURVE_CLIENTS",
        "",
        _path("the folder with allowed clients' keys; unset, `clients` beside that file"),
        "The folder with the public keys of allowed clients; unset = `clients` beside the pair. SIGHUP reads it again",
    ),
    *LOG_VARIABLES,
    _limit("TIMER_MAX_TIMERS", TIMERS_MOST, "timers", "Timers that may be pending at once"),
    _limit("TIMER_MAX_PAYLOAD_BYTES", 16_777_216, "bytes", "The largest payload of a timer"),
    _limit("TIMER_MAX_BATCH", 100_000, "requests", "The most requests in one message"),
    _limit("TIMER_MAX_MESSAGE_BYTES", 268_435_456, "bytes", "The largest message"),
    _limit("TIMER_MAX_DURATION_S", LONGEST_S, "seconds", "The longest a timer may run: ten years"),
    _limit("TIMER_RETENTION_S", 3_153_600_000, "seconds", "How long ended timers and events can still be read: a day"),
)

CLIENT_VARIABLES = (
    Variable(
        "TIMER_SERVER",
        "tcp://127.0.0.1:8888",
        _CONNECT,
        "Where the server takes requests; several, separated by commas, of servers of one store",
    ),
    Variable("TIMER_EVENTS", "tcp://127.0.0.1:8889", _CONNECT, "Where the server publishes events; several as well"),
    Variable("TIMER_TIMEOUT_S", "5", _SOME_SECONDS, "How long one try waits for its reply"),
    Variable(
        "TIMER_RETRY_DEADLINE_S", "60", _SECONDS, "How long to try in all, before the server counts as unreachable"
    ),
    Variable(
        "TIMER_RETRY_MIN_S",
        "0.1",
        _SOME_SECONDS,
        "The shortest pause between two tries; it doubles with each, up to the longest",
    ),
    Variable("TIMER_RETRY_MAX_S", "5", _SOME_SECONDS, "The longest pause between two tries"),
    Variable(
        "TIMER_ID_PREFIX",
        "",
        Kind(_prefix, f"at most {PREFIX_CHARACTERS} of the characters of an id"),
        "What ids begin with that this client makes, for a key that is bound to a prefix",
    ),
    Variable(
        "TIMER_CURVE_CLIENT_SECRET",
        "",
        _path("the path of a file"),
        "This client's key pair, from `timer keygen`: turns encryption on",
    ),
    Variable(
        "TIMER_CURVE_SERVER_PUBLIC",
        "",
        _path("the path of a file"),
        "The server's public key; unset = `server.key` beside the pair",
    ),
    Variable(
        "TIMER_COMMAND",
        "timer",
        Kind(str, "one line of printable text", lambda text: text and text.isprintable()),
        "What to type for this command, as its hints say it",
    ),
)

GATEWAY_VARIABLES = (
    Variable(
        "TIMER_GATEWAY_BIND",
        "127.0.0.1:8080",
        Kind(_host_and_port, "HOST:PORT with a port up to 65535 (0 picks a free one)", lambda value: value is not None),
        "Where the gateway answers HTTP (0.0.0.0:8080 = on every interface)",
    ),
    Variable(
        "TIMER_GATEWAY_HOSTS",
        "",
        Kind(_hosts, "names such as timers.example, perhaps with a port, separated by commas, or nothing"),
        "Names under which the gateway is reached besides those of this machine, separated by commas",
    ),
    Variable(
        "TIMER_GATEWAY_TOKENS",
        "gateway-tokens",
        _path("the path of a file"),
        "The file with the hashes of tokens, from `timer-gateway token`. SIGHUP reads it again",
    ),
    Variable(
        "TIMER_GATEWAY_PLAIN",
        "",
        Kind(_is_one, "1 or nothing"),
        "1 = the way to the gateway is trusted: without a certificate it may be reached from other machines",
    ),
    Variable(
        "TIMER_GATEWAY_CERTIFICATE",
        "",
        _path("the path of a file, or nothing for no encryption"),
        "The gateway's certificate with those above it, in PEM: turns HTTPS on",
    ),
    Variable(
        "TIMER_GATEWAY_KEY",
        "",
        _path("the path of a file"),
        "The private key of that certificate, in PEM",
    ),
)
