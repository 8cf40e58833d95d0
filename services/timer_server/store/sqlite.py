"""The log in SQLite: one table that is only appended to and pruned, and one transaction a turn.

Write-ahead log with `synchronous=FULL`: when a commit returns, its pages have been fsynced (sqlite.org/pragma.html).
The integer key rises with every row, so appending touches the last page only, whatever the ids look like.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from timer_server.core.ledger import Changes
from timer_server.core.model import Event, Timer
from timer_server.store.base import Anchor, Header, StoreError, Window

_APPLICATION_ID = 0x54494D52
"""Tells our databases from those of other programs: "TIMR"."""

_SCHEMA_VERSION = 1
_MAGIC = b"SQLite format 3\0"

_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    label TEXT NOT NULL,
    hours NOT NULL,
    minutes NOT NULL,
    seconds NOT NULL,
    duration_ms INTEGER NOT NULL,
    due_at_ms INTEGER,
    remaining_ms INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    version INTEGER NOT NULL,
    keys TEXT,
    payload BLOB NOT NULL
);
CREATE TABLE header (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    horizon INTEGER NOT NULL,
    boot_id TEXT,
    boot_ns INTEGER,
    wall_ns INTEGER,
    timeline_ns INTEGER
);
INSERT INTO header (one, horizon) VALUES (1, 0);
"""

_TIMER_COLUMNS = Timer.__struct_fields__
_COLUMNS = ", ".join(("kind", "at_ms", *_TIMER_COLUMNS))
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES ({', '.join('?' * (2 + len(_TIMER_COLUMNS)))})"  # noqa: S608
_KEYS = 2 + _TIMER_COLUMNS.index("keys")
_AFTER_ANY_ID = "\x7f"

_decode_keys = msgspec.json.Decoder(tuple[str, ...]).decode


class SqliteStore:
    """One database file, held under an exclusive lock from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._horizon = 0

    def open(self) -> Header:
        if not self._path.parent.is_dir():
            raise StoreError(f"cannot open {self._path}: its folder does not exist")
        with self._explained("open"):
            self._check_magic()
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=1)
            self._prepare()
            return self._read_header()

    def load(self) -> Iterator[Event]:
        with self._explained("read"):
            for row in self._database.execute(f"SELECT {_COLUMNS} FROM events ORDER BY seq"):  # noqa: S608
                yield _to_event(row)

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        database = self._database
        with self._explained("write"):
            database.execute("BEGIN IMMEDIATE")
            if changes.events:
                database.executemany(_INSERT, map(_to_row, changes.events))
            if changes.obsolete:
                database.executemany("DELETE FROM events WHERE seq = ?", ((seq,) for seq in changes.obsolete))
            if changes.horizon != self._horizon:
                database.execute("UPDATE header SET horizon = ?", (changes.horizon,))
            if anchor is not None:
                database.execute("UPDATE header SET boot_id = ?, boot_ns = ?, wall_ns = ?, timeline_ns = ?", anchor)
            database.execute("COMMIT")
            self._horizon = changes.horizon

    def read_timer(self, seq: int) -> Timer:
        with self._explained("read"):
            row = self._database.execute(f"SELECT {_COLUMNS} FROM events WHERE seq = ?", (seq,)).fetchone()  # noqa: S608
        if row is None:
            raise StoreError(f"{self._path} has lost the event {seq}")
        return _to_event(row).timer

    def read_events(self, after: int, prefix: str, limit: int, scan: int) -> Window:
        with self._explained("read"):
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM (SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?)"  # noqa: S608
                " WHERE id >= ? AND id < ? ORDER BY seq LIMIT ?",
                (after, scan, prefix, prefix + _AFTER_ANY_ID, limit),
            ).fetchall()
            events = [_to_event(row) for row in rows]
            if len(events) == limit:
                return Window(events, events[-1].seq, is_end=False)
            scanned, last = self._database.execute(
                "SELECT count(*), max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?)",
                (after, scan),
            ).fetchone()
            return Window(events, after if last is None else last, is_end=scanned < scan)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None, "the store is not open"
        return self._connection

    def _check_magic(self) -> None:
        """Raises `StoreError` for a file that is no database: SQLite itself takes a short one for an empty one."""
        try:
            with self._path.open("rb") as file:
                begin = file.read(len(_MAGIC))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"cannot open {self._path}: {error.strerror}") from None
        if begin and begin != _MAGIC:
            raise StoreError(f"{self._path} is not a database; name another file in TIMER_STORE")

    def _prepare(self) -> None:
        """Sets the connection up and the tables too where the file is new. Raises `StoreError` for a foreign file."""
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        application_id = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        is_new = not database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        if not is_new and application_id != _APPLICATION_ID:
            raise StoreError(f"{self._path} is a database of another program; name another file in TIMER_STORE")
        if version > _SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} was written by a newer timer-server (schema {version}, this one knows up to"
                f" {_SCHEMA_VERSION}); run that version, or name another file in TIMER_STORE"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA temp_store = MEMORY")
        if is_new:
            database.executescript(
                f"BEGIN EXCLUSIVE; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID};"
                f" PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )

    def _read_header(self) -> Header:
        horizon, *anchor = self._database.execute(
            "SELECT horizon, boot_id, boot_ns, wall_ns, timeline_ns FROM header"
        ).fetchone()
        self._horizon = horizon
        last = self._database.execute("SELECT seq, at_ms FROM events ORDER BY seq DESC LIMIT 1").fetchone() or (0, 0)
        # Pruning may have emptied the table; the horizon has passed whatever was removed.
        return Header(horizon, max(horizon, last[0]), last[1], None if anchor[0] is None else Anchor(*anchor))

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = "; another timer-server has it open" if "locked" in str(error) else ""
            raise StoreError(f"cannot {doing} {self._path}: {error}{hint}") from error


def _to_row(event: Event) -> tuple[object, ...]:
    row = (event.kind, event.at_ms, *msgspec.structs.astuple(event.timer))
    if event.timer.keys is None:
        return row
    return (*row[:_KEYS], msgspec.json.encode(event.timer.keys).decode(), *row[_KEYS + 1 :])


def _to_event(row: tuple[object, ...]) -> Event:
    kind, at_ms, *fields = row
    keys = fields[_KEYS - 2]
    if keys is not None:
        fields[_KEYS - 2] = _decode_keys(keys)  # type: ignore[arg-type]  # the columns have the fields' types
    return Event(kind, at_ms, Timer(*fields))  # type: ignore[arg-type]
