"""Container tests need a Docker engine with compose; each file has projects of its own that go when it ends."""

from pathlib import Path

import pytest

from drivers.docker_engine import engine_fault, is_required
from drivers.stack import BUILD_LIMIT_S

# A test's limits are on its waits; this one ends it in order, with its containers removed, if they all fail.
TEST_LIMIT_S = BUILD_LIMIT_S + 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = f"{Path(__file__).parent}/"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.containers)
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S, method="signal"))


def pytest_collect_file() -> None:
    """Skips the folder where no engine answers: here, it is one line for all of its files."""
    if (fault := engine_fault()) is not None and not is_required():
        pytest.skip(f"container tests skipped: no Docker engine with compose answers ({fault})")
