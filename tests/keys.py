"""Keys for a test: a server's and those of its clients, and peers that use them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from drivers.peers import Requester, socket_to
from local_server import LocalServer
from timer_client import Settings, TimerClient
from timer_protocol.key_files import from_text
from timer_protocol.sender import DEFAULT_RIGHTS, Right
from timer_server.access.keys import CLIENTS_FOLDER, CurveFiles, Grant, make_client_keys, make_server_keys


class KeyRing:
    """A folder of keys. Clients' secrets lie beside the server's public file, as they would at the client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_server_keys(folder)
        self.files = CurveFiles(folder / "server.key_secret", folder / CLIENTS_FOLDER)

    def add(
        self,
        name: str,
        prefix: str = "",
        rights: frozenset[Right] = DEFAULT_RIGHTS,
        max_timers: int | None = None,
        role: str = "",
    ) -> None:
        """Makes a client's pair and allows it; with the role `server` that of another server."""
        make_client_keys(self.folder, name, self.folder, Grant(prefix, rights, max_timers, role))

    def remove(self, name: str) -> None:
        """Allows a client no longer; its pair stays."""
        self._allowed(name).unlink()

    def bind(
        self,
        name: str,
        prefix: str = "",
        rights: frozenset[Right] = DEFAULT_RIGHTS,
        max_timers: int | None = None,
    ) -> None:
        """Binds a client that is allowed to another prefix, and gives it other rights and another share."""
        self.remove(name)
        self.add(name, prefix, rights, max_timers)

    def options(self, name: str) -> dict[str, Any]:
        """What makes a plain socket a client's."""
        server = from_text((self.folder / "server.key").read_text())
        pair = from_text(self._secret(name).read_text())
        assert pair.secret is not None
        return {
            "curve_publickey": pair.public.encode(),
            "curve_secretkey": pair.secret.encode(),
            "curve_serverkey": server.public.encode(),
        }

    def settings(self, name: str, **others: Any) -> Settings:
        """What makes a `TimerClient` a client's."""
        return Settings(curve_client_secret=str(self._secret(name)), **others)

    def _secret(self, name: str) -> Path:
        return self.folder / f"{name}.key_secret"

    def _allowed(self, name: str) -> Path:
        return self.folder / CLIENTS_FOLDER / f"{name}.key"


@contextmanager
def calls(server: LocalServer, ring: KeyRing, name: str) -> Iterator[Requester]:
    """Calls methods with a client's keys."""
    with socket_to(zmq.REQ, server.commands, **ring.options(name)) as socket:
        yield Requester(socket)


@contextmanager
def hearing(server: LocalServer, ring: KeyRing, name: str, *topics: bytes) -> Iterator[zmq.Socket[bytes]]:
    """A subscriber with a client's keys that is known to be connected, as it has heard a beat."""
    with socket_to(zmq.SUB, server.events, **ring.options(name)) as socket:
        for topic in (*topics, b"~beat"):
            socket.subscribe(topic)
        while socket.recv_multipart()[0] != b"~beat":
            pass
        yield socket


def client(server: LocalServer, ring: KeyRing, name: str, **settings: Any) -> TimerClient:
    return TimerClient(settings=ring.settings(name, server=server.commands, events=server.events, **settings))


def next_topic(socket: zmq.Socket[bytes]) -> str:
    """The topic of the next event, beats aside."""
    while (topic := socket.recv_multipart()[0]) == b"~beat":
        pass
    return topic.decode()
