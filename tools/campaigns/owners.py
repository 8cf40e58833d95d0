"""Which servers live and own which shards, as the tables say."""

import time
from collections import Counter

from drivers.postgres import OWNER, Cluster

OWN_LIMIT_S = 15.0
LOOK_S = 0.1

_LIVING = "select name, incarnation::text from timer_server where not dead"
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


def wait_until_all_own(postgres: Cluster, servers: int) -> None:
    """Waits until each of so many servers owns shards: the first that starts takes all, and gives the others theirs.
    Raises `AssertionError`."""
    until_s = time.monotonic() + OWN_LIMIT_S
    while len(owned(postgres)) < servers:
        assert time.monotonic() < until_s, f"not all servers own shards after {OWN_LIMIT_S} s: {owned(postgres)}"
        time.sleep(LOOK_S)  # nothing tells when a shard was given
