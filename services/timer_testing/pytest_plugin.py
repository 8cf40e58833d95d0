"""Fixtures for pytest. In `conftest.py`: `pytest_plugins = ["timer_testing.pytest_plugin"]`."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import pytest

from timer_testing.server import TimerServer


@pytest.fixture
def timer_server_begin() -> datetime | None:
    """When the test begins, by default now. To be overridden by a fixture or `parametrize`."""
    return None


@pytest.fixture
def timer_server_settings() -> Mapping[str, str]:
    """Variables of the server, by default none. To be overridden by a fixture or `parametrize`."""
    return {}


@pytest.fixture
def timer_server(
    timer_server_begin: datetime | None, timer_server_settings: Mapping[str, str]
) -> Iterator[TimerServer]:
    """A server with no timers, whose clock stands until the test moves it."""
    with TimerServer(timer_server_begin, timer_server_settings) as server:
        yield server
