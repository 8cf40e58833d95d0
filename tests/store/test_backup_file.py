"""Backups: what has its name is whole, what is not is refused, and a store that is made of one knows its ancestor."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from drivers.builders import entries_in
from drivers.file_damage import cuts, dice, flips, holes
from store.stores import changes, event, places, sqlite_store
from timer_server.core.ledger import LogEnds
from timer_server.core.model import Entry
from timer_server.store.base import Anchor, Header, StoreError
from timer_server.store.blocks import Row
from timer_server.store.sqlite.backup_file import check_backup, restore_backup, write_backup
from timer_server.store.sqlite.new_file import new_file
from timer_server.store.sqlite.schema import BACKUP_ID, VERSION

OLD, NEW = "log-0000001", "log-0000002"
ANCHOR = Anchor("a boot", 11, 22, 33)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "of today.backup"


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "restored.db"


def back_up(store: Path, file: Path, *places: int, spoil: Callable[[list[Row]], list[Row]] = list) -> None:
    """Commits events at these places, and keeps a copy of the store then, of which the rows may be spoilt."""
    opened = sqlite_store(store, OLD)
    try:
        opened.open()
        for place in places:
            opened.commit(changes(event(place, f"id/{place}")), ANCHOR)
        header = opened.begin_copy()
        write_backup(file, header, [spoil(opened.copy_on(2**20))])
    finally:
        opened.close()


@pytest.fixture
def backup(tmp_path: Path, file: Path) -> Path:
    """A backup of three events, each in a block of its own."""
    back_up(tmp_path / "timers.db", file, 1, 2, 3)
    return file


def opened(path: Path) -> tuple[Header, list[Entry]]:
    store = sqlite_store(path, "of no use")
    try:
        return store.open(), entries_in(store)
    finally:
        store.close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_store_made_of_one_has_a_new_id_and_its_ancestor_and_is_the_same_otherwise(backup: Path, to: Path) -> None:
    checked = check_backup(backup)
    assert checked == (Header(OLD, LogEnds(0, 0, 3, 3), 3000, ANCHOR), 3)

    before, after = restore_backup(backup, to, lambda: NEW)

    assert before == checked.header
    assert after == before._replace(log_id=NEW, ancestors={OLD: 3})
    header, entries = opened(to)
    assert header == after, "and there is nothing to warn of"
    assert (places(entries), entries) == ([1, 2, 3], opened(backup.parent / "timers.db")[1])
    assert to.stat().st_mode & 0o777 == backup.stat().st_mode & 0o777 == 0o600


def test_a_server_opens_none(backup: Path) -> None:
    with pytest.raises(StoreError, match=r"is a backup; `timer-server restore .* --to STORE` makes a store of it"):
        opened(backup)


def test_an_older_one_is_replaced_when_the_new_one_is_whole_and_not_before(backup: Path) -> None:
    store, before = backup.parent / "timers.db", backup.read_bytes()
    for spoil in (lambda rows: rows[1:], lambda rows: [(*rows[0][:3], 0), *rows[1:]]):
        with pytest.raises(StoreError, match="the store that it is a copy of is damaged"):
            back_up(store, backup, spoil=spoil)
        assert backup.read_bytes() == before
        assert not backup.with_name(f"{backup.name}.part").exists()

    back_up(store, backup, 4)
    assert check_backup(backup).entries == 4


def test_what_a_process_that_was_killed_has_left_is_in_nobodys_way(tmp_path: Path, file: Path) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(b"something" * 10_000)

    back_up(tmp_path / "timers.db", file, 1)

    assert check_backup(file).entries == 1
    assert not part.exists()


def test_two_processes_do_not_write_the_same_one(tmp_path: Path, file: Path) -> None:
    with new_file(file) as part:
        with pytest.raises(StoreError, match="is being written by another process"):
            back_up(tmp_path / "timers.db", file, 1)
        part.write_bytes(b"the first one's")
    assert file.read_bytes() == b"the first one's"


def test_a_damaged_one_is_refused_or_is_what_it_was(backup: Path, tmp_path: Path) -> None:
    content, chance = backup.read_bytes(), dice(5)
    expected = check_backup(backup)
    damaged = tmp_path / "damaged"
    sentences: list[str] = []
    for what, spoilt in [*flips(content, chance, 60), *cuts(content, chance, 10), *holes(content)]:
        damaged.write_bytes(spoilt)
        try:
            assert check_backup(damaged) == expected, what
        except StoreError as refusal:
            sentences.append(str(refusal))
    assert len(sentences) > 50
    assert all(str(damaged) in sentence and "\n" not in sentence for sentence in sentences)


class TestRefusals:
    def refused(self, said: str, work: Callable[[], object], folder: Path) -> None:
        before = files_of(folder)
        with pytest.raises(StoreError, match=said):
            work()
        assert files_of(folder) == before

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "No such file"),
            (b"", "is no backup of a timer server"),
            (b"something else", "is no backup of a timer server"),
        ],
    )
    def test_what_is_no_backup(self, file: Path, to: Path, content: bytes | None, said: str) -> None:
        if content is not None:
            file.write_bytes(content)
        self.refused(said, lambda: check_backup(file), file.parent)
        self.refused(said, lambda: restore_backup(file, to, lambda: NEW), file.parent)

    def test_a_folder(self, tmp_path: Path) -> None:
        self.refused("it is a folder, and has to be a file", lambda: check_backup(tmp_path), tmp_path)

    @pytest.mark.usefixtures("backup")
    def test_a_store(self, tmp_path: Path) -> None:
        self.refused("is a store, and no backup", lambda: check_backup(tmp_path / "timers.db"), tmp_path)

    def test_a_backup_of_a_newer_server(self, backup: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(backup)) as database:
            database.execute(f"PRAGMA user_version = {VERSION + 1}")
        self.refused("of a newer timer-server", lambda: check_backup(backup), tmp_path)

    def test_a_database_of_another_program(self, backup: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(backup)) as database:
            database.execute(f"PRAGMA application_id = {BACKUP_ID + 1}")
        self.refused("of another program", lambda: check_backup(backup), tmp_path)

    @pytest.mark.parametrize("suffix", ["", "-wal", "-mark", "-journal", "-reserve"])
    def test_to_make_a_store_where_there_is_something_of_one(self, backup: Path, to: Path, suffix: str) -> None:
        to.with_name(to.name + suffix).write_bytes(b"")
        self.refused("is there already", lambda: restore_backup(backup, to, lambda: NEW), to.parent)

    def test_to_make_a_store_where_there_is_no_folder(self, backup: Path, tmp_path: Path) -> None:
        to = tmp_path / "nowhere" / "timers.db"
        self.refused("its folder does not exist", lambda: restore_backup(backup, to, lambda: NEW), tmp_path)

    @pytest.mark.parametrize("name", ["timers.db", "timers.db-mark", "notes"])
    def test_to_write_a_backup_over_something_else(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "notes").write_text("of somebody")
        back_up(tmp_path / "timers.db", tmp_path / "first", 1)
        before = (tmp_path / name).read_bytes()

        with pytest.raises(StoreError, match="is there and is no backup that could be replaced"):
            back_up(tmp_path / "timers.db", tmp_path / name)

        assert name.startswith("timers.db") or (tmp_path / name).read_bytes() == before
        assert opened(tmp_path / "timers.db")[0].log_id == OLD
