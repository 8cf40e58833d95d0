"""What tests of several folders share: servers in a thread and in a process, and the images."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import hypothesis_profiles  # noqa: F401 - they are loaded before the tests that use them
from drivers.docker_engine import build_images, engine_fault, is_required, remove_images
from drivers.peers import Requester, requester
from drivers.runs import this_run
from drivers.server_process import ServerProcess
from local_server import LocalServer
from postgres_store import close_shared_cluster

TESTS = Path(__file__).parent
LONGEST_FIRST = [TESTS.parent / line for line in (TESTS / "longest_first.txt").read_text().split()]
"""Files of tests that take seconds, the longest first."""

WORKERS_A_CORE = 3
"""Some tests wait for servers and containers. Each worker costs the time in which it imports and collects all tests."""

MOST_WORKERS = 8


def pytest_configure() -> None:
    this_run()  # workers are to be part of the run that starts them
    ServerProcess.is_forked = True
    gc.disable()  # what is collected stays: the garbage collector would go over it again and again


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    if config.getoption("numprocesses") == "logical":
        return None  # one a core
    return min(WORKERS_A_CORE * (os.cpu_count() or 1), MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the files that take long, so that no worker is left alone with one in the end."""
    places = {path: place for place, path in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    close_shared_cluster()
    if not hasattr(session.config, "workerinput"):
        remove_images()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A run in the background of a shell ignores Ctrl-C, and so would every program that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server in this process with its timers in memory."""
    with LocalServer() as running:
        yield running


@pytest.fixture
def rpc(server: LocalServer) -> Iterator[Requester]:
    """Calls methods of `server`."""
    with requester(server.commands) as calls:
        yield calls


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server in a process of its own with its timers on disk."""
    with ServerProcess(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def tag() -> str:
    """Both images, under a tag that only this run uses. Without an engine it skips, unless one is required."""
    fault = engine_fault()
    if fault is not None and is_required():
        pytest.fail(f"REQUIRE_CONTAINERS=1, but no Docker engine with compose answers ({fault})", pytrace=False)
    if fault is not None:
        pytest.skip(f"no Docker engine with compose answers ({fault})")
    return build_images()
