"""Room on the disk that is taken before it is needed. `tests/process/test_full_disk.py` has a disk that is full."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers.builders import entries_in
from store.stores import changes, event, places, sqlite_store
from timer_server.store.base import StoreError
from timer_server.store.sqlite.room import LOG_BYTES
from timer_server.store.sqlite.store import SqliteStore

BLOCK = 4096
PAYLOAD = b'"%s"' % (b"x" * 60_000)
KEPT_BYTES = LOG_BYTES // 2


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
    """An open store that has taken its room."""
    with closing(sqlite_store(path)) as opened:
        opened.open()
        opened.look_after()
        yield opened


def size(path: Path, suffix: str = "") -> int:
    file = path.with_name(path.name + suffix)
    return file.stat().st_size if file.exists() else 0


def blocks_bytes(path: Path, suffix: str = "") -> int:
    return path.with_name(path.name + suffix).stat().st_blocks * 512


def free(monkeypatch: pytest.MonkeyPatch, path: Path, free_bytes: int, all_bytes: int = 2**30) -> None:
    """From now on the disk has so much room beside what the store has taken."""
    most_bytes = free_bytes + taken_bytes(path)

    def disk(_: int) -> Disk:
        return Disk((most_bytes - taken_bytes(path)) // BLOCK, all_bytes // BLOCK)

    monkeypatch.setattr(os, "fstatvfs", disk)


def taken_bytes(path: Path) -> int:
    return size(path) + size(path, "-wal")


def fill(store: SqliteStore, first: int = 1) -> int:
    """Commits until the store refuses, at most 20 MB; returns how many commits succeeded."""
    for place in range(first, first + 320):
        try:
            store.commit(changes(event(place, payload=PAYLOAD)))
        except StoreError:
            return place - first
    return 320


def test_the_room_for_the_log_and_for_writing_it_back_is_taken_always(store: SqliteStore, path: Path) -> None:
    for place in range(1, 200):
        store.commit(changes(event(place, payload=PAYLOAD)))
        assert (size(path, "-wal"), blocks_bytes(path, "-wal") >= LOG_BYTES) == (LOG_BYTES, True)
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        assert blocks_bytes(path) >= pages * BLOCK
    assert pages * BLOCK > LOG_BYTES


def test_a_store_that_is_closed_gives_it_back(store: SqliteStore, path: Path) -> None:
    store.commit(changes(event(1)))
    store.close()
    assert size(path, "-wal") == 0
    assert size(path) < 2**16


def test_a_store_that_failed_keeps_it(store: SqliteStore, path: Path) -> None:
    for place in range(1, 11):
        store.commit(changes(event(place, payload=PAYLOAD)))
    with pytest.raises(StoreError):
        store.commit(changes(event(1)))
    store.close()
    assert (size(path, "-wal"), size(path) > LOG_BYTES) == (LOG_BYTES, True)

    store.open()  # writes the log back, and keeps its room
    assert places(entries_in(store)) == list(range(1, 11))
    assert (size(path, "-wal"), size(path) > LOG_BYTES) == (LOG_BYTES, True)


def test_a_store_on_a_full_disk_keeps_it(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, path, 0)
    store.look_after()
    store.close()
    assert size(path, "-wal") == LOG_BYTES


def test_what_is_written_back_needs_no_room(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, path, 0)
    assert fill(store) > 40
    store.close()
    size_before = size(path)

    header = store.open()
    assert header.is_short_of_room
    assert header.notices[0].text == "the disk is nearly full"
    assert size(path) <= size_before


def test_what_is_left_is_told_before_the_room_for_ends_is_used(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, path, 2**29)
    left_bytes = store.look_after()
    assert left_bytes is not None
    assert abs(left_bytes - 2**29 - KEPT_BYTES) < 2**18
    free(monkeypatch, path, 0)
    place = 0
    while (store.look_after() or 0) > 0:
        place += 1
        store.commit(changes(event(place, payload=PAYLOAD)))
    assert abs(place * len(PAYLOAD) - KEPT_BYTES) < 2**18
    for ended in range(place + 1, place + 31):
        store.commit(changes(event(ended, payload=PAYLOAD)))


def test_it_may_grow_again_once_there_is_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, path, 0)
    with closing(sqlite_store(path)) as store:
        (notice,) = store.open().notices
        assert (notice.text, notice.figures["may_grow_bytes"]) == ("the disk is nearly full", 0)
        free(monkeypatch, path, 2**29)
        store.look_after()
        store.commit(changes(event(1, payload=PAYLOAD)))
        assert store.look_after()


def test_on_a_full_disk_what_is_forgotten_makes_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite_store(path)) as store:
        store.open()
        store.commit(changes(*(event(place, payload=PAYLOAD) for place in (1, 2, 3))))
    free(monkeypatch, path, 0)
    with closing(store):
        store.open()
        for place in range(4, 20):
            store.commit(changes(event(place, payload=PAYLOAD), obsolete=(place - 3,), horizon=place - 3))
        assert places(entries_in(store)) == [17, 18, 19]


def test_a_large_turn_gets_the_room_that_it_needs(store: SqliteStore, path: Path) -> None:
    store.commit(changes(*(event(place, payload=PAYLOAD) for place in range(1, 201))))
    assert size(path, "-wal") > 2 * LOG_BYTES
    store.commit(changes(event(201)))
    assert size(path, "-wal") == LOG_BYTES
    assert places(entries_in(store)) == list(range(1, 202))


def test_a_system_that_tells_nothing_sets_no_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, path, 0, all_bytes=0)
    with closing(sqlite_store(path)) as store:
        assert not store.open().notices
        assert store.look_after() is None
        assert fill(store) == 320


def test_a_log_that_was_kept_while_the_store_closed_is_taken_up(store: SqliteStore, path: Path) -> None:
    store.commit(changes(event(1)))
    store.close()
    path.with_name("timers.db-reserve").write_bytes(bytes(LOG_BYTES))

    store.open()
    assert places(entries_in(store)) == [1]
    assert (size(path, "-wal"), size(path, "-reserve")) == (LOG_BYTES, 0)
