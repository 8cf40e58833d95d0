"""Looks up names in endpoints: ZeroMQ says nothing of a name that does not resolve, and takes one kind of address only.

So sockets of both sides are given numbers. Where a name stands for several addresses, those of IPv4 come first.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

_NAMED = re.compile(r"tcp://([^\s:/\[\]*]+):([0-9]+|\*)")


class UnknownHost(Exception):
    """A name has no address. The text says which name, and what the system says."""


def has_name(endpoint: str) -> bool:
    """Whether an endpoint has a name where a number could be."""
    named = _NAMED.fullmatch(endpoint)
    return named is not None and not _is_address(named[1])


def numbered(endpoint: str) -> Sequence[str]:
    """The endpoints with an address in place of the name, at least one; where there is no name, the endpoint itself.

    Asks the system, and waits for it. Raises `UnknownHost`.
    """
    named = _NAMED.fullmatch(endpoint)
    if named is None or _is_address(named[1]):
        return [endpoint]
    host, port = named.groups()
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnknownHost(f"the host {host!r} cannot be found: {reason}") from None
    fours = [f"tcp://{address[0]}:{port}" for family, *_, address in found if family == socket.AF_INET]
    sixes = [f"tcp://[{address[0]}]:{port}" for family, *_, address in found if family == socket.AF_INET6]
    return list(dict.fromkeys(fours + sixes))


def for_binding(endpoint: str) -> str:
    """The endpoint with the first address of its name. The names of network interfaces are left to ZeroMQ.

    Raises `UnknownHost`.
    """
    named = _NAMED.fullmatch(endpoint)
    is_interface = named is not None and named[1] in {name for _, name in socket.if_nameindex()}
    return endpoint if is_interface else numbered(endpoint)[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
