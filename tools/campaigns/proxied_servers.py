"""Servers whose connections go through proxies of their own: to each node of PostgreSQL, and from other servers."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaigns.on_postgres import servers_on
from campaigns.proxy import Proxy
from drivers.postgres import Cluster
from drivers.server_cluster import ServerCluster


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
        paths, stores, environments = [], [], []
        for _ in range(servers):
            url, to_postgres = postgres.url(), []
            for node in postgres.nodes:
                proxy = stack.enter_context(Proxy(node.address))
                url = url.replace(node.address, proxy.endpoint.removeprefix("tcp://"))
                to_postgres.append(proxy)
            commands, events, peers = (f"tcp://127.0.0.1:{port}" for port in _free_ports(3))
            from_peers = stack.enter_context(Proxy(peers))
            binds = {"TIMER_BIND": commands, "TIMER_EVENTS_BIND": events, "TIMER_PEER_BIND": peers}
            environments.append({**binds, "TIMER_ADVERTISE": f"{commands},{events},{from_peers.endpoint}"})
            stores.append(url)
            paths.append(Paths(to_postgres, from_peers))
        company = servers_on(folder, stores, sabotage)
        for server, environment in zip(company.servers, environments, strict=True):
            server.environment |= environment
        yield company, paths


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has, all different, as an address has to be told before it is bound."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]
