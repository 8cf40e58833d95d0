"""The endpoints that clients are told to reach a server at, which may differ from those that it binds."""

import re
from collections.abc import Sequence

_TCP = re.compile(r"tcp://(.+):([0-9]+)")
_EVERY_INTERFACE = ("*", "0.0.0.0", "[::]")  # noqa: S104 - names, not a bind


def advertised(setting: Sequence[str], commands: str, events: str, host: str) -> tuple[str, str]:
    """The endpoints for requests and for events of a server that is bound to `commands` and `events`.

    The setting may be both of them, or one host in place of that in each. Where it is empty, the name of this `host`
    stands for every interface.
    """
    if len(setting) == 2:
        return setting[0], setting[1]
    if setting:
        return _at(setting[0], commands), _at(setting[0], events)
    return _reachable(host, commands), _reachable(host, events)


def _reachable(host: str, bound: str) -> str:
    tcp = _TCP.fullmatch(bound)
    return bound if tcp is None or tcp[1] not in _EVERY_INTERFACE else _at(host, bound)


def _at(host: str, bound: str) -> str:
    tcp = _TCP.fullmatch(bound)
    return bound if tcp is None else f"tcp://{host}:{tcp[2]}"
