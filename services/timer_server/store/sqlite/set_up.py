"""How a connection to the database of a store is set up, and its tables made where there are none."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from timer_server.store.integrity import Damage
from timer_server.store.quoting import one_line
from timer_server.store.sqlite.schema import SELECT_VERSION, VERSION, create, is_new
from timer_server.store.state import LogState


class SetUp(NamedTuple):
    """What is known of a database then; `is_older` says that it is of an older version."""

    page_bytes: int
    is_older: bool


def set_up(database: sqlite3.Connection, path: Path, new_log_id: Callable[[], str]) -> SetUp:
    """Checks the database and sets up the connection. Raises `StoreError` and `Damage`."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA cell_size_check = ON")
    is_empty = is_new(database, path)
    is_older = not is_empty and database.execute(SELECT_VERSION).fetchone()[0] < VERSION
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damage(one_line(str(verdict)))
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA temp_store = MEMORY")
    # Some builds write zeros over each page that gets free: to forget an entry would take the room of its payload.
    database.execute("PRAGMA secure_delete = FAST")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    if is_empty:
        create(database, LogState(new_log_id()))
    return SetUp(page_bytes, is_older)
