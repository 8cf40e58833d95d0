"""Backups: databases like those of stores, under an application id of their own.

So a server refuses to open one: it would serve the log under the id that it had, and nobody would be told that it is an
older copy. All that is written or read here is checked on the way: a backup that has its name is whole.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from timer_protocol.small_files import fault_of_kind
from timer_server.store.base import Header, StoreError
from timer_server.store.blocks import Row, entries_of
from timer_server.store.integrity import Damage, UnknownEntry, verify_complete
from timer_server.store.quoting import one_line
from timer_server.store.sqlite.files import StoreFiles
from timer_server.store.sqlite.mark import Mark, MarkFile
from timer_server.store.sqlite.new_file import new_file
from timer_server.store.sqlite.schema import (
    APPLICATION_ID,
    BACKUP_ID,
    INSERT_BLOCK,
    SELECT_BLOCKS,
    SELECT_STATE,
    check_is_backup,
    create,
)
from timer_server.store.state import HeaderRow, LogState, row_to_state

_MAGIC = b"SQLite format 3\0"


class Contents(NamedTuple):
    """What a backup holds: its header, and how many entries."""

    header: Header
    entries: int


def write_backup(path: Path, header: HeaderRow, slices: Iterable[list[Row]]) -> Contents:
    """Makes a backup of these blocks, which replaces an older one. Raises `StoreError`."""
    with _explained("write", path, "the store that it is a copy of"):
        _check_replaceable(path)
        state = row_to_state(header)
        with new_file(path) as part:
            _write(part, BACKUP_ID, state, chain.from_iterable(slices))
    return Contents(state.header(), state.held)


def check_backup(path: Path) -> Contents:
    """Reads all of a backup. Raises `StoreError` where it is not whole."""
    with _explained("read", path), _opened(path) as (state, rows):
        _check_all(rows, state)
    return Contents(state.header(), state.held)


def restore_backup(path: Path, to: Path, new_log_id: Callable[[], str]) -> tuple[Header, Header]:
    """Makes a store of a backup, whose log goes on under a new id; returns the headers before and after.

    Raises `StoreError`, also where anything of a store is there already.
    """
    files = StoreFiles(to)
    with _explained("write", to):
        files.check()
        _check_free(files)
    with _explained("read", path), _opened(path) as (state, rows):
        after = state.renamed(new_log_id())
        with _explained("write", to, str(path)), new_file(to) as part:
            _write(part, APPLICATION_ID, after, rows)
    mark = MarkFile(files.mark)
    with closing(mark), _explained("write", files.mark):
        mark.open(Mark(after.log_id, after.commits, after.ends.last_place))
    return state.header(), after.header()


def _write(file: Path, application_id: int, state: LogState, rows: Iterable[Row]) -> None:
    """Fills a database with blocks that have to be all that belong to a state. The caller syncs it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # nobody has the file before it is whole
        database.execute("PRAGMA synchronous = OFF")
        create(database, state, application_id)

        def stored() -> Iterator[Row]:
            for row in rows:
                database.execute(INSERT_BLOCK, row)
                yield row

        database.execute("BEGIN")
        _check_all(stored(), state)
        database.execute("COMMIT")


def _check_all(rows: Iterable[Row], state: LogState) -> None:
    """Reads blocks to the last. Raises `Damage` where they are not those that a state tells of."""
    for _ in verify_complete(map(entries_of, rows), state.held, state.ends):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[tuple[LogState, Iterator[Row]]]:
    """The state in a backup, and its blocks, which have to be read within. Raises `StoreError` and `Damage`."""
    if (fault := fault_of_kind(path.stat().st_mode)) is not None:
        raise StoreError(f"{path} is no backup: {fault}")
    if not _is_database(path):
        raise StoreError(f"{path} is no backup of a timer server")
    # Nobody writes to it, and it may stand where nothing can be written beside it.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        check_is_backup(database, path)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damage(one_line(str(verdict)))
        yield (
            row_to_state(database.execute(SELECT_STATE).fetchone()),
            database.execute(f"{SELECT_BLOCKS} ORDER BY last_place"),
        )


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _check_replaceable(path: Path) -> None:
    """Raises `StoreError` where there is something else than an older backup: it might be the store."""
    if not path.exists():
        return
    if (fault := fault_of_kind(path.stat().st_mode)) is not None:
        raise StoreError(f"cannot write {path}: {fault}")
    if path.stat().st_size:
        try:
            with _opened(path):
                pass
        except (StoreError, Damage, sqlite3.Error, UnicodeDecodeError):
            raise StoreError(f"{path} is there and is no backup that could be replaced; name another file") from None


def _check_free(files: StoreFiles) -> None:
    """Raises `StoreError` where there is a store, or a part of one."""
    for file in (files.database, files.log, files.journal, files.mark, files.reserve):
        if file.exists():
            raise StoreError(
                f"{file} is there already; move it away, with all files of that store, or name another one"
            )


@contextmanager
def _explained(doing: str, path: Path, what: str = "") -> Iterator[None]:
    """Turns every error that the files can cause into a `StoreError`. `what` is read, where it is not the file."""
    damaged = what or str(path)
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"cannot {doing} {error.filename or path}: {error.strerror}") from error
    except UnknownEntry as unknown:
        raise StoreError(f"{damaged} was written by a newer timer-server ({unknown}); use that version") from None
    except Damage as damage:
        raise StoreError(f"{damaged} is damaged: {damage}") from None
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        is_of_the_disk = code is not None and code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
        told = f"cannot {doing} {path}" if is_of_the_disk else f"{damaged} is damaged"
        raise StoreError(f"{told}: {one_line(str(error))}") from None
