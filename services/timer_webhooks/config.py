"""Reads `webhooks.toml`: the endpoints, each with its queue, prefix, url, secrets and allowed ranges."""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from timer_protocol.messages import Prefix
from timer_protocol.queue_messages import QueueName
from timer_protocol.small_files import read_small_file
from timer_webhooks.permitted import STAND_FOR_IPV4, Network
from timer_webhooks.signing import key_of

_SECRETS_MOST = 2
_URL_CHARACTERS = 2_048
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
T = TypeVar("T", bound=Struct)

_PORTS = {"https": 443, "http": 80}


class ConfigError(Exception):
    """The file cannot be used. The text says where it is wrong, and what is allowed."""


class _EndpointTable(Struct, forbid_unknown_fields=True):
    queue: QueueName
    prefix: Prefix
    url: str
    secrets: list[str]
    allow: list[str] = []
    ca: str = ""
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 4


class _Tables(Struct, forbid_unknown_fields=True):
    endpoints: dict[str, Any]
    database: str = "webhooks.db"
    metrics: str = ""


@dataclass(frozen=True)
class Url:
    """Where an endpoint is. `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_plain(self) -> bool:
        """Whether there is no TLS."""
        return self.scheme == "http"

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint."""

    name: str
    queue: str
    prefix: str
    url: Url
    keys: tuple[bytes, ...]
    """Of its secrets, the newest first."""

    allow: tuple[Network, ...] = ()
    """Ranges that it may be in besides global unicast addresses."""

    ca: Path | None = None
    """The certificates that vouch for it, in place of the system's."""

    concurrency: int = 4
    """How many webhooks are sent at once."""


@dataclass(frozen=True)
class Config:
    """What the file says."""

    endpoints: tuple[Endpoint, ...]
    database: Path
    metrics: tuple[str, int] | None
    """Where Prometheus reads metrics."""


def read_config(path: Path) -> Config:
    """What a file says. Raises `ConfigError`."""
    try:
        document = tomllib.loads(read_small_file(path).decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} cannot be read: it is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    try:
        return _config(document, path.parent)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _config(document: Mapping[str, Any], folder: Path) -> Config:
    tables = _converted(document, _Tables, "")
    if not tables.endpoints:
        raise ValueError("[endpoints] has none; each is a table such as [endpoints.shop]")
    endpoints = tuple(_endpoint(name, table, folder) for name, table in tables.endpoints.items())
    queues: dict[str, str] = {}
    for endpoint in endpoints:
        if (other := queues.setdefault(endpoint.queue, endpoint.name)) != endpoint.name:
            shared = f"endpoints {other!r} and {endpoint.name!r} share the queue {endpoint.queue!r}"
            raise ValueError(f"{shared}, which would give each end to one of them: give each a queue of its own")
    if not tables.database:
        raise ValueError("database is empty, but must be the path of a file")
    return Config(endpoints, folder / tables.database, _metrics(tables.metrics))


def _endpoint(name: str, value: Any, folder: Path) -> Endpoint:
    place = f"endpoints.{name}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place}: a name must be 1 to 64 of the characters A-Z a-z 0-9 _ -")
    table = _converted(value, _EndpointTable, place)
    url = _url(table.url, f"{place}.url")
    allow = tuple(_network(text, f"{place}.allow") for text in table.allow)
    if url.is_plain and not allow:
        raise ValueError(f"{place}.url is http, which goes only to ranges in allow, and there are none: use https")
    if not 1 <= len(table.secrets) <= _SECRETS_MOST:
        raise ValueError(f"{place}.secrets must be one secret, or two while one takes the place of the other")
    return Endpoint(
        name,
        table.queue,
        table.prefix,
        url,
        tuple(_key(secret, f"{place}.secrets[{number}]") for number, secret in enumerate(table.secrets)),
        allow,
        folder / table.ca if table.ca else None,
        table.concurrency,
    )


def _converted(value: Any, kind: type[T], place: str) -> T:
    """A table as its type. Raises `ValueError`, with the place."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        inner = f"{place}{where.rstrip('`')}".lstrip(".")
        allowed = ", ".join(kind.__struct_fields__)
        raise ValueError(f"{f'{inner}: ' if inner else ''}{what} (there may be {allowed})") from None


def _url(text: str, place: str) -> Url:
    """The parts of a URL. Its text is not told, as there may be a token in it."""
    fault = f"{place} must be https://HOST[:PORT]/PATH"
    if len(text) > _URL_CHARACTERS or not re.fullmatch(r"[!-~]+", text) or "\\" in text:
        raise ValueError(f"{fault} in at most {_URL_CHARACTERS} printable ASCII characters (xn--… for other letters)")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{fault}; its host or port is none") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"{fault}, or http:// to a range in allow")
    if "@" in parts.netloc:
        raise ValueError(f"{fault}, without a name and password: the signature says who sends")
    if parts.fragment:
        raise ValueError(f"{fault}, without a # part, which is never sent")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        raise ValueError(f"{fault}; its host or port is none")
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Url(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target)


def _network(text: str, place: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{place}: {error}; a range is written as 10.1.0.0/16") from None
    if isinstance(network, ipaddress.IPv6Network) and any(network.subnet_of(other) for other in STAND_FOR_IPV4):
        raise ValueError(f"{place}: {text} stands for IPv4 addresses; write their range")
    return network


def _key(secret: str, place: str) -> bytes:
    try:
        return key_of(secret)
    except ValueError as error:
        raise ValueError(f"{place} {error}; `timer-webhooks secret` makes one") from None


def _metrics(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if not match or int(match[2]) > 65_535:
        raise ValueError(f"metrics is {text!r}, but must be HOST:PORT with a port up to 65535, or be left out")
    return match[1].strip("[]"), int(match[2])
