"""Servers whose connections go through proxies of their own: to each node of PostgreSQL, and from other servers."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaigns.on_postgres import servers_on
from campaigns.proxy import Proxy
from drivers.postgres import Cluster
from drivers.server_cluster import ServerCluster
from drivers.server_process import BINDS


@dataclass(frozen=True)
class Paths:
    """What lies around a server: the way from it to PostgreSQL, and that of others to it."""

    to_postgres: Sequence[Proxy]
    from_peers: Proxy


@contextmanager
def proxied_servers(
    folder: Path, postgres: Cluster, servers: int, sabotage: str = ""
) -> Iterator[tuple[ServerCluster, list[Paths]]]:
    """So many servers that are yet to start, and the paths of each."""
    with ExitStack() as stack:
        proxies = [[stack.enter_context(Proxy(node.address)) for node in postgres.nodes] for _ in range(servers)]
        company = servers_on(folder, [_url_through(each, postgres) for each in proxies], sabotage)
        paths = []
        for server, to_postgres in zip(company.servers, proxies, strict=True):
            commands, events, peers = (server.environment[name] for name in BINDS)
            from_peers = stack.enter_context(Proxy(peers))
            server.environment["TIMER_ADVERTISE"] = f"{commands},{events},{from_peers.endpoint}"
            paths.append(Paths(to_postgres, from_peers))
        yield company, paths


def _url_through(proxies: Sequence[Proxy], postgres: Cluster) -> str:
    url = postgres.url()
    for proxy, node in zip(proxies, postgres.nodes, strict=True):
        url = url.replace(node.address, proxy.endpoint.removeprefix("tcp://"))
    return url
