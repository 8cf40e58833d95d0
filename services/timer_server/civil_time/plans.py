"""Civil time for plans: cron rules by the names of their zones, and moments as text."""

from datetime import UTC
from functools import lru_cache

from timer_protocol.civil_clocks import from_ms
from timer_protocol.durations import MS_PER_SECOND
from timer_server.civil_time.cron import Cron
from timer_server.civil_time.moments import local
from timer_server.civil_time.zones import zone

_RULES_KEPT = 1_000
_MOMENTS_KEPT = 10_000
"""Many plans have the same rule, and so the same moments."""


@lru_cache(maxsize=_MOMENTS_KEPT)
def cron_after(expression: str, zone_name: str, instant_ms: int) -> int | None:
    """The first moment of a rule after another one; None where it does not come again. Raises `Refusal`."""
    return _rule(expression, zone_name).after(instant_ms)


def local_moment(zone_name: str | None, instant_ms: int) -> str:
    """A moment as the clocks of a zone show it, with their offset (RFC 3339); None is UTC. Raises `Refusal`."""
    return local(instant_ms, UTC if zone_name is None else zone(zone_name))


def stamp(instant_ms: int) -> str:
    """A moment in UTC, as short as ids need it: 20261127T080000Z, with milliseconds where there are any."""
    text = from_ms(instant_ms, UTC).isoformat(timespec="milliseconds" if instant_ms % MS_PER_SECOND else "seconds")
    return text.removesuffix("+00:00").replace("-", "").replace(":", "") + "Z"


@lru_cache(maxsize=_RULES_KEPT)
def _rule(expression: str, zone_name: str) -> Cron:
    return Cron(expression, zone(zone_name))
