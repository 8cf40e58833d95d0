"""The tables, their version, and the SQL statements.

When the tables or the form of the entries change: raise `VERSION`, keep what reads the version before in a module of
its own, and convert a log of it in one transaction. `tests/store` opens a log that each version has written.

Version 1 has written the header with every commit. Since version 2 blocks may follow it, as `LogState.followed_by`
says; the first commit of a log of version 1 makes it one of version 2.
"""

import sqlite3
from pathlib import Path

from timer_server.store.base import StoreError
from timer_server.store.integrity import Damage
from timer_server.store.state import LogState, state_to_row

VERSION = 2

OLDEST_VERSION = 1
"""The first one that is still read."""

APPLICATION_ID = 0x54494D4C
"""Marks the databases of this program: "TIML"."""

BACKUP_ID = 0x54494D42
"""Marks backups, which no server opens, in the same place: "TIMB"."""

_CREATE = (
    """
    CREATE TABLE blocks (
        last_place INTEGER PRIMARY KEY,
        last_seq INTEGER NOT NULL,
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

INSERT_BLOCK = "INSERT INTO blocks (last_place, last_seq, body, checksum) VALUES (?, ?, ?, ?)"
SELECT_BLOCKS = "SELECT last_place, last_seq, body, checksum FROM blocks"
UPDATE_BLOCK = "UPDATE blocks SET body = ?, checksum = ? WHERE last_place = ?"
DELETE_BLOCK = "DELETE FROM blocks WHERE last_place = ?"
UPDATE_HEADER = "UPDATE header SET body = ?, checksum = ?"

SET_VERSION = f"PRAGMA user_version = {VERSION}"
"""Also commits without a change of the content: where the version is what it was, its page is logged all the same."""

SELECT_VERSION = "PRAGMA user_version"

SELECT_STATE = "SELECT body, checksum FROM header"

AFTER = f"{SELECT_BLOCKS} WHERE last_place > ? ORDER BY last_place"
"""The blocks with entries after a place."""

BETWEEN = f"{SELECT_BLOCKS} WHERE last_place > ? AND last_place <= ? ORDER BY last_place"
"""The blocks behind a place, up to another."""

SELECT_LAST_PLACE = "SELECT max(last_place) FROM blocks"

STANDING_AFTER = "SELECT last_place, last_seq FROM blocks WHERE last_place > ? ORDER BY last_place LIMIT 1"
"""The keys of the first of those blocks."""


def is_new(database: sqlite3.Connection, path: Path) -> bool:
    """Whether a database is new and needs its tables.

    Raises `StoreError` for a database of another program or of a newer server, and `Damage`.
    """
    application_id = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute(SELECT_VERSION).fetchone()[0]
    has_tables = database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
    if not has_tables and application_id == version == 0:
        return True
    if application_id == BACKUP_ID:
        raise StoreError(f"{path} is a backup; `timer-server restore {path} --to STORE` makes a store of it")
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program; name another file in TIMER_STORE")
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer timer-server (schema {version}, this one knows up to"
            f" {VERSION}); run that version, or name another file in TIMER_STORE"
        )
    if not has_tables:
        raise Damage("it has no tables")
    if version < OLDEST_VERSION:
        raise Damage(f"its schema version is {version}")
    return False


def check_is_backup(database: sqlite3.Connection, path: Path) -> None:
    """Raises `StoreError` for a database that is no backup, or one of a newer server, and `Damage`."""
    application_id = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute(SELECT_VERSION).fetchone()[0]
    if application_id == APPLICATION_ID:
        raise StoreError(
            f"{path} is a store, and no backup: `timer-server backup FILE` makes one while a server has it"
        )
    if application_id != BACKUP_ID:
        raise StoreError(f"{path} is a database of another program, and no backup")
    if version > VERSION:
        raise StoreError(
            f"{path} is a backup of a newer timer-server (schema {version}, this one knows up to {VERSION});"
            " use that version"
        )
    if version < OLDEST_VERSION:
        raise Damage(f"its schema version is {version}")


def create(database: sqlite3.Connection, state: LogState, application_id: int = APPLICATION_ID) -> None:
    """Makes the tables of a log in this state, which has no blocks yet."""
    database.execute("BEGIN EXCLUSIVE")
    for statement in _CREATE:
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {application_id}")
    database.execute(SET_VERSION)
    database.execute("INSERT INTO header (one, body, checksum) VALUES (1, ?, ?)", state_to_row(state))
    database.execute("COMMIT")
