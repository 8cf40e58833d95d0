"""Which server owns which shards, as the tables say."""

from collections import Counter

from drivers.postgres import OWNER, Cluster
from drivers.server_cluster import ServerCluster
from drivers.server_process import ServerProcess

_OWNERS = (
    "select timer_server.name, count(*) from timer_shard"
    " join timer_server on timer_server.incarnation = timer_shard.owner where not timer_server.dead group by 1"
)


def owned(postgres: Cluster) -> Counter[str]:
    """How many shards each server owns that is not dead, by its name."""
    rows = postgres.primary.execute(_OWNERS, database=OWNER)
    return Counter({str(name): int(str(count)) for name, count in rows})


def running(servers: ServerCluster) -> list[ServerProcess]:
    """The servers that run."""
    return [server for server in servers.servers if not server.has_ended]
