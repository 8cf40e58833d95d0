"""The log in SQLite: one table that is only appended to and pruned, and one transaction a turn.

Write-ahead log with `synchronous=FULL`: when a commit returns, its pages have been fsynced (sqlite.org/pragma.html).
The integer key rises with every row, so appending touches the last pages only, whatever the ids look like. A commit
that only appends leaves the header as it is, and its page out of the log; it is written once a second, and by other
commits. All that is read is checked: a damaged log is refused, and left as it was found.
"""

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from timer_server.core.ledger import Changes
from timer_server.core.model import Entry
from timer_server.store.base import Anchor, Block, Header, Notice, StoreError
from timer_server.store.blocks import Row, entries_of, entry_in, parts_of, to_rows, without
from timer_server.store.integrity import Damage, verify_complete
from timer_server.store.sqlite.copying import Copy
from timer_server.store.sqlite.files import StoreFiles
from timer_server.store.sqlite.mark import Mark, MarkFile
from timer_server.store.sqlite.room import Room
from timer_server.store.sqlite.schema import (
    AFTER,
    DELETE_BLOCK,
    INSERT_BLOCK,
    SELECT_BLOCKS,
    SELECT_LAST_PLACE,
    SELECT_STATE,
    SET_VERSION,
    STANDING_AFTER,
    UPDATE_BLOCK,
    UPDATE_HEADER,
)
from timer_server.store.sqlite.sentences import overwritten, sentence
from timer_server.store.sqlite.set_up import set_up
from timer_server.store.state import HeaderRow, LogState, row_to_state, state_to_row

CHECKPOINT_PAGES = 250
"""Pages in the write-ahead log before it is written into the database, or fewer on a small disk. Requests wait for that
two to three milliseconds; with more pages it takes as much longer, with fewer nothing was gained."""

_FIRST_PAGES = 50
"""Pages that may be logged before the store takes its room, which it does when it is looked after."""

_LOG_SHARE = 2 / 3
"""As much of the log is used, since its pages are estimated."""

_FAILURES = (Damage, OSError, UnicodeDecodeError, sqlite3.Error)
"""What a file can cause."""


class SqliteStore:
    """One database file, held under an exclusive lock from `open` to `close`, and a mark beside it.

    `new_log_id` makes the id of a new log.
    """

    def __init__(self, path: Path, new_log_id: Callable[[], str]) -> None:
        self._path = path
        self._new_log_id = new_log_id
        self._files = StoreFiles(path)
        self._room = Room(self._files)
        self._mark = MarkFile(self._files.mark)
        self._connection: sqlite3.Connection | None = None
        self._page_bytes = 0
        self._left_pages = 0
        """Pages that may be logged until the log has to be written into the database."""
        self._state = self._written = LogState("")
        """What the log holds, and what of that is in the header; the blocks behind tell the rest."""
        self._is_older = False
        """Whether the database is of an older version."""
        self._most_pages = 0
        """How many pages the database may have."""
        self._has_room = False
        """Whether the room was taken."""
        self._noted_commits = 0
        """The commits when the files were last noted."""
        self.is_short_of_room = False
        """Whether the disk is nearly full, by the last look."""
        self._has_failed = False
        self._copy: Copy | None = None

    def open(self) -> Header:
        self._connect()
        with self._explained("open"):
            doubt = self._mark.doubt(self._state, self._path)
            self._take_up()
            notices = self._room.notices(self._left_bytes())
        if doubt is not None:
            figures = {"file": str(self._mark.path), "reason": doubt}
            notices.append(Notice("the mark was set anew", figures, is_warning=True))
        return self._state.header(*notices)._replace(is_short_of_room=self.is_short_of_room)

    def restored(self) -> tuple[Header, Header]:
        """Opens a store that was copied back and gives its log a new id; returns the headers before and after.

        What was acknowledged beyond this copy is given up, so the mark is not read.
        """
        with self._explained("open"):
            if not self._path.exists() or not self._path.stat().st_size:
                raise StoreError(f"{self._path} is missing or empty: nothing that could have been restored")
        self._connect()
        if not self._state.commits:
            raise StoreError(f"{self._path} holds nothing that could have been restored")
        for _ in self.load():
            pass  # a damaged copy is refused before anything is written
        before = self._state.header()
        with self._explained("write"):
            self._write_state(self._state.renamed(self._new_log_id()))
            self._take_up()
        return before, self._state.header()

    def load(self) -> Iterator[Sequence[Entry]]:
        state = self._state
        with self._explained("read"), closing(self._database.execute(f"{SELECT_BLOCKS} ORDER BY last_place")) as rows:
            yield from verify_complete(map(parts_of, rows), state.held, state.ends)

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        # No context manager: it would cost as much as making the rows.
        try:
            pages = _pages_of(changes)
            if pages > self._left_pages:
                self._make_way(pages)
            rows = [*to_rows(changes.records)]
            if self._has_to_rewrite(changes, anchor):
                state = self._written = self._rewrite(changes, rows, anchor)
            else:
                state = self._append(changes, rows)
            self._room.verify_log()
            self._mark.write(state.commits, state.ends.last_place)
            self._state = state
            self._left_pages -= pages
        except StoreError:
            self._has_failed = True
            raise
        except _FAILURES as error:
            raise self._failure("write", error) from error

    def _has_to_rewrite(self, changes: Changes, anchor: Anchor | None) -> bool:
        """Whether a commit does more than append, so that the header has to go with it."""
        moves_on = changes.horizon != self._state.ends.horizon
        return bool(changes.obsolete or anchor is not None or moves_on or not changes.records or self._is_older)

    def _append(self, changes: Changes, rows: list[Row]) -> LogState:
        """Appends blocks, and returns the state after that. The header stays behind: see `LogState.followed_by`."""
        if len(rows) == 1:
            self._database.execute(INSERT_BLOCK, rows[0])  # a transaction by itself
        else:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(INSERT_BLOCK, rows)
            self._database.execute("COMMIT")
        return self._state.after(changes, 0, None, len(rows))

    def _rewrite(self, changes: Changes, rows: list[Row], anchor: Anchor | None) -> LogState:
        """Removes entries, appends blocks and writes the header, and returns the state after that."""
        execute, removed = self._database.execute, 0
        execute("BEGIN IMMEDIATE")
        # First goes what was stored before: on a full disk its room is all there is.
        gone = {place for place in changes.obsolete if place <= self._state.ends.last_place}
        if gone:
            removed = self._remove(gone)
        self._database.executemany(INSERT_BLOCK, rows)
        if len(gone) < len(changes.obsolete):
            removed += self._remove({*changes.obsolete} - gone)
        state = self._state.after(changes, removed, anchor)
        execute(UPDATE_HEADER, state_to_row(state))
        if self._is_older:
            execute(SET_VERSION)
        execute("COMMIT")
        self._is_older = False
        return state

    def entry(self, place: int) -> Entry:
        with self._explained("read"):
            row = self._block_with(place)
            entry = None if row is None else entry_in(row, place)
            if entry is None:
                raise Damage(f"entry {place} is missing")
            return entry

    def blocks_after(self, place: int) -> Generator[Block, None, None]:
        with self._explained("read"), closing(self._database.execute(AFTER, (place,))) as rows:
            for row in rows:
                yield Block(entries_of(row), len(row[2]))

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        return self.blocks_after(self._place_before_those_after(seq))

    def begin_copy(self) -> HeaderRow:
        self._copy = Copy(self._database, self._state)
        return state_to_row(self._state)

    def copy_on(self, most_bytes: int) -> list[Row]:
        assert self._copy is not None, "no copy was begun"
        with self._explained("read"):
            return self._copy.take(most_bytes)

    def end_copy(self) -> None:
        self._copy = None

    def look_after(self) -> int | None:
        with self._explained("look after"):
            self._verify_files()
            self._verify_last_commit()
            if not self._has_room:
                self._make_way(0)
            if self._written is not self._state:
                self._catch_up()
            self._make_room()
            return self._left_bytes()

    def close(self) -> None:
        if self._connection is not None:
            if self._has_failed or self.is_short_of_room:
                # Closing would merge the log into the database; interrupted, it leaves both, and their room.
                self._connection.interrupt()
                with self._room.kept():
                    self._connection.close()
            else:
                self._connection.close()
            self._connection = None
        self._room.close()
        self._mark.close()

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None, "the store is not open"
        return self._connection

    def _connect(self) -> None:
        """Opens the database and reads its state, or makes an empty log. Raises `StoreError`."""
        self._has_failed = self._has_room = False
        self._most_pages = 0
        with self._explained("open"):
            self._files.check()
            self._files.check_database()
            self._room.take_up()
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=1)
            self._page_bytes, self._is_older = set_up(self._connection, self._path, self._new_log_id)
            self._written = row_to_state(self._database.execute(SELECT_STATE).fetchone())
            with closing(self._database.execute(AFTER, (self._written.ends.last_place,))) as rows:
                self._state = self._written.followed_by(rows)

    def _place_before_those_after(self, seq: int) -> int:
        """A place before all events after a `seq`, with at most one block of others in between.

        It is found by bisection, since an index on `seq` would cost each commit a tenth. The place of an event is its
        `seq` plus the number of other entries before it.
        """
        low, high = seq, seq + self._state.ends.last_place - self._state.ends.last_seq
        with self._explained("read"):
            while low < high:
                middle = (low + high) // 2
                standing = self._database.execute(STANDING_AFTER, (middle,)).fetchone()
                if standing is None or standing[1] > seq:
                    high = middle
                else:
                    low = standing[0]
        return low

    def _block_with(self, place: int) -> Row | None:
        """The block that an entry stands in, if the entry is there."""
        row: Row | None = self._database.execute(f"{AFTER} LIMIT 1", (place - 1,)).fetchone()
        return row

    def _write_state(self, state: LogState) -> None:
        """Writes a state by itself, without entries."""
        self._database.execute(UPDATE_HEADER, state_to_row(state))
        self._state = self._written = state

    def _catch_up(self) -> None:
        """Writes the header, which has stayed behind."""
        if self._left_pages < 1:
            self._make_way(1)
        self._write_state(self._state)
        self._left_pages -= 1

    def _remove(self, gone: Collection[int]) -> int:
        """Removes entries from their blocks, and returns how many were there."""
        removed, done = 0, 0
        for place in sorted(gone):
            row = self._block_with(place) if place > done else None
            if row is None:
                continue
            done = row[0]
            left, count = without(row, gone)
            if self._copy is not None:
                self._copy.keep(row)
            if left is None:
                self._database.execute(DELETE_BLOCK, (done,))
            elif count:
                self._database.execute(UPDATE_BLOCK, (*left[2:], done))
            removed += count
        return removed

    def _take_up(self) -> None:
        """Makes sure that what was read is on the disk, and opens the mark. What was closed in order stays as it is."""
        self._room.open()
        logged, written = self._write_back()
        if logged == written > 0:
            # A commit whose fsync failed may be in the page cache alone, and reads like any other. Now it was written
            # again, and nobody shall read it from the log.
            self._room.reset_log()
            self._make_room()
        else:
            self._room.sync_database()
        self._mark.open(_mark_of(self._state))
        self._files.remember()
        self._note_files()
        self._left_pages = _FIRST_PAGES

    def _make_way(self, pages: int) -> None:
        """Writes the log into the database, and makes room for so many pages, also if they are more than it has.

        It is not left to SQLite, which says nothing where that fails, and lets the log grow.
        """
        self._verify_files()
        logged, written = self._write_back()
        if not logged:
            # SQLite takes the size of the database from the log, and only where that is empty from the file: begun now,
            # the log says it without the room that is spare.
            self._database.execute(SET_VERSION)
        elif logged == written:
            self._room.reset_log()
        self._make_room(int(pages * self._page_bytes / _LOG_SHARE))
        most_pages = min(CHECKPOINT_PAGES, int(self._room.log_bytes * _LOG_SHARE) // self._page_bytes)
        self._left_pages = most_pages - (logged - written)

    def _write_back(self) -> tuple[int, int]:
        """Writes the log into the database: how many pages it has, and how many of them were written.

        If those are all, it begins anew with the next commit. It keeps its size, so that it gives no room away.
        """
        _, logged, written = self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return logged, written

    def _make_room(self, turn_bytes: int = 0) -> None:
        """Takes the room that commits need, and lets the database grow no further than that."""
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        most_pages = self._room.make(pages * self._page_bytes, turn_bytes) // self._page_bytes
        self._most_pages = self._database.execute(f"PRAGMA max_page_count = {most_pages}").fetchone()[0]
        self._has_room = True
        self._note_files()

    def _left_bytes(self) -> int | None:
        """How much may still be stored besides the ends of timers; None where that is not known."""
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        free_pages: int = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        left_bytes = self._room.left_bytes((max(self._most_pages - pages, 0) + free_pages) * self._page_bytes)
        self.is_short_of_room = left_bytes is not None and left_bytes < self._room.usual_log_bytes
        return left_bytes

    def _verify_files(self) -> None:
        self._files.verify(has_committed=self._state.commits != self._noted_commits)

    def _note_files(self) -> None:
        self._files.note_written()
        self._noted_commits = self._state.commits

    def _verify_last_commit(self) -> None:
        """Reads the last commit back from the files, and raises `StoreError` where it is no longer there."""
        self._database.execute("PRAGMA shrink_memory")  # without the pages in memory
        is_there = self._database.execute(SELECT_STATE).fetchone() == state_to_row(self._written)
        if self._written is not self._state:
            is_there &= self._database.execute(SELECT_LAST_PLACE).fetchone() == (self._state.ends.last_place,)
        if not is_there:
            raise StoreError(overwritten(self._files.log))

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turns every error that the file can cause into a `StoreError`."""
        try:
            yield
        except StoreError:
            self._has_failed = True
            raise
        except _FAILURES as error:
            raise self._failure(doing, error) from error

    def _failure(self, doing: str, error: Damage | OSError | UnicodeDecodeError | sqlite3.Error) -> StoreError:
        """Notes that the store has failed, and says why."""
        self._has_failed = True
        return StoreError(sentence(doing, self._path, error, self._mark.is_held))


def _pages_of(changes: Changes) -> int:
    """About how many pages a commit adds to the write-ahead log: the last one and at times another at least, the
    header's, and two for each entry that is taken out of its block."""
    return 2 + sum(map(len, changes.records)) // 3_000 + 2 * len(changes.obsolete)


def _mark_of(state: LogState) -> Mark:
    return Mark(state.log_id, state.commits, state.ends.last_place)
