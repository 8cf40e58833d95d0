"""Servers that connect to each other, driven as their loops would, and raw peers that shake hands with them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import zmq

from drivers.raw_zmtp import RawPeer
from timer_server.access.admission import Admission
from timer_server.access.gate import Gate
from timer_server.wire.peers import Incoming, Peers

LIMIT_S = 10.0
MIB = 1024 * 1024


class Server:
    """One server's connections, driven as its loop would."""

    def __init__(
        self,
        name: str,
        gate: Gate | None = None,
        store: str = "store",
        endpoint: str = "tcp://127.0.0.1:0",
        most_bytes: int = 32 * MIB,
    ) -> None:
        self.name = name
        self.context = zmq.Context()
        self.admission = Admission(self.context, gate)
        self.peers = Peers(self.context, endpoint, self.admission, most_bytes)
        self.peers.introduce(store, name, f"server {name}")
        self.heard: list[Incoming] = []
        self._poller = zmq.Poller()
        self.admission.register(self._poller)
        self.peers.register(self._poller)

    def turn(self) -> None:
        ready = dict(self._poller.poll(2))
        self.peers.port.listener.turn_away(ready)
        if self.admission.is_asked(ready):
            self.admission.admit(also_subscribers=True)
        self.peers.step(time.monotonic_ns())
        if self.peers.has_news(ready):
            while (incoming := self.peers.receive()) is not None:
                self.heard.append(incoming)

    def follow(self, *others: "Server") -> None:
        self.peers.follow({other.name: other.peers.port.endpoint for other in (self, *others)})

    def has(self, kind: str, body: bytes | None = None) -> bool:
        return any(one.kind == kind and body in (None, one.body) for one in self.heard)

    def bodies(self, kind: str) -> list[bytes]:
        return [one.body for one in self.heard if one.kind == kind]

    def reasons(self) -> dict[str, str]:
        return {name: unreachable.reason for name, unreachable in self.peers.unreachable.items()}

    def close(self) -> None:
        self.peers.close()
        self.context.destroy(linger=0)


Start = Callable[..., Server]


def shake_hands(peer: RawPeer, server: Server, **metadata: bytes) -> RawPeer:
    """Has a raw peer shake hands with a server, which is asked meanwhile whether it may."""
    with ThreadPoolExecutor(1) as pool:
        shaken = pool.submit(peer.shake_hands, b"DEALER", **metadata)
        until(shaken.done, server)
        return shaken.result()


def until(condition: Callable[[], object], *servers: Server) -> None:
    """Has servers take turns until something holds."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, [server.heard[-5:] for server in servers]
        for server in servers:
            server.turn()


def meet(*servers: Server) -> None:
    """Has servers follow each other until all are connected."""
    for server in servers:
        server.follow(*(other for other in servers if other is not server))
    until(lambda: all(len(server.bodies("connected")) == len(servers) - 1 for server in servers), *servers)
    for server in servers:
        server.heard.clear()
