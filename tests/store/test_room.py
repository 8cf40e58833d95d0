"""Room on the disk that is kept for the write-ahead log. `tests/process/test_full_disk.py` has a disk that is full."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from store.stores import changes, event, places, sqlite_store
from timer_server.store.base import StoreError
from timer_server.store.sqlite.room import LOG_MOST_BYTES
from timer_server.store.sqlite.store import SqliteStore

BLOCK = 4096
PAYLOAD = b'"%s"' % (b"x" * 60_000)


class Disk(NamedTuple):
    """What a file system says of itself."""

    f_bavail: int
    f_blocks: int = 2**30 // BLOCK
    f_frsize: int = BLOCK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timers.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """An open store."""
    with closing(sqlite_store(path)) as opened:
        opened.open()
        yield opened


def size(path: Path, suffix: str) -> int:
    file = path.with_name(path.name + suffix)
    return file.stat().st_size if file.exists() else 0


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int, all_bytes: int = 2**30) -> None:
    """From now on the disk has so much room."""
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(free_bytes // BLOCK, all_bytes // BLOCK))


def fill(store: SqliteStore, first: int = 1) -> int:
    """Commits until the store refuses, at most 100 MB; returns how many commits succeeded."""
    for place in range(first, first + 1600):
        try:
            store.commit(changes(event(place, payload=PAYLOAD)))
        except StoreError:
            return place - first
    return 1600


def test_the_reserve_is_never_smaller_than_the_log(store: SqliteStore, path: Path) -> None:
    for place in range(1, 200):
        store.commit(changes(event(place, payload=PAYLOAD)))
        assert size(path, "-wal") <= size(path, "-reserve") <= size(path, "-wal") + 2**19
    assert 2**21 < size(path, "-wal") < LOG_MOST_BYTES


def test_it_stays_where_the_log_does(store: SqliteStore, path: Path) -> None:
    store.close()
    assert (size(path, "-wal"), size(path, "-reserve")) == (0, 0)

    store.open()
    store.commit(changes(event(1)))
    with pytest.raises(StoreError):
        store.commit(changes(event(1)))
    store.close()
    assert size(path, "-reserve") >= size(path, "-wal") > 0


def test_the_database_grows_until_there_is_room_for_the_log_and_its_reserve_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 3 * LOG_MOST_BYTES)
    store = sqlite_store(path)
    with closing(store):
        assert not store.open().notices
        assert 0.9 < fill(store) * len(PAYLOAD) / LOG_MOST_BYTES < 1


def test_it_may_grow_again_once_there_is_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0)
    store = sqlite_store(path)
    with closing(store):
        (notice,) = store.open().notices
        assert (notice.text, notice.figures["may_grow_bytes"]) == ("the disk is nearly full", 0)
        free(monkeypatch, 2**29)
        store.look_after()
        store.commit(changes(event(1, payload=PAYLOAD)))
        free(monkeypatch, 0)
        store.look_after()
        assert fill(store, first=2) < 3


def test_on_a_full_disk_what_is_forgotten_makes_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite_store(path)
    with closing(store):
        store.open()
        store.commit(changes(*(event(place, payload=PAYLOAD) for place in (1, 2, 3))))
    free(monkeypatch, 0)
    with closing(store):
        store.open()
        for place in range(4, 20):
            store.commit(changes(event(place, payload=PAYLOAD), obsolete=(place - 3,), horizon=place - 3))
        assert places(store.load()) == [17, 18, 19]


def test_a_system_that_tells_nothing_sets_no_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0, all_bytes=0)
    store = sqlite_store(path)
    with closing(store):
        assert not store.open().notices
        assert fill(store) == 1600
