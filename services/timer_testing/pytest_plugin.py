"""A fixture for pytest. In `conftest.py`: `pytest_plugins = ["timer_testing.pytest_plugin"]`."""

from collections.abc import Iterator

import pytest

from timer_testing.server import TimerServer


@pytest.fixture
def timer_server() -> Iterator[TimerServer]:
    """A server with no timers, whose clock stands until the test moves it."""
    with TimerServer() as server:
        yield server
