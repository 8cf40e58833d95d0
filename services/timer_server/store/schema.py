"""The tables, their version, and the way up from every earlier one.

When the schema changes: raise `VERSION`, move what read the version before into a module of its own, and name that in
`_READERS`. An upgrade reads the old log through it and writes a new one, all in one transaction.
"""

import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import ModuleType

from msgspec.structs import replace

from timer_server.core.records import pack
from timer_server.store import version_1, version_2
from timer_server.store.base import Notice, StoreError
from timer_server.store.blocks import BLOCK_EVENTS, Row, events_of, to_rows
from timer_server.store.integrity import Damage
from timer_server.store.state import LogState, state_to_row

VERSION = 3

APPLICATION_ID = 0x54494D52
"""Tells our databases from those of other programs: "TIMR"."""

_READERS: dict[int, ModuleType] = {1: version_1, 2: version_2}

_CREATE = (
    """
    CREATE TABLE blocks (
        last_seq INTEGER PRIMARY KEY,
        body BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE header (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        body BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
)

INSERT_BLOCK = "INSERT INTO blocks (last_seq, body, checksum) VALUES (?, ?, ?)"
SELECT_BLOCKS = "SELECT last_seq, body, checksum FROM blocks"

_UPGRADED_TOGETHER = 10 * BLOCK_EVENTS
"""Events that an upgrade holds in memory at once: few, as each may have a large payload."""


def found_version(database: sqlite3.Connection, path: Path) -> int:
    """The version of the tables in a database that we can use; 0 where there are none yet.

    Raises `StoreError` for a database of another program or of a newer server, and `Damage`.
    """
    application_id = database.execute("PRAGMA application_id").fetchone()[0]
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    has_tables = database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
    if not has_tables and application_id == version == 0:
        return 0
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program; name another file in TIMER_STORE")
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer timer-server (schema {version}, this one knows up to"
            f" {VERSION}); run that version, or name another file in TIMER_STORE"
        )
    if not has_tables:
        raise Damage("it has no tables")
    if version != VERSION and version not in _READERS:
        raise Damage(f"its schema version is {version}")
    return version


def create(database: sqlite3.Connection) -> None:
    """Makes the tables of an empty log."""
    database.execute("BEGIN EXCLUSIVE")
    _make_tables(database)
    _insert_state(database, LogState(_new_id(database)))
    database.execute("COMMIT")


def upgrade(database: sqlite3.Connection, version: int) -> Notice:
    """Writes the log of an earlier version anew, as the present one. Raises `Damage` where it cannot be read.

    Until the one commit at the end, the log is what it was.
    """
    old = _READERS[version]
    database.execute("BEGIN EXCLUSIVE")
    database.execute("ALTER TABLE events RENAME TO old_events")
    database.execute("ALTER TABLE header RENAME TO old_header")
    _make_tables(database)
    state: LogState = old.read_state(database, _new_id(database))
    written = 0
    with closing(old.read_events(database)) as events:
        while some := list(islice(events, _UPGRADED_TOGETHER)):
            database.executemany(INSERT_BLOCK, map(_legible, to_rows(some, list(map(pack, some)))))
            written += len(some)
            last_seq, last_at_ms = max(state.last_seq, some[-1].seq), max(state.last_at_ms, some[-1].at_ms)
            state = replace(state, last_seq=last_seq, last_at_ms=last_at_ms)
    _insert_state(database, replace(state, held=written))
    database.execute("DROP TABLE old_events")
    database.execute("DROP TABLE old_header")
    database.execute("COMMIT")
    return Notice("store upgraded", {"from": version, "to": VERSION, "events": written})


def _legible(row: Row) -> Row:
    """The row, if it can be read again: an old log may hold numbers that no event can have. Raises `Damage`."""
    events_of(row)
    return row


def _make_tables(database: sqlite3.Connection) -> None:
    for statement in _CREATE:
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")


def _insert_state(database: sqlite3.Connection, state: LogState) -> None:
    database.execute("INSERT INTO header (one, body, checksum) VALUES (1, ?, ?)", state_to_row(state))


def _new_id(database: sqlite3.Connection) -> bytes:
    log_id: bytes = database.execute("SELECT randomblob(8)").fetchone()[0]
    return log_id
