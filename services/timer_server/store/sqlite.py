"""The log in SQLite: one table that is only appended to and pruned, and one transaction a turn.

Write-ahead log with `synchronous=FULL`: when a commit returns, its pages have been fsynced (sqlite.org/pragma.html).
The integer key rises with every row, so appending touches the last page only, whatever the ids look like. What is
read is checked: a log that is not what was written is refused, and left as it was found.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from timer_protocol.limits import SCAN_BYTES
from timer_server.core.ledger import Changes
from timer_server.core.model import Timer
from timer_server.store.base import Anchor, Header, Notice, StoreError, Window
from timer_server.store.blocks import Row, event_in, events_of, to_rows, without
from timer_server.store.integrity import Damage, complete
from timer_server.store.mark import Mark, MarkFile
from timer_server.store.schema import INSERT_BLOCK, SELECT_BLOCKS, VERSION, create, found_version, upgrade
from timer_server.store.sentences import REMEDY, one_line, sentence
from timer_server.store.state import LogState, row_to_state, state_to_row

_MAGIC = b"SQLite format 3\0"


class SqliteStore:
    """One database file, held under an exclusive lock from `open` to `close`, and a mark beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = MarkFile(path.with_name(f"{path.name}-mark"))
        self._connection: sqlite3.Connection | None = None
        self._state = LogState(b"")
        self._has_failed = False

    def open(self) -> Header:
        if not self._path.parent.is_dir():
            raise StoreError(f"cannot open {self._path}: its folder does not exist")
        self._has_failed = False
        with self._explained("open"):
            self._check_file()
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=1)
            notices = [*self._prepare(), *self._take_up()]
        state = self._state
        return Header(state.horizon, state.last_seq, state.last_at_ms, state.anchor, tuple(notices))

    def load(self) -> Iterator[Timer]:
        state = self._state
        with self._explained("read"), closing(self._database.execute(f"{SELECT_BLOCKS} ORDER BY last_seq")) as rows:
            events = chain.from_iterable(map(events_of, rows))
            yield from complete(events, state.held, state.horizon, state.last_seq)

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        database = self._database
        with self._explained("write"):
            database.execute("BEGIN IMMEDIATE")
            if changes.events:
                database.executemany(INSERT_BLOCK, to_rows(changes.events, changes.records))
            removed = self._remove(changes.obsolete) if changes.obsolete else 0
            state = self._state.after(changes, removed, anchor)
            database.execute("UPDATE header SET body = ?, checksum = ?", state_to_row(state))
            database.execute("COMMIT")
            self._state = state
            self._mark.write(_mark_of(state))

    def read_timer(self, seq: int) -> Timer:
        with self._explained("read"):
            row = self._block_with(seq)
            event = None if row is None else event_in(row, seq)
            if event is None:
                raise Damage(f"event {seq} is missing")
            return event

    def read_events(self, after: int, prefix: str, limit: int, scan: int) -> Window:
        found: list[Timer] = []
        scanned_to, left, left_bytes = after, scan, SCAN_BYTES
        blocks = f"{SELECT_BLOCKS} WHERE last_seq > ? ORDER BY last_seq"
        with self._explained("read"), closing(self._database.execute(blocks, (after,))) as rows:
            for row in rows:
                for event in _after(events_of(row), after):
                    if left == 0 or left_bytes < 0 or len(found) == limit:
                        return Window(found, scanned_to, is_end=False)
                    scanned_to, left = event.seq, left - 1
                    if event.id.startswith(prefix):
                        found.append(event)
                left_bytes -= len(row[1])
        return Window(found, scanned_to, is_end=True)

    def close(self) -> None:
        if self._connection is not None:
            if self._has_failed:
                # Closing merges the write-ahead log into the file; interrupted, it leaves both as they are.
                self._connection.interrupt()
            self._connection.close()
            self._connection = None
        self._mark.close()

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None, "the store is not open"
        return self._connection

    def _block_with(self, seq: int) -> Row | None:
        """The block that an event stands in, if it is there."""
        row: Row | None = self._database.execute(
            f"{SELECT_BLOCKS} WHERE last_seq >= ? ORDER BY last_seq LIMIT 1", (seq,)
        ).fetchone()
        return row

    def _remove(self, obsolete: Iterable[int]) -> int:
        """Takes events out of their blocks, and returns how many were there."""
        removed, done = 0, 0
        gone = set(obsolete)
        for seq in sorted(gone):
            row = self._block_with(seq) if seq > done else None
            if row is None:
                continue
            done = row[0]
            left, count = without(row, gone)
            if left is None:
                self._database.execute("DELETE FROM blocks WHERE last_seq = ?", (done,))
            elif count:
                self._database.execute("UPDATE blocks SET body = ?, checksum = ? WHERE last_seq = ?", (*left[1:], done))
            removed += count
        return removed

    def _check_file(self) -> None:
        """Raises `StoreError` for what SQLite would take for a new database, or not for one at all.

        SQLite itself takes a short file for an empty one, and removes a write-ahead log beside an empty one.
        """
        begin = b""
        if self._path.exists():
            with self._path.open("rb") as file:
                begin = file.read(len(_MAGIC))
        if begin not in {b"", _MAGIC}:
            raise StoreError(f"{self._path} is not a database; name another file in TIMER_STORE")
        if not begin:
            self._check_nothing_beside()

    def _check_nothing_beside(self) -> None:
        """Raises `StoreError` where a log is gone of which something is left: it would be begun anew in silence."""
        wal = self._path.with_name(f"{self._path.name}-wal")
        for file in (wal, self._mark.path):
            if file.exists() and file.stat().st_size:
                raise StoreError(
                    f"{self._path} is missing or empty, but {file} is there; {REMEDY},"
                    f" or remove {file.name} to begin anew"
                )

    def _prepare(self) -> Iterator[Notice]:
        """Sets the connection up and brings the tables to the present version. Raises `StoreError` and `Damage`."""
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA cell_size_check = ON")
        version = found_version(database, self._path)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damage(one_line(str(verdict)))
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA temp_store = MEMORY")
        if version == 0:
            create(database)
        elif version < VERSION:
            yield upgrade(database, version)

    def _take_up(self) -> Iterator[Notice]:
        """Reads the state, checks that the log goes as far as the mark says, and sets the mark."""
        self._state = row_to_state(self._database.execute("SELECT body, checksum FROM header").fetchone())
        doubt = self._check_mark()
        if doubt is not None:
            yield Notice("the mark was set anew", {"file": str(self._mark.path), "reason": doubt}, is_warning=True)
        # What a failed fsync has left in the page cache reads like any other commit: it is written again.
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._mark.open(_mark_of(self._state))

    def _check_mark(self) -> str | None:
        """Why the mark tells nothing about this log; None where it agrees. Raises `StoreError` where it does not."""
        state = self._state
        try:
            mark = self._mark.read()
        except Damage as damage:
            return str(damage)
        if mark is None:
            return "it was missing" if state.commits else None
        if mark.log_id != state.log_id:
            return "it belongs to another store"
        if mark.commits > state.commits:
            raise StoreError(
                f"{self._path} ends at commit {state.commits} (event {state.last_seq}), but commit {mark.commits}"
                f" (event {mark.seq}) had been acknowledged; {REMEDY}, or accept the loss and remove"
                f" {self._mark.path}"
            )
        return None

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turns whatever a file can do to its reader into a `StoreError`."""
        try:
            yield
        except StoreError:
            self._has_failed = True
            raise
        except (Damage, OSError, UnicodeDecodeError, sqlite3.Error) as error:
            self._has_failed = True
            raise StoreError(sentence(doing, self._path, error)) from error


def _after(events: list[Timer], seq: int) -> list[Timer]:
    """Those of some events, given in order, that come after a `seq`."""
    return events if events[0].seq > seq else [event for event in events if event.seq > seq]


def _mark_of(state: LogState) -> Mark:
    return Mark(state.log_id, state.commits, state.last_seq)
