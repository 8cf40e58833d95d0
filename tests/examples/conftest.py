"""Where examples find their server: in the environment, as a user says it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_server import LocalServer
from timer_testing import TimerServer


@pytest.fixture
def server(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> LocalServer:
    """A server whose time passes."""
    monkeypatch.setenv("TIMER_SERVER", server.commands)
    monkeypatch.setenv("TIMER_EVENTS", server.events)
    return server


@pytest.fixture
def standing_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TimerServer]:
    """A server whose time the test moves: on a Thursday at noon."""
    with TimerServer(datetime(2027, 3, 25, 12, tzinfo=UTC)) as running:
        monkeypatch.setenv("TIMER_SERVER", running.server)
        monkeypatch.setenv("TIMER_EVENTS", running.events)
        yield running
