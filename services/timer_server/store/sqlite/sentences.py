"""Error sentences about a database: what was found, where, and what the operator can do."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from timer_server.store.integrity import Damage, UnknownEntry
from timer_server.store.quoting import one_line

REMEDY = "restore a copy of it together with its -wal, or name another file in TIMER_STORE"

_ROOM = "make room on the disk, of which a part is kept free, so that retention can make room after a restart"

_AGAIN = "start the server again: all that was acknowledged is there"

_NEWER = "was written by a newer timer-server ({}); run that version, or name another file in TIMER_STORE"

_OF_THE_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""Errors of the disk or its use. All others mean that the file does not hold what was written."""


def sentence(
    doing: str,
    path: Path,
    error: Damage | OSError | UnicodeDecodeError | sqlite3.Error,
    is_served: Callable[[], bool],
) -> str:
    """Why the database at `path` could not be opened, read or written (`doing`), and what helps.

    `is_served` tells whether a server has it open.
    """
    if isinstance(error, OSError):
        return f"cannot {doing} {error.filename or path}: {error.strerror}"
    if isinstance(error, Damage):
        is_newer = isinstance(error, UnknownEntry)
        return f"{path} {_NEWER.format(error)}" if is_newer else f"{path} is damaged: {error}; {REMEDY}"
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, UnicodeDecodeError) or code is None:
        # It comes from Python's module, not from SQLite, and its text may quote data that has no place in a log.
        return f"{path} is damaged: it holds text that is not UTF-8; {REMEDY}"
    if code & 0xFF not in _OF_THE_DISK:
        return f"{path} is damaged: {one_line(str(error))}; {REMEDY}"
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        holder = "another timer-server has it open" if is_served() else "another program holds the database"
        return f"cannot {doing} {path}: {holder} ({error.sqlite_errorname})"
    remedy = _ROOM if code & 0xFF == sqlite3.SQLITE_FULL else _AGAIN
    hint = "" if doing == "open" and remedy is _AGAIN else f"; {remedy}"
    return f"cannot {doing} {path}: {error} ({error.sqlite_errorname}){hint}"


def taken(file: Path, how: str, *, is_mark: bool) -> str:
    """A file of the store was removed or replaced (`how`)."""
    remedy = "start the server again, which makes it anew" if is_mark else REMEDY
    return f"{file} was {how} while the server had it open; {remedy}"


def written(file: Path) -> str:
    """Another program has written to the database, or only looks as if: a file's time can be set."""
    return (
        f"{file} was written to by another program, or its time was set, while the server had it open;"
        " start the server again, which checks what it holds"
    )


def overwritten(log: Path) -> str:
    """Another program has written to the write-ahead log."""
    return f"{log} was overwritten by another program while the server had it open; {REMEDY}"
