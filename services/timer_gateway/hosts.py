"""The hosts and origins that requests may name, so that pages of other sites cannot use the gateway through a browser.

Such a page can have its own name lead to this machine (DNS rebinding): its requests have that name as `Host`. A page
from another port of the same host shares the cookies: its requests have that port in `Origin`. And what a page only
embeds, such as an image, is asked for without `Origin`, but with `Sec-Fetch-Site`.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(\S{1,300})")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_PAGES = (b"same-origin", b"none")
"""Of `Sec-Fetch-Site`: a page of ours, and somebody who typed the address."""


class Host(NamedTuple):
    """A host as a request names it, in small letters: a name or an address, and a port unless it is the default."""

    name: str
    port: int | None


def host_of(text: str) -> Host:
    """The host in a text such as `timers.example:8080` or `[::1]`. Raises ValueError."""
    match = _AUTHORITY.fullmatch(text.lower())
    name, port = (match[1], int(match[2]) if match[2] else None) if match else ("", None)
    if name.startswith("["):
        name = _same_address(name[1:-1])
    if not name or (port or 0) > 65_535:
        raise ValueError(f"{text[:300]!r} is no host, such as timers.example:8080")
    return Host(name, port)


@lru_cache(maxsize=64)
def is_loopback(name: str) -> bool:
    """Whether the name of a host is one of this machine itself, whatever a name server says."""
    if name in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(name).is_loopback
    except ValueError:
        return False


class Hosts:
    """The names under which the gateway is reached: those of the loopback interface, and those that are listed.

    A listed name without a port stands for every port. `is_encrypted` is whether the gateway speaks HTTPS itself.
    """

    def __init__(self, listed: Iterable[str], *, is_encrypted: bool) -> None:
        self._listed = frozenset(map(host_of, listed))
        self._schemes = ("https",) if is_encrypted else ("http", "https")  # HTTPS may be spoken in front of it

    def has(self, host: Host) -> bool:
        """Whether the gateway is reached under this name."""
        return is_loopback(host.name) or any(known in self._listed for known in _spellings(host))

    def is_own_origin(self, origin: str, host: Host) -> bool:
        """Whether a page of this origin has come from this host, with its port."""
        match = _ORIGIN.fullmatch(origin)
        if not match or match[1] not in self._schemes:
            return False
        try:
            name, port = host_of(match[2])
        except ValueError:
            return False
        default = _DEFAULT_PORTS[match[1]]
        return (name, port or default) == (host.name, host.port or default)


def is_of_another_page(site: bytes, mode: bytes, destination: bytes, method: str) -> bool:
    """Whether a browser says that the page of another origin has asked, other than by a link that somebody followed."""
    is_followed_link = (mode, destination, method) == (b"navigate", b"document", "GET")
    return bool(site) and site not in _OWN_PAGES and not is_followed_link


def _spellings(host: Host) -> Iterable[Host]:
    """The ways in which a host may be listed: with its port, with a default one where it has none, and without."""
    yield Host(host.name, None)
    yield from (Host(host.name, port) for port in ([host.port] if host.port else _DEFAULT_PORTS.values()))


def _same_address(text: str) -> str:
    """An address of IPv6 as all ways to write it are compared, in brackets; nothing where it is none."""
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        return ""
