"""`webhooks.db`: how endpoints stand, and the last attempts. No end depends on it: it may be lost, or removed."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from timer_webhooks.standing import Standing

TRIES_KEPT = 10_000

_VERSION = 1
_BUSY_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS endpoint (
    name TEXT PRIMARY KEY, failing_since_ms INTEGER, disabled_at_ms INTEGER, disabled_reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS try (
    number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, endpoint TEXT NOT NULL, webhook_id TEXT NOT NULL,
    timer_id TEXT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    took_ms INTEGER NOT NULL
) STRICT;
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
        with self._told():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise DatabaseError(f"{path} is of a newer timer-webhooks")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")

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

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            what = getattr(error, "strerror", None) or error
            raise DatabaseError(
                f"{self._path} cannot be used: {what}. It may be removed: no end is lost by that"
            ) from None
