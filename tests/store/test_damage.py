"""Files that are not what was written: a store says so, or is exactly what it was. Nothing in between."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import settings
from msgspec import msgpack

from drivers.builders import entries_in
from drivers.file_damage import Damaged, cuts, dice, flips, holes, stale_blocks, used_part
from store.stores import changes, event, other, sqlite_store
from timer_server.core.model import Entry, NewEntry
from timer_server.store.base import Anchor, Header, StoreError
from timer_server.store.blocks import to_row
from timer_server.store.sqlite.store import SqliteStore

NAME = "timers.db"
WAL = f"{NAME}-wal"
MARK = f"{NAME}-mark"
ANCHOR = Anchor("a boot", 2**40, 2**60, 2**60)

TRIES = 6 * settings.default.max_examples
"""Damages of each kind at random places, besides those that are always tried."""


class Files(NamedTuple):
    """The files of a store at one moment, and what a reader finds in them."""

    content: dict[str, bytes]
    header: Header
    entries: list[Entry]


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a store, without the room that they keep."""
    return {file.name: used_part(file.name, file.read_bytes()) for file in folder.glob(f"{NAME}*")}


def fill(store: SqliteStore, commits: range) -> None:
    """Twenty entries a commit, five of them no events. Every fifth commit prunes, and leaves two old entries: an event
    to which one in each commit refers, and one that is none."""
    for number in commits:
        places = range(20 * number + 1, 20 * number + 21)
        payload = b'"%s"' % (b"something for the row to hold " * 3)
        entries: list[NewEntry] = []
        for place in places:
            others = (place + 2) // 4
            is_large = place in {1, places[-1]}
            if place % 4 == 2:
                entries.append(other(place, others, body=payload))
            else:
                entries.append(event(place, f"id/{place}", others=others, payload=payload, spec_place=int(is_large)))
        horizon = 20 * (number - number % 5)
        obsolete = tuple(range(max(horizon - 99, 3), horizon + 1) if number % 5 == 0 else ())
        turn = changes(*entries, obsolete=obsolete, horizon=horizon, horizon_seq=horizon - horizon // 4)
        store.commit(turn, ANCHOR if number == 0 else None)


def read(folder: Path) -> tuple[Header, list[Entry]]:
    """What a store in the folder holds. Raises `StoreError`."""
    store = sqlite_store(folder / NAME)
    try:
        header = store.open()
        return header._replace(notices=()), entries_in(store)
    finally:
        store.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Closed in order: all is in the database."""
    folder = tmp_path_factory.mktemp("closed")
    store = sqlite_store(folder / NAME)
    store.open()
    fill(store, range(33))
    store.close()
    header, entries = read(folder)
    return Files(files_of(folder), header, entries)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """As a killed process leaves it: much is in the write-ahead log only."""
    folder, copied = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("copied")
    store = sqlite_store(folder / NAME)
    store.open()
    fill(store, range(11))
    store.close()
    store.open()
    fill(store, range(11, 23))
    content = files_of(folder)
    store.close()
    write(copied, content)
    header, entries = read(copied)
    assert len(content[WAL]) > 40_000
    assert header.ends.last_place == 460
    return Files(content, header, entries)


def write(folder: Path, content: dict[str, bytes]) -> None:
    """Makes these the only files of a store in the folder."""
    for file in folder.glob(f"{NAME}*"):
        file.unlink()
    for name, data in content.items():
        (folder / name).write_bytes(data)


def refusals(folder: Path, files: Files, name: str, damages: Iterator[Damaged]) -> tuple[int, int]:
    """How often a store was refused and how often it was what it had been. Anything else fails the test."""
    refused = same = 0
    for what, content in damages:
        write(folder, {**files.content, name: content})
        try:
            found = read(folder)
        except StoreError as error:
            sentence = str(error)
            assert sentence.isprintable(), (what, sentence)
            assert str(folder / NAME) in sentence, (what, sentence)
            assert "TIMER_STORE" in sentence, (what, sentence)
            refused += 1
        else:
            assert found == (files.header, files.entries), what
            same += 1
    return refused, same


class TestFiles:
    @pytest.mark.search
    @pytest.mark.parametrize("damage", [flips, cuts])
    def test_a_damaged_database(
        self, tmp_path: Path, closed: Files, damage: Callable[[bytes, Random, int], Iterator[Damaged]]
    ) -> None:
        refused, same = refusals(tmp_path, closed, NAME, damage(closed.content[NAME], dice(1), TRIES))

        assert refused > TRIES // 4
        assert same > 0 or damage is cuts  # what is in unused space may flip

    @pytest.mark.search
    @pytest.mark.parametrize("damage", [flips, cuts])
    def test_a_damaged_write_ahead_log_is_always_noticed(
        self, tmp_path: Path, killed: Files, damage: Callable[[bytes, Random, int], Iterator[Damaged]]
    ) -> None:
        refused, same = refusals(tmp_path, killed, WAL, damage(killed.content[WAL], dice(2), TRIES))

        assert refused > TRIES
        assert same == 0

    @pytest.mark.search
    @pytest.mark.parametrize("damage", [flips, cuts])
    def test_a_database_whose_newer_pages_are_in_the_write_ahead_log(
        self, tmp_path: Path, killed: Files, damage: Callable[[bytes, Random, int], Iterator[Damaged]]
    ) -> None:
        refused, same = refusals(tmp_path, killed, NAME, damage(killed.content[NAME], dice(3), TRIES // 3))

        assert refused > 0
        assert same > TRIES // 6  # most pages are in the log, and are read from there

    @pytest.mark.parametrize("damage", [flips, cuts])
    def test_a_damaged_mark_is_replaced(
        self, tmp_path: Path, killed: Files, damage: Callable[[bytes, Random, int], Iterator[Damaged]]
    ) -> None:
        refused, same = refusals(tmp_path, killed, MARK, damage(killed.content[MARK], dice(4), 10))

        assert refused == 0
        assert same > 10

    def test_blocks_that_are_empty(self, tmp_path: Path, closed: Files) -> None:
        refused, _ = refusals(tmp_path, closed, NAME, holes(closed.content[NAME]))

        assert refused > 5

    def test_blocks_that_were_never_written(self, tmp_path: Path, closed: Files) -> None:
        write(tmp_path, closed.content)
        store = sqlite_store(tmp_path / NAME)
        store.open()
        fill(store, range(33, 40))
        store.close()
        header, entries = read(tmp_path)
        later = Files(files_of(tmp_path), header, entries)

        refused, same = refusals(tmp_path, later, NAME, stale_blocks(later.content[NAME], closed.content[NAME]))

        assert refused > 3
        assert same <= 2  # the first block and the trunk of the free pages may be stale and still fit

    def test_a_database_gone_from_beside_its_mark(self, tmp_path: Path, closed: Files) -> None:
        (tmp_path / MARK).write_bytes(closed.content[MARK])

        with pytest.raises(StoreError, match="begin anew"):
            read(tmp_path)
        (tmp_path / MARK).unlink()

        assert read(tmp_path)[1] == []

    @pytest.mark.parametrize("empty", [{}, {NAME: b""}])
    def test_a_database_gone_from_beside_its_write_ahead_log(
        self, tmp_path: Path, killed: Files, empty: dict[str, bytes]
    ) -> None:
        write(tmp_path, {**empty, WAL: killed.content[WAL]})

        with pytest.raises(StoreError, match="begin anew"):
            read(tmp_path)

        assert (tmp_path / WAL).read_bytes() == killed.content[WAL]


def test_opening_makes_sure_of_what_it_builds_on(tmp_path: Path, killed: Files) -> None:
    """After an fsync that failed, the write-ahead log may be in memory only; what is in it is written once more."""
    write(tmp_path, killed.content)
    store = sqlite_store(tmp_path / NAME)
    store.open()
    opened = files_of(tmp_path)
    store.close()
    write(tmp_path, {NAME: opened[NAME]})

    assert opened[WAL] == bytes(32)  # it is empty without its header
    assert read(tmp_path) == (killed.header, killed.entries)


class TestRefusal:
    def test_leaves_a_cut_log_as_it_was_found(self, tmp_path: Path, killed: Files) -> None:
        content = {**killed.content, WAL: killed.content[WAL][:-1]}
        write(tmp_path, content)

        with pytest.raises(StoreError):
            read(tmp_path)

        assert {name: (tmp_path / name).read_bytes() for name in content} == content

    def test_leaves_a_damaged_database_as_it_was_found(self, tmp_path: Path, closed: Files) -> None:
        content = {**closed.content, NAME: closed.content[NAME][:-4096]}
        write(tmp_path, content)

        with pytest.raises(StoreError):
            read(tmp_path)

        assert files_of(tmp_path) == content

    def test_leaves_a_log_in_which_a_spec_is_missing_as_it_was_found(self, tmp_path: Path, closed: Files) -> None:
        """As a server with a fault of its own would have written it: nothing else is wrong with it."""
        write(tmp_path, closed.content)
        store = sqlite_store(tmp_path / NAME)
        ends = store.open().ends
        store.commit(changes(obsolete=(1,), horizon=ends.horizon, horizon_seq=ends.horizon_seq))
        store.close()
        content = files_of(tmp_path)

        with pytest.raises(StoreError, match=r"is damaged: entry 1 is missing, to which entry \d+ refers; restore"):
            read(tmp_path)

        assert files_of(tmp_path) == content


def test_an_entry_of_a_type_that_only_a_newer_server_knows_is_no_damage(tmp_path: Path) -> None:
    with closing(sqlite_store(tmp_path / NAME)) as store:
        store.open()
        store.commit(changes(event(1)))
        row = to_row(2, 1, [msgpack.encode([99, None, 2, 1, "news"])])
        store._database.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", row)
    content = files_of(tmp_path)

    with pytest.raises(StoreError, match=r"was written by a newer timer-server \(entry 2 .*; run that version"):
        read(tmp_path)

    assert files_of(tmp_path) == content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """An open store with some events, the first of which is old, and each in a block of its own."""
    opened = sqlite_store(path)
    opened.open()
    for place in range(1, 10):
        opened.commit(changes(event(place, f"id/{place}")), ANCHOR)
    opened.commit(changes(obsolete=(2, 3), horizon=3))
    yield opened
    opened.close()


class TestRows:
    @pytest.mark.parametrize(
        ("statement", "found"),
        [
            ("UPDATE blocks SET body = CAST(substr(body, 1, 8) || X'00' AS BLOB) WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET body = X'' WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET body = 'a text' WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET body = CAST(X'FFFE' AS TEXT) WHERE last_place = 5", "not UTF-8"),
            ("UPDATE blocks SET body = 12 WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET checksum = checksum + 1 WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET checksum = X'00' WHERE last_place = 5", "up to 5"),
            ("UPDATE blocks SET last_place = 10 WHERE last_place = 9", "up to 10"),
            ("UPDATE blocks SET last_place = -1 WHERE last_place = 9", "up to -1"),
            ("UPDATE blocks SET last_seq = 8 WHERE last_place = 9", "up to 9"),
            ("UPDATE blocks SET last_seq = 'many' WHERE last_place = 9", "up to 9"),
            ("INSERT OR REPLACE INTO blocks SELECT 5, 5, body, checksum FROM blocks WHERE last_place = 6", "up to 5"),
            ("DELETE FROM blocks WHERE last_place = 1", "holds 6 entries, and should hold 7"),
            ("DELETE FROM blocks WHERE last_place = 4", "entry 4 is missing"),
            ("DELETE FROM blocks WHERE last_place = 6", "entry 6 is missing"),
            ("DELETE FROM blocks WHERE last_place = 9", "ends at entry 8"),
            ("DELETE FROM blocks", "ends at entry 3"),
            ("DELETE FROM header", "header"),
            ("UPDATE header SET body = X'00'", "header"),
            ("UPDATE header SET body = 'text'", "header"),
            ("UPDATE header SET checksum = -1", "header"),
            ("DROP TABLE header", "header"),
            ("DROP TABLE blocks", "blocks"),
            ("PRAGMA user_version = 0", "version is 0"),
        ],
    )
    def test_altered_ones_are_refused(self, store: SqliteStore, path: Path, statement: str, found: str) -> None:
        store._database.execute(statement)
        store.close()

        with pytest.raises(StoreError, match=r"is damaged: .*; restore a copy") as refusal:
            read(path.parent)
        assert found in str(refusal.value)
        assert str(refusal.value).isprintable()

    def test_a_header_of_an_earlier_commit_is_noticed_without_the_mark(self, store: SqliteStore, path: Path) -> None:
        earlier = store._database.execute("SELECT body, checksum FROM header").fetchone()
        store.commit(changes(event(10), obsolete=(4,), horizon=4))
        store._database.execute("UPDATE header SET body = ?, checksum = ?", earlier)
        store.close()
        path.with_name(MARK).unlink()

        with pytest.raises(StoreError, match="entry 4 is missing"):
            read(path.parent)

    def test_a_header_from_before_what_was_only_appended_says_the_same(self, store: SqliteStore, path: Path) -> None:
        earlier = store._database.execute("SELECT body, checksum FROM header").fetchone()
        store.commit(changes(event(10), event(11), horizon=3))
        store.look_after()
        later = store._database.execute("SELECT body, checksum FROM header").fetchone()
        store.close()
        expected = read(path.parent)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE header SET body = ?, checksum = ?", earlier)

        assert earlier != later
        assert read(path.parent) == expected

    def test_a_block_behind_the_header_that_is_gone_is_told_by_the_mark(self, store: SqliteStore, path: Path) -> None:
        store.commit(changes(event(10), horizon=3))
        store._database.execute("DELETE FROM blocks WHERE last_place = 10")
        store.close()

        with pytest.raises(StoreError, match=r"entry 9\), but .* \(entry 10\) had been acknowledged"):
            read(path.parent)

    def test_an_altered_block_behind_the_header_is_refused(self, store: SqliteStore, path: Path) -> None:
        store.commit(changes(event(10), event(11), horizon=3))
        store._database.execute("UPDATE blocks SET checksum = checksum + 1 WHERE last_place = 11")
        store.close()

        with pytest.raises(StoreError, match="the block of entries up to 11 does not match its checksum; restore"):
            read(path.parent)

    def test_one_that_is_altered_while_the_server_runs(self, store: SqliteStore) -> None:
        store._database.execute("UPDATE blocks SET body = zeroblob(length(body)) WHERE last_place = 5")

        assert store.entry(4) == event(4, "id/4")
        for read_all in (store.blocks_after, store.blocks_after_seq):
            with pytest.raises(StoreError, match="up to 5"):
                list(read_all(3))
        with pytest.raises(StoreError, match="up to 5"):
            store.entry(5)

    def test_what_is_said_quotes_no_payload(self, store: SqliteStore, path: Path) -> None:
        store._database.execute("UPDATE blocks SET body = CAST(X'FF534543524554' AS TEXT) WHERE last_place = 5")
        store.close()

        with pytest.raises(StoreError) as refusal:
            read(path.parent)
        assert "SECRET" not in str(refusal.value)
