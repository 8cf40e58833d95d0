"""What only the store in SQLite has: files that may be anything, locks, and a disk."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_S, entries_in
from store.stores import changes, event, places, sqlite_store
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, StartParams
from timer_server.core.engine import Engine
from timer_server.core.ledger import LogEnds
from timer_server.store.base import Header, StoreError
from timer_server.store.log import Log
from timer_server.store.sqlite import store as store_module
from timer_server.store.sqlite.schema import SELECT_STATE
from timer_server.store.sqlite.store import SqliteStore
from timer_server.store.state import row_to_state

SOMEBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timers.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """An open store."""
    opened = sqlite_store(path)
    opened.open()
    yield opened
    opened.close()


def pragma(store: SqliteStore, name: str) -> object:
    """A setting of the connection that the store writes through."""
    return store._database.execute(f"PRAGMA {name}").fetchone()[0]


def refused(path: Path) -> str:
    """The sentence with which a store refuses to open."""
    store = sqlite_store(path)
    try:
        with pytest.raises(StoreError) as refusal:
            store.open()
    finally:
        store.close()
    sentence = str(refusal.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


@contextmanager
def as_somebody(folder: Path) -> Iterator[Path]:
    """Gives a folder, in which the code runs as a user to whom permissions matter."""
    if os.geteuid() != 0:
        yield folder
        return
    with TemporaryDirectory() as own:  # pytest's are closed to all others
        os.chown(own, SOMEBODY, SOMEBODY)
        os.seteuid(SOMEBODY)
        try:
            yield Path(own)
        finally:
            os.seteuid(0)


class TestDurability:
    def test_every_commit_is_synced(self, store: SqliteStore) -> None:
        assert pragma(store, "journal_mode") == "wal"
        assert pragma(store, "synchronous") == 2  # FULL
        assert pragma(store, "cell_size_check") == 1

    def test_still_so_after_reopening(self, store: SqliteStore) -> None:
        store.close()
        store.open()

        assert pragma(store, "journal_mode") == "wal"
        assert pragma(store, "synchronous") == 2

    def test_what_was_committed_is_there_without_a_close(self, store: SqliteStore, path: Path, tmp_path: Path) -> None:
        """As after kill -9: the files as they are at that moment, opened elsewhere."""
        store.commit(changes(event(1), event(2)))
        copied = tmp_path / "copy"
        copied.mkdir()
        for file in tmp_path.glob("timers.db*"):
            (copied / file.name).write_bytes(file.read_bytes())

        restarted = sqlite_store(copied / path.name)
        assert restarted.open().ends.last_place == 2
        assert places(entries_in(restarted)) == [1, 2]
        restarted.close()

    def test_a_commit_that_fails_leaves_nothing_behind(self, store: SqliteStore) -> None:
        store.commit(changes(event(1)))
        store.commit(changes(event(2)))

        with pytest.raises(StoreError):
            store.commit(changes(event(3), event(2), obsolete=(1,), horizon=1))

        store.close()
        header = store.open()
        assert places(entries_in(store)) == [1, 2]
        assert header.ends == LogEnds(0, 0, 2, 2)

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.commit(changes(event(2))),
            entries_in,
            lambda store: store.entry(1),
            lambda store: list(store.blocks_after(0)),
            lambda store: list(store.blocks_after_seq(0)),
        ],
        ids=["commit", "load", "entry", "blocks_after", "blocks_after_seq"],
    )
    def test_a_broken_database_is_a_store_error(self, store: SqliteStore, use: Callable[[SqliteStore], object]) -> None:
        store.commit(changes(event(1)))
        store._database.execute("DROP TABLE blocks")

        with pytest.raises(StoreError):
            use(store)

    def test_a_full_disk_is_a_store_error(self, store: SqliteStore) -> None:
        store.commit(changes(event(1)))
        store._database.execute("PRAGMA max_page_count = 8")

        with pytest.raises(StoreError, match="full"):
            store.commit(changes(event(2, payload=b'"' + b"x" * 100_000 + b'"')))


class TestRefusals:
    def test_one_that_is_open_elsewhere(self, store: SqliteStore, path: Path) -> None:
        assert "another timer-server has it open" in refused(path)

        store.commit(changes(event(1)))
        assert places(entries_in(store)) == [1]

    @pytest.mark.parametrize("statement", ["BEGIN EXCLUSIVE", "BEGIN; SELECT * FROM header"])
    def test_one_that_another_program_holds(self, store: SqliteStore, path: Path, statement: str) -> None:
        store.close()
        with closing(sqlite3.connect(path)) as other:
            other.executescript(statement)
            assert "another program holds the database" in refused(path)

    def test_one_that_was_closed_can_be_opened(self, store: SqliteStore, path: Path) -> None:
        store.close()
        other = sqlite_store(path)
        other.open()
        other.close()

    def test_database_of_another_program(self, path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE notes (text)")
        database.close()
        before = path.read_bytes()

        assert "another program" in refused(path)
        assert path.read_bytes() == before

    def test_database_of_a_newer_server(self, store: SqliteStore, path: Path) -> None:
        store._database.execute("PRAGMA user_version = 99")
        store.close()

        assert "newer" in refused(path)

    def test_database_of_ours_without_its_tables(self, store: SqliteStore, path: Path) -> None:
        store._database.executescript("DROP TABLE blocks; DROP TABLE header")
        store.close()

        assert "it has no tables" in refused(path)

    def test_missing_folder(self, tmp_path: Path) -> None:
        assert "folder" in refused(tmp_path / "nowhere" / "timers.db")
        assert not (tmp_path / "nowhere").exists()

    @pytest.mark.parametrize("content", [b"something else entirely, and long enough to be looked at" * 50, b"x"])
    def test_file_that_is_no_database(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)

        refused(path)
        assert path.read_bytes() == content

    @pytest.mark.parametrize("suffix", ["", "-wal", "-journal", "-mark", "-reserve"])
    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (Path.mkdir, "a folder"),
            (os.mkfifo, "a FIFO"),
            (lambda path: socket.socket(socket.AF_UNIX).bind(os.path.relpath(path)), "a socket"),
            (lambda path: path.symlink_to("/dev/null"), "a device"),
        ],
        ids=["folder", "fifo", "socket", "device"],
    )
    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    @pytest.mark.timeout(10)
    def test_what_is_no_file_in_the_place_of_one(
        self, path: Path, suffix: str, make: Callable[[Path], object], kind: str
    ) -> None:
        """Opening a FIFO would wait for ever."""
        file = path.with_name(path.name + suffix)
        make(file)
        before = file.lstat().st_ino

        assert f"cannot open {file}: it is {kind}, and has to be a file" in refused(path)
        assert file.lstat().st_ino == before

    @pytest.mark.parametrize(
        ("mode", "reason"),
        [(0o000, "look into its folder"), (0o666, "look into its folder"), (0o555, "write into its folder")],
    )
    @pytest.mark.parametrize("below", ["", "below"])
    def test_a_folder_that_may_not_be_used(
        self, tmp_path_factory: pytest.TempPathFactory, mode: int, reason: str, below: str
    ) -> None:
        with as_somebody(tmp_path_factory.mktemp("folder")) as folder:
            (folder / below).mkdir(exist_ok=True)
            (folder / below).chmod(0o555)
            folder.chmod(mode)
            try:
                assert f"this user may not {reason}" in refused(folder / below / "timers.db")
            finally:
                folder.chmod(0o700)

    def test_file_that_is_empty_becomes_a_store(self, path: Path) -> None:
        path.touch()
        store = sqlite_store(path)

        assert store.open().ends == LogEnds()
        store.close()


def remove(path: Path) -> None:
    path.unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replace(path: Path) -> None:
    """A copy takes its place, as of a tool that writes a new file and renames it."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def overwrite(path: Path, content: bytes | None = None) -> None:
    """A copy is written into it, as by `cp`, or something else; later than the last tick of the file system's clock."""
    path.write_bytes(path.read_bytes() if content is None else content)
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10_000_000))


class TestFilesThatAreTakenAway:
    @pytest.mark.parametrize("suffix", ["", "-wal", "-mark"])
    @pytest.mark.parametrize("take", [remove, rename, replace])
    def test_noticed(self, store: SqliteStore, path: Path, suffix: str, take: Callable[[Path], None]) -> None:
        store.commit(changes(event(1)))
        store.look_after()
        file = path.with_name(path.name + suffix)
        take(file)

        with pytest.raises(StoreError, match=f"{file} was (removed|replaced) while the server had it open"):
            store.look_after()

    def test_a_folder_that_is_renamed_takes_them_along(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        store = sqlite_store(folder / "timers.db")
        store.open()
        folder.rename(tmp_path / "elsewhere")
        with closing(store), pytest.raises(StoreError, match="was removed"):
            store.look_after()

    def test_a_database_that_others_write_is_noticed(self, store: SqliteStore, path: Path) -> None:
        overwrite(path)

        with pytest.raises(StoreError, match="was written to by another program"):
            store.look_after()

    @pytest.mark.parametrize("content", [b"", b"another", None], ids=["emptied", "another", "a copy"])
    def test_a_log_that_others_write_is_noticed(self, store: SqliteStore, path: Path, content: bytes | None) -> None:
        log = path.with_name(f"{path.name}-wal")
        store.commit(changes(event(1)))
        store.look_after()
        overwrite(log, content)

        with pytest.raises(StoreError, match=f"{log} was overwritten by another program"):
            store.look_after()

    @pytest.mark.parametrize("content", [b"", b"another"], ids=["emptied", "another"])
    def test_nothing_is_acknowledged_once_others_have_made_the_log_smaller(
        self, store: SqliteStore, path: Path, content: bytes
    ) -> None:
        log = path.with_name(f"{path.name}-wal")
        store.look_after()
        log.write_bytes(content)

        with pytest.raises(StoreError, match=f"{log} was overwritten by another program"):
            store.commit(changes(event(1)))

    def test_a_log_that_is_older_than_the_last_commit_is_noticed(self, store: SqliteStore, path: Path) -> None:
        log = path.with_name(f"{path.name}-wal")
        store.commit(changes(event(1)))
        store.look_after()
        before = log.read_bytes()
        store.commit(changes(event(2)))
        log.write_bytes(before)

        with pytest.raises(StoreError, match=f"{log} was overwritten|is damaged"):
            store.look_after()

    def test_a_database_whose_time_was_set_is_not_called_written(self, store: SqliteStore, path: Path) -> None:
        store.look_after()
        os.utime(path, ns=(0, 0))

        with pytest.raises(StoreError, match=r"or its time was set, .* start the server again"):
            store.look_after()

    def test_nothing_is_written_into_the_database_of_others(
        self, store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "CHECKPOINT_PAGES", 1)
        store.look_after()
        overwrite(path)
        before = path.read_bytes()

        with pytest.raises(StoreError, match="was written to by another program"):
            store.commit(changes(event(1, payload=b"1" * 200_000)))  # the log has to be written back first
        store.close()
        assert path.read_bytes() == before

    def test_what_the_store_writes_itself_is_nothing(
        self, store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "CHECKPOINT_PAGES", 10)
        sizes = set()
        for place in range(1, 100):
            store.commit(changes(event(place, payload=b"1" * 1000)))
            sizes.add(path.stat().st_size)
            store.look_after()
        assert len(sizes) > 5

    def test_a_link_stands_for_what_it_points_to(self, path: Path) -> None:
        (path.parent / "elsewhere").mkdir()
        path.symlink_to(path.parent / "elsewhere" / "target.db")
        store = sqlite_store(path)
        store.open()
        store.commit(changes(event(1)))
        store.look_after()
        path.unlink()
        with closing(store), pytest.raises(StoreError, match="was removed"):
            store.look_after()


class TestSize:
    def size(self, path: Path) -> int:
        return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))

    def play(self, store: SqliteStore, log: Log, engine: Engine, cycles: range) -> None:
        """Starts and cancels a hundred timers a cycle, each cycle a day after the last."""

        def commit() -> None:
            log.take_off(engine.take_changes())
            store.commit(log.land())

        for cycle in cycles:
            now_ns = BEGIN_NS + cycle * 86_400 * NS_PER_S
            for number in range(100):
                timer_id = f"{cycle}/{number}"
                engine.handle(StartParams(timer_id, hours=1, label="x" * 200), now_ns)
                engine.handle(CancelParams(timer_id), now_ns)
            commit()
            while (forget_ns := engine.next_forget_ns(log.durable_place)) is not None and forget_ns <= now_ns:
                engine.forget(log.oldest(engine.horizon, 256), now_ns)
                commit()

    def test_file_does_not_grow_with_what_has_been_though_one_old_timer_is_pending(
        self, store: SqliteStore, path: Path
    ) -> None:
        engine, log = Engine(Limits(retention_s=86_400), str), Log(store, Header(LOG_ID))
        engine.handle(StartParams("old", hours=80_000), BEGIN_NS)
        self.play(store, log, engine, range(1, 30))
        early = self.size(path)

        self.play(store, log, engine, range(30, 150))

        assert self.size(path) <= 1.2 * early
        rows = entries_in(store)
        assert rows[0].id == "old"
        assert len(rows) <= 1 + 200


def test_a_header_that_stayed_behind_is_written_when_the_store_is_looked_after(path: Path) -> None:
    """Also by the next server, whose first look it is."""
    for first in (1, 3):
        store = sqlite_store(path)
        with closing(store):
            assert store.open().ends.last_place == first - 1
            store.commit(changes(event(first)))
            store.commit(changes(event(first + 1)))
    store = sqlite_store(path)
    with closing(store):
        header = store.open()
        behind = row_to_state(store._database.execute(SELECT_STATE).fetchone())
        assert (behind.commits, behind.ends.last_place) == (0, 0)
        for _ in range(2):
            store.look_after()
            written = row_to_state(store._database.execute(SELECT_STATE).fetchone())
            assert (written.commits, written.held, written.header()) == (4, 4, header._replace(notices=()))
