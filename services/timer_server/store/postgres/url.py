"""The address of a database: `postgresql://user@host1,host2/database`, as libpq reads it.

A password may stand in it, in `PGPASSWORD` or in `~/.pgpass`; libpq looks there by itself. It is told to nobody.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from psycopg import Error, conninfo

_SECRET = re.compile(r"(?<=//)([^/@?]*?)(?::[^/@?]*)?@|[?].*", re.DOTALL)

_WITHIN = {
    "target_session_attrs": "read-write",
    "application_name": "timer-server",
    "client_encoding": "UTF8",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
"""What every connection has. Keepalives find a dead peer within seconds, also while nothing is to be sent."""

_FIXED = ("target_session_attrs", "client_encoding")
"""What a URL cannot change: a server writes, so it needs the primary."""


class Host(NamedTuple):
    """One host of a database: its name, for people, and what libpq needs to connect to it.

    `to_look_up` is a name whose addresses libpq would look up itself, and wait for; empty where there is none.
    """

    name: str
    conninfo: bytes
    to_look_up: str = ""

    def at(self, addresses: Sequence[str]) -> bytes:
        """What libpq needs to connect to the first of these addresses at which there is the primary."""
        names, found = ",".join([self.to_look_up] * len(addresses)), ",".join(addresses)
        return conninfo.make_conninfo(self.conninfo.decode(), host=names, hostaddr=found).encode()


class Url(NamedTuple):
    """A database at one of several hosts. `shown` is the URL without the password and the parameters."""

    shown: str
    hosts: tuple[Host, ...]


def parse(text: str) -> Url:
    """The database that a URL names. Raises ValueError, whose text is what is wrong."""
    try:
        given = {name: str(value) for name, value in conninfo.conninfo_to_dict(text).items() if value is not None}
    except Error as error:
        raise ValueError(_without_values(str(error))) from None
    for name in _FIXED:
        if given.get(name, _WITHIN[name]) != _WITHIN[name]:
            raise ValueError(f"{name} is {given[name]!r}, and has to be {_WITHIN[name]!r}, which it is if left out")
    return Url(shown(text), tuple(_hosts({**_WITHIN, **given})))


def shown(text: str) -> str:
    """A URL without the password and the parameters, which may hold one too."""
    return _SECRET.sub(lambda found: f"{found[1]}@" if found[1] is not None else "", text)


def _hosts(given: dict[str, str]) -> list[Host]:
    """One host after the other, so that each has its own time, and its own reason where it cannot be used."""
    names, addresses, ports = (given.pop(name, "").split(",") for name in ("host", "hostaddr", "port"))
    if any(port and not port.isdecimal() for port in ports) or "@" in given.get("dbname", ""):
        raise ValueError(
            "there is no number where a port should be, or an @ behind the hosts; in a name or a password"
            " write @ as %40, / as %2F and : as %3A"
        )
    count = max(len(names), len(addresses))
    for what, values in (("host", names), ("hostaddr", addresses), ("port", ports)):
        if len(values) not in (1, count) or (what != "port" and values != [""] and len(values) != count):
            raise ValueError(f"it names {count} hosts, but {len(values)} values of {what}")
    hosts = []
    for index in range(count):
        own = {"host": _of(names, index), "hostaddr": _of(addresses, index), "port": _of(ports, index)}
        name = own["host"] or own["hostaddr"] or "the default host"
        own = {key: value for key, value in own.items() if value}
        shown_name = f"{name}:{own['port']}" if "port" in own else name
        to_look_up = "" if "hostaddr" in own or not _is_name(own.get("host", "")) else own["host"]
        hosts.append(Host(shown_name, conninfo.make_conninfo(**given, **own).encode(), to_look_up))
    return hosts


def _is_name(host: str) -> bool:
    """Whether a host has to be looked up: it is neither an address nor the folder of a socket."""
    try:
        ip_address(host)
    except ValueError:
        return host[:1] not in ("", "/", "@")
    return False


def _of(values: list[str], index: int) -> str:
    return values[index] if len(values) > 1 else values[0]


def _without_values(reason: str) -> str:
    """What libpq says of a URL, without the parts of it that it quotes: there may be a password among them."""
    return re.sub(r'"[^"]*"', "…", " ".join(reason.split()))
