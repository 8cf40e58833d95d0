"""A disk that is full: timers only end, and there is room again by itself once retention is over."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

import pytest

from campaigns.disk_script import Batch, Told, all_timers
from campaigns.disk_space import NoMount, small_file_system
from drivers.peers import requester
from drivers.server_process import ServerProcess

LONG, SHORT = {"TIMER_RETENTION_S": "86400"}, {"TIMER_RETENTION_S": "1"}


@pytest.fixture(params=["size=6m", pytest.param("size=24m", marks=pytest.mark.thorough)])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    try:
        with small_file_system(tmp_path, request.param) as place:
            yield place
    except NoMount as reason:
        pytest.skip(str(reason))


def short_lived(name: str) -> Iterator[Batch]:
    """Timers that end at once, with as much payload as they may have."""
    for number in count():
        names = [f"{name}/{number}/{part}" for part in range(5)]
        yield [("timer.start", {"id": timer_id, "hours": 1, "payload": "x" * 60_000}) for timer_id in names]
        yield [("timer.cancel", {"id": timer_id}) for timer_id in names]


def fill(server: ServerProcess, name: str) -> Told:
    """Starts timers until there is no room for more, which is said. The server goes on."""
    told = Told()
    (refused,) = told.play(server.commands, short_lived(name), lambda: server.has_ended)
    assert "limit_reached" in refused
    told.in_doubt = []
    return told


def take_all(filler: Path) -> None:
    """Another program takes what room there is."""
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_timers_only_end_until_retention_is_over(disk: Path) -> None:
    with ServerProcess(disk, LONG) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="ends", seconds=0.5)
        rpc.call("timer.start", id="cancelled", hours=1)
        told = fill(server, "first")
        assert told.changes > 0
        assert rpc.call("timer.cancel", id="cancelled")["state"] == "cancelled"
        assert rpc.call("timer.wait", id="ends", wait_ms=5_000)["state"] == "fired"
    for _ in range(2):  # what a restart leaves is enough for the next one
        with ServerProcess(disk, LONG) as server:
            assert not told.lost(all_timers(server.commands))
            fill(server, "more")
    time.sleep(1.1)  # retention has to be over
    with ServerProcess(disk, SHORT) as server:
        again, until_s = Told(), time.monotonic() + 15
        while again.changes < told.changes / 2 and time.monotonic() < until_s:  # retention goes on meanwhile
            some = islice(short_lived(f"second/{again.changes}"), 10)
            again.play(server.commands, some, lambda: server.has_ended)
        assert again.changes >= told.changes / 2


def test_also_where_others_fill_it_whenever_they_can(disk: Path) -> None:
    filler = disk / "filler"
    told = Told()
    with ServerProcess(disk, LONG) as server:
        assert not told.play(server.commands, islice(short_lived("first"), 4), lambda: server.has_ended)
        take_all(filler)
        server.kill()
    for _ in range(2):
        take_all(filler)
        with ServerProcess(disk, LONG) as server:
            take_all(filler)
            assert not told.lost(all_timers(server.commands))
            fill(server, "more")
        take_all(filler)
    time.sleep(1.1)  # retention has to be over
    take_all(filler)
    with ServerProcess(disk, SHORT) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="new", hours=1, payload="x" * 20_000)
