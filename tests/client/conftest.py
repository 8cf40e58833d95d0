"""Clients and a scripted server for the tests of this folder."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from client.fake_server import FakeServer
from client.workers import patient
from drivers.both_clients import AwaitableDriver, BlockingDriver, Driver
from local_server import LocalServer
from timer_client import Settings, TimerClient

Connect = Callable[..., Driver]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TIMER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A scripted server."""
    with FakeServer() as server:
        yield server


@pytest.fixture(params=[BlockingDriver, AwaitableDriver], ids=["blocking", "awaitable"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of either kind, and closes them."""
    drivers: list[Driver] = []

    def connected(settings: Settings, **options: Any) -> Driver:
        drivers.append(request.param(settings, **options))
        return drivers[-1]

    yield connected
    for driver in drivers:
        driver.end()


@pytest.fixture
def rest(server: LocalServer) -> Iterator[TimerClient]:
    """Everybody else who uses the server, and is patient."""
    with TimerClient(settings=patient(server)) as others:
        yield others
