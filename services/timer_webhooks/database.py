"""`webhooks.db`: how endpoints stand, the last attempts and takes. No end depends on it: it may be lost, or removed."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from timer_webhooks.standing import Standing

TRIES_KEPT = 10_000

_VERSION = 1
_APPLICATION_ID = int.from_bytes(b"twhk")
_BUSY_S = 2.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CODE = 0xFF
"""The part of an extended code of SQLite that says the kind of fault."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS endpoint (
    name TEXT PRIMARY KEY, failing_since_ms INTEGER, disabled_at_ms INTEGER, disabled_reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS try (
    number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, endpoint TEXT NOT NULL, webhook_id TEXT NOT NULL,
    timer_id TEXT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    took_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS take (endpoint TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class DatabaseError(Exception):
    """The database cannot be used. The text names it and says why."""


class Try(Struct, frozen=True):
    """An attempt to send a webhook. `attempt` is 0 for one that somebody asked for by `resend`."""

    at_ms: int
    endpoint: str
    webhook_id: str
    timer_id: str
    attempt: int
    outcome: str
    reason: str
    took_ms: int


class Database:
    """The database, shared by the process that sends and the commands beside it. Raises `DatabaseError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._told():
            with contextlib.suppress(FileExistsError):  # made here, so that nobody else may read it
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            with self._told():
                self._prepare()
        except DatabaseError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    def standing(self, endpoint: str) -> Standing:
        """How an endpoint stands."""
        sentence = "SELECT failing_since_ms, disabled_at_ms, disabled_reason FROM endpoint WHERE name = ?"
        with self._told():
            row = self._connection.execute(sentence, (endpoint,)).fetchone()
        return Standing() if row is None else Standing(*row)

    def note_standing(self, endpoint: str, standing: Standing) -> None:
        """Takes down how an endpoint stands."""
        row = (endpoint, standing.failing_since_ms, standing.disabled_at_ms, standing.disabled_reason)
        with self._told():
            self._connection.execute("INSERT OR REPLACE INTO endpoint VALUES (?, ?, ?, ?)", row)

    def note_try(self, attempt: Try) -> None:
        """Takes down an attempt, and forgets the oldest beyond those that are kept."""
        row = tuple(getattr(attempt, name) for name in Try.__struct_fields__)
        with self._told():
            number = self._connection.execute(
                "INSERT INTO try (at_ms, endpoint, webhook_id, timer_id, attempt, outcome, reason, took_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            self._connection.execute("DELETE FROM try WHERE number <= ?", ((number or 0) - TRIES_KEPT,))

    def tries(self, limit: int, endpoint: str | None = None, *, only_failed: bool = False) -> list[Try]:
        """The latest attempts, oldest first."""
        sentence = (
            "SELECT at_ms, endpoint, webhook_id, timer_id, attempt, outcome, reason, took_ms FROM try"
            " WHERE (:endpoint IS NULL OR endpoint = :endpoint) AND (NOT :failed OR outcome <> 'delivered')"
            " ORDER BY number DESC LIMIT :limit"
        )
        with self._told():
            rows = self._connection.execute(
                sentence, {"endpoint": endpoint, "failed": only_failed, "limit": limit}
            ).fetchall()
        return [Try(*row) for row in reversed(rows)]

    def last_take(self, endpoint: str) -> str | None:
        """The key of the last take of an endpoint's queue, None where there is none."""
        with self._told():
            row = self._connection.execute("SELECT key FROM take WHERE endpoint = ?", (endpoint,)).fetchone()
        return None if row is None else str(row[0])

    def note_take(self, endpoint: str, key: str) -> None:
        """Takes down the key of a take that is about to be made."""
        with self._told():
            self._connection.execute("INSERT OR REPLACE INTO take VALUES (?, ?)", (endpoint, key))

    @contextmanager
    def sole_sender(self) -> Iterator[None]:
        """Keeps other senders off for the length of a block: each would undo what the other takes down.

        The lock is on a file of its own, as SQLite's are lost where its file is closed twice. It ends with the process.
        """
        path = self._path.with_name(f"{self._path.name}-lock")
        with self._told():
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.suppress(OSError):  # where there are no locks, nobody is kept off
                self._lock(file)
            yield
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseError(
                f"another timer-webhooks sends with {self._path}: end it, or name another file in `database`"
            ) from None

    def _prepare(self) -> None:
        """Makes the tables where there are none. Raises `DatabaseError` for a file of something else."""
        version, application_id, tables = (
            self._connection.execute(sentence).fetchone()[0]
            for sentence in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
        )
        if application_id != _APPLICATION_ID and (application_id or version or tables):
            raise DatabaseError(f"{self._path} is the database of another program: name another file in `database`")
        if version > _VERSION:
            raise DatabaseError(
                f"{self._path} is of a newer timer-webhooks: use that one, or remove the file; no end is lost by that"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if version < _VERSION:  # a full disk is no reason not to begin
            identity = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION}"
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}{identity}; COMMIT;")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            what = getattr(error, "strerror", None) or error
            is_damaged = getattr(error, "sqlite_errorcode", 0) & _CODE in _DAMAGED
            advice = ". It may be removed: no end is lost by that" if is_damaged else ""
            raise DatabaseError(f"{self._path} cannot be used: {what}{advice}") from None
