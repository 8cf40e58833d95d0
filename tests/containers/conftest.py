"""Container tests need a Docker engine with compose; each has a compose project of its own that goes when it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.docker_engine import engine_fault, is_required
from drivers.runs import new_project
from drivers.stack import BUILD_LIMIT_S, Stack

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


@pytest.fixture
def stack(tag: str) -> Iterator[Stack]:
    """A project of the test's own, for tests that start, stop or cut something."""
    yield from _project(tag)


@pytest.fixture(scope="session")
def shared(tag: str) -> Iterator[Stack]:
    """A project with a healthy server, for tests that leave it as it is."""
    for project in _project(tag):
        project.up()
        yield project


def _project(tag: str) -> Iterator[Stack]:
    project = Stack(new_project(), tag)
    try:
        yield project
    finally:
        project.close()
