"""Error sentences about a database: what was found, where, and what the operator can do."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from timer_server.store.base import StoreAway, StoreError
from timer_server.store.integrity import Damage, UnknownEntry
from timer_server.store.quoting import one_line

_ELSEWHERE = "or name another database in TIMER_STORE"

_RESTORE = f"restore a backup, {_ELSEWHERE}"


class Lost(Exception):
    """There is no connection, or no longer: what was asked last may have been done or not. It may come again."""


class Failed(Exception):
    """PostgreSQL has answered with an error, and has done nothing. `sqlstate` is its code."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Unfit(Exception):
    """PostgreSQL, or what stands before it, cannot be used as it is. The text says why, and what is needed."""


def unreadable(written: int, formats: Iterable[int]) -> Unfit:
    """Entries are in a format that this release does not read: one that `timer-server upgrade` of another has set."""
    read = ", ".join(map(str, sorted(formats)))
    return Unfit(
        f"its entries are written in format {written}, and this release reads {read}; run a newer timer-server"
    )


Fault = Damage | Failed | Lost | Unfit
"""Whatever an exchange may raise."""


class _Known(NamedTuple):
    """A known error: whether it stays until somebody mends it, and what helps."""

    is_final: bool
    hint: str


_OF_CONNECTING = {
    r"password authentication failed|no password supplied": _Known(
        True, "set the password in PGPASSWORD, ~/.pgpass or TIMER_STORE"
    ),
    r"database \".*\" does not exist": _Known(True, f"create it, {_ELSEWHERE}"),
    r"role \".*\" (does not exist|is not permitted to log in)": _Known(True, "create it with the right to log in"),
    r"no pg_hba.conf entry": _Known(True, "allow this machine in pg_hba.conf"),
    r"permission denied for database": _Known(True, "grant CONNECT on the database"),
    r"certificate verify failed|server does not support SSL": _Known(
        True, "see sslmode and sslrootcert in TIMER_STORE"
    ),
    r"session is read-only|hot standby mode": _Known(False, "name the host of the primary in TIMER_STORE too"),
    r"too many (clients|connections)|connection slots are reserved": _Known(
        False, "raise max_connections, or end sessions of others"
    ),
}
"""What libpq says where there is no connection, in English; it tells no code. In another language it is tried again."""

_FINAL_CLASSES = frozenset({"0A", "28", "3D", "3F", "42"})
"""No such feature, user, database, schema or table, or no right to it."""

_DATA_CORRUPTED = frozenset({"XX001", "XX002"})

_HINTS = {
    "25006": "it is no primary any more",
    "3F000": "create the schema that search_path names, and grant the user USAGE and CREATE on it",
    "42501": "the user has to own the tables, or to be granted all on them and on the schema",
    "42P01": _RESTORE,
    "42703": _RESTORE,
    "53100": "make room on the disk of PostgreSQL",
    "53200": "PostgreSQL has no memory left",
    "53300": "raise max_connections, or end sessions of others",
    "55P03": "another session holds it",
    "58030": "see to the disk of PostgreSQL",
    "XX001": _RESTORE,
    "XX002": _RESTORE,
}
"""What helps, by SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html)."""


def is_final(reason: str) -> bool:
    """Whether a connection fails for this reason until somebody mends it."""
    known = _known(reason)
    return known is not None and known.is_final


def _is_final_code(sqlstate: str) -> bool:
    """Whether a statement fails with this SQLSTATE until somebody mends it.

    All others may end by themselves, also those that nobody has thought of. To try again does no harm: what is written
    is fenced.
    """
    return sqlstate[:2] in _FINAL_CLASSES or sqlstate in _DATA_CORRUPTED


def sentence(doing: str, shown: str, error: Fault) -> StoreError:
    """Why the database could not be opened, read or written (`doing`), and what helps.

    It is `StoreAway` where that may end by itself.
    """
    if isinstance(error, Damage):
        return damaged(shown, error)
    if isinstance(error, Failed):
        code, hint = f" (SQLSTATE {error.sqlstate})", _HINTS.get(error.sqlstate, "")
        may_end = not _is_final_code(error.sqlstate)
    else:
        known = _known(str(error))
        code, hint = "", "" if known is None else known.hint
        may_end = isinstance(error, Lost)
    text = f"cannot {doing} {shown}: {one_line(str(error))}{code}" + (f"; {hint}" if hint else "")
    return StoreAway(text) if may_end else StoreError(text)


def damaged(shown: str, error: Damage) -> StoreError:
    """What was read is not what was written."""
    if isinstance(error, UnknownEntry):
        return StoreError(f"{shown} was written by a newer timer-server ({error}); run that version, {_ELSEWHERE}")
    return StoreError(f"{shown} is damaged: {error}; {_RESTORE}")


def _known(reason: str) -> _Known | None:
    return next((known for pattern, known in _OF_CONNECTING.items() if re.search(pattern, reason)), None)


def not_replicated(shown: str) -> str:
    """Commits are on one machine alone."""
    return (
        f"{shown} has no synchronous standby (synchronous_standby_names is empty), so one machine that dies could take"
        " acknowledged timers with it; set it, or say in TIMER_REPLICATION that the storage replicates (external), or"
        " that nothing has to (none)"
    )


def not_confirmed(shown: str) -> str:
    """A commit was not waited for to its end."""
    return f"cannot write {shown}: the wait for the standby was cancelled, so it may not have the commit"


def moved(shown: str) -> str:
    """Another process of PostgreSQL has executed a statement than the one that was set up."""
    return (
        f"{shown} is behind a pooler in transaction mode, which has moved the session to another process; name"
        " PostgreSQL itself in TIMER_STORE, or pool sessions"
    )
