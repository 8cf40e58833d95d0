"""Time zones by name, from the package `tzdata` alone, so that every machine knows the same ones.

See the tz database, iana.org/time-zones.
"""

from datetime import tzinfo
from difflib import get_close_matches
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata

from timer_protocol.errors import ErrorCode, Refusal

TZDATA_VERSION: str = tzdata.IANA_VERSION
"""The release of the tz database, such as `2026a`."""


def zone(name: str) -> tzinfo:
    """The zone with this name, such as `Europe/Rome`. Raises `Refusal` (invalid_params) where there is none."""
    if name not in _names():
        near = get_close_matches(name, _names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ", such as Europe/Rome or UTC"
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"{name!r} is no time zone of tzdata {TZDATA_VERSION}; expected a name from its list{hint}",
        )
    return _load(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def _load(name: str) -> tzinfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)
