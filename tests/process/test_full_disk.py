"""A disk that is full: the server ends, starts again, and has room again by itself once retention is over."""

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


@pytest.fixture(params=["size=6m", "size=24m"])
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
    """Starts timers until there is no room for more, which is said."""
    told = Told()
    assert not told.play(server.commands, short_lived(name), lambda: server.has_ended)
    assert server.wait() == 1
    assert any("is full" in line["event"] for line in server.lines)
    return told


def test_the_server_starts_again_and_has_room_once_retention_is_over(disk: Path) -> None:
    with ServerProcess(disk, LONG) as server:
        told = fill(server, "first")
    assert told.changes > 0
    for _ in range(3):  # what a restart leaves is enough for the next one
        with ServerProcess(disk, LONG) as server:
            assert not told.lost(all_timers(server.commands))
            fill(server, "more")
    for name in ("second", "third"):
        time.sleep(1.1)  # retention has to be over
        with ServerProcess(disk, SHORT) as server:
            assert fill(server, name).changes >= told.changes / 2


def test_also_where_others_have_filled_it(disk: Path) -> None:
    filler = disk / "filler"
    with ServerProcess(disk, LONG) as server:
        told = Told()
        assert not told.play(server.commands, islice(short_lived("first"), 4), lambda: server.has_ended)
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        fill(server, "more")
    with ServerProcess(disk, LONG) as server:
        assert not told.lost(all_timers(server.commands))
    time.sleep(1.1)  # retention has to be over
    with ServerProcess(disk, SHORT) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="new", hours=1, payload="x" * 20_000)
