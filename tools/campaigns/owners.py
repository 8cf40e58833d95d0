"""Which servers live and own which shards, as the tables say."""

import time
from collections import Counter

from drivers.postgres import OWNER, Cluster

OWN_LIMIT_S = 15.0
LOOK_S = 0.1

_LIVING = "select name, incarnation::text from timer_server where not dead"
_BEAT = "select incarnation::text, beat from timer_server where name = %s and not dead"
_OWNED = (
    "select timer_server.name, count(*) from timer_shard"
    " join timer_server on timer_server.incarnation = timer_shard.owner where not timer_server.dead group by 1"
)


def living(postgres: Cluster) -> dict[str, str]:
    """The incarnation of each server that was not declared dead, by its name."""
    return {str(name): str(incarnation) for name, incarnation in postgres.primary.execute(_LIVING, database=OWNER)}


def owned(postgres: Cluster) -> Counter[str]:
    """How many shards each of them owns, by its name."""
    return Counter({str(name): int(str(count)) for name, count in postgres.primary.execute(_OWNED, database=OWNER)})


def wait_until_beaten(postgres: Cluster, name: str, times: int) -> None:
    """Waits until a server has beaten so many times from now on, as what it is by then. Raises `AssertionError`."""
    begun = _beat(postgres, name)
    until_s = time.monotonic() + OWN_LIMIT_S
    while True:
        incarnation, beat = _beat(postgres, name)
        if beat >= times + (begun[1] if incarnation == begun[0] else 0):
            return
        assert time.monotonic() < until_s, f"{name} has not beaten {times} times in {OWN_LIMIT_S} s"
        time.sleep(LOOK_S)  # nothing tells of a beat


def _beat(postgres: Cluster, name: str) -> tuple[str, int]:
    """The incarnation of a server and how often that has beaten; nothing where it was declared dead."""
    for incarnation, beat in postgres.primary.execute(_BEAT, name, database=OWNER):
        return str(incarnation), int(str(beat))
    return "", 0


def wait_until_all_own(postgres: Cluster, servers: int) -> None:
    """Waits until each of so many servers owns shards: the first that starts takes all, and gives the others theirs.
    Raises `AssertionError`."""
    until_s = time.monotonic() + OWN_LIMIT_S
    while len(owned(postgres)) < servers:
        assert time.monotonic() < until_s, f"not all servers own shards after {OWN_LIMIT_S} s: {owned(postgres)}"
        time.sleep(LOOK_S)  # nothing tells when a shard was given
