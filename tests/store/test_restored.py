"""A store that was copied back goes on under an id of its own, and knows of which logs it is a copy."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drivers.builders import entries_in
from store.stores import changes, event, places, sqlite_store
from timer_server.core.ledger import LogEnds
from timer_server.store.base import Anchor, Header, StoreError

FIRST, SECOND, THIRD = "log-0000001", "log-0000002", "log-0000003"
ANCHOR = Anchor("a boot", 11, 22, 33)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timers.db"


def grow(path: Path, log_id: str, *place: int) -> None:
    """Commits an event at each of these places; a log that is new gets this id."""
    store = sqlite_store(path, log_id)
    store.open()
    for number in place:
        store.commit(changes(event(number)), ANCHOR)
    store.close()


def restored(path: Path, log_id: str) -> tuple[Header, Header]:
    store = sqlite_store(path, log_id)
    try:
        return store.restored()
    finally:
        store.close()


def opened(path: Path) -> tuple[Header, list[int]]:
    store = sqlite_store(path)
    try:
        return store.open(), places(entries_in(store))
    finally:
        store.close()


def files_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def test_it_has_a_new_id_and_its_ancestor_at_the_last_seq_and_is_the_same_otherwise(path: Path) -> None:
    grow(path, FIRST, 1, 2, 3)

    before, after = restored(path, SECOND)

    assert before == Header(FIRST, LogEnds(0, 0, 3, 3), 3000, ANCHOR)
    assert after == before._replace(log_id=SECOND, ancestors={FIRST: 3})
    assert opened(path) == (after, [1, 2, 3])


def test_it_goes_on_where_the_copy_ends_and_may_be_restored_again(path: Path) -> None:
    grow(path, FIRST, 1, 2)
    restored(path, SECOND)
    grow(path, "of no use", 3, 4)
    restored(path, THIRD)
    grow(path, "of no use", 5)

    header, found = opened(path)

    assert (header.log_id, header.ancestors) == (THIRD, {FIRST: 2, SECOND: 4})
    assert found == [1, 2, 3, 4, 5]


def test_the_mark_is_not_asked_be_it_ahead_or_of_another_store_or_missing(path: Path) -> None:
    """What the log was acknowledged to hold beyond the copy is given up; from then on the mark counts as ever."""
    mark, copy = path.with_name("timers.db-mark"), path.with_name("copy")
    grow(path, FIRST, 1, 2)
    shutil.copy(path, copy)
    grow(path, "of no use", 3)
    ahead = mark.read_bytes()
    grow(path.with_name("another.db"), "another log", 1, 2, 3)
    of_another = path.with_name("another.db-mark").read_bytes()

    for content in (ahead, of_another, None, b"no mark"):
        shutil.copy(copy, path)
        mark.unlink() if content is None else mark.write_bytes(content)
        _, after = restored(path, SECOND)
        assert opened(path) == (after, [1, 2])

    shutil.copy(path, copy)
    grow(path, "of no use", 3)
    shutil.copy(copy, path)
    with pytest.raises(StoreError, match="had been acknowledged"):
        opened(path)


def test_what_is_in_the_write_ahead_log_of_the_copy_counts(path: Path, tmp_path: Path) -> None:
    """A copy of the files of a server that runs, or was killed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    store = sqlite_store(path, FIRST)
    store.open()
    store.commit(changes(event(1), event(2)))
    for name in ("timers.db", "timers.db-wal"):
        shutil.copy(tmp_path / name, folder)
    store.close()

    assert restored(folder / "timers.db", SECOND)[1].ancestors == {FIRST: 2}
    assert opened(folder / "timers.db")[1] == [1, 2]


class TestRefusals:
    def refused(self, path: Path, said: str) -> None:
        before = files_of(path)
        with pytest.raises(StoreError, match=said) as refusal:
            restored(path, SECOND)
        assert str(path) in str(refusal.value)
        assert files_of(path) == before

    def test_a_store_that_is_missing(self, path: Path) -> None:
        self.refused(path, "missing or empty")

    def test_a_file_that_is_empty(self, path: Path) -> None:
        path.touch()

        self.refused(path, "missing or empty")

    def test_a_store_to_which_nothing_was_ever_committed(self, path: Path) -> None:
        grow(path, FIRST)

        self.refused(path, "holds nothing that could have been restored")

    def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_text("something else")

        self.refused(path, "is not a database")

    def test_a_database_that_is_damaged(self, path: Path) -> None:
        grow(path, FIRST, 1)
        path.write_bytes(path.read_bytes()[:-1])

        self.refused(path, "is damaged")

    def test_a_log_in_which_something_is_missing(self, path: Path) -> None:
        grow(path, FIRST, 1, 2)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM blocks WHERE last_place = 1")

        self.refused(path, "entry 1 is missing")

    def test_one_that_a_server_has_open(self, path: Path) -> None:
        store = sqlite_store(path, FIRST)
        store.open()
        store.commit(changes(event(1)))

        with pytest.raises(StoreError, match="another timer-server has it open"):
            restored(path, SECOND)

        store.commit(changes(event(2)))
        store.close()
        assert opened(path)[0].log_id == FIRST
