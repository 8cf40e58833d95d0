"""Servers that connect to each other, closed in the end, and a silence that is soon noticed."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from timer_server.wire import peer_link, peer_port
from wire.peer_servers import Server, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, which are closed afterwards."""
    with ExitStack() as stack:

        def started(*arguments: object, **options: object) -> Server:
            server = Server(*arguments, **options)  # type: ignore[arg-type]
            stack.callback(server.close)
            return server

        yield started


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after 200 ms."""
    for module in (peer_link, peer_port):
        monkeypatch.setattr(module, "HEARTBEAT_MS", 50)
        monkeypatch.setattr(module, "SILENCE_MS", 200)
    monkeypatch.setattr(peer_link, "_ANSWER_NS", 200_000_000)
    monkeypatch.setattr("timer_server.wire.peers._LOOK_NS", 100_000_000)
