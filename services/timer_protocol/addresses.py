"""Looks up names in endpoints. ZeroMQ says nothing of a name that does not resolve, and takes one kind of address only.

So sockets of both sides are given numbers. Where a name stands for several addresses, an IPv4 one comes first.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

_NAMED = re.compile(r"tcp://([^\s:/\[\]*]+):([0-9]+)")


class UnknownHost(Exception):
    """A name has no address. The text says which, and what the system says."""


def host_and_port(endpoint: str) -> tuple[str, int] | None:
    """The name in an endpoint and its port; None where there is no name to look up."""
    named = _NAMED.fullmatch(endpoint)
    if named is None:
        return None
    try:
        ip_address(named[1])
    except ValueError:
        return named[1], int(named[2])
    return None


def addresses(host: str, port: int) -> Sequence[str]:
    """The endpoints with the addresses of a name, at least one. Asks the system, and waits. Raises `UnknownHost`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnknownHost(f"the host {host!r} cannot be found: {reason}") from None
    fours = [f"tcp://{address[0]}:{port}" for family, *_, address in found if family == socket.AF_INET]
    sixes = [f"tcp://[{address[0]}]:{port}" for family, *_, address in found if family == socket.AF_INET6]
    return list(dict.fromkeys(fours + sixes))
