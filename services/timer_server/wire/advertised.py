"""The endpoints that others are told to reach a server at, which may differ from those that it binds."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_TCP = re.compile(r"tcp://(.+):([0-9]+)")
_EVERY_INTERFACE = ("*", "0.0.0.0", "[::]")  # noqa: S104 - names, not a bind


class Endpoints(NamedTuple):
    """The endpoints of a server, for requests, for events, and for other servers; none for these with one file."""

    commands: str
    events: str
    peer: str = ""


def advertised(setting: Sequence[str], bound: Endpoints, host: str) -> Endpoints:
    """The endpoints at which others reach a server that is bound to these.

    The setting may be the endpoints, in their order, or one host in place of that in each. Where it says nothing, the
    name of this `host` stands for every interface.
    """
    if len(setting) == 1:
        return Endpoints(*(_at(setting[0], endpoint) for endpoint in bound))
    return Endpoints(*setting, *(_reachable(host, endpoint) for endpoint in bound[len(setting) :]))


def _reachable(host: str, bound: str) -> str:
    tcp = _TCP.fullmatch(bound)
    return bound if tcp is None or tcp[1] not in _EVERY_INTERFACE else _at(host, bound)


def _at(host: str, bound: str) -> str:
    tcp = _TCP.fullmatch(bound)
    return bound if tcp is None else f"tcp://{host}:{tcp[2]}"
