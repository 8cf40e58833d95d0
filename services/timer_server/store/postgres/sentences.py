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

_OF_STATEMENTS = {
    "25006": _Known(False, "it is no primary any more"),
    "3F000": _Known(True, "create the schema that search_path names, and grant the user USAGE and CREATE on it"),
    "42501": _Known(True, "the user has to own the tables, or to be granted all on them and on the schema"),
    "42P01": _Known(True, _RESTORE),
    "42703": _Known(True, _RESTORE),
    "53100": _Known(False, "make room on the disk of PostgreSQL"),
    "53200": _Known(False, "PostgreSQL has no memory left"),
    "53300": _Known(False, "raise max_connections, or end sessions of others"),
    "55P03": _Known(False, "another session holds it"),
    "57014": _Known(False, ""),
    "57P01": _Known(False, ""),
    "57P02": _Known(False, ""),
    "57P03": _Known(False, ""),
    "58030": _Known(False, "see to the disk of PostgreSQL"),
}
"""By SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html). All others stay until somebody mends them."""


def is_final(reason: str) -> bool:
    """Whether a connection fails for this reason until somebody mends it."""
    known = _known(reason)
    return known is not None and known.is_final


def sentence(doing: str, shown: str, error: Fault) -> StoreError:
    """Why the database could not be opened, read or written (`doing`), and what helps.

    It is `StoreAway` where that may end by itself.
    """
    if isinstance(error, Damage):
        return damaged(shown, error)
    known, code = (_known(str(error)), "") if not isinstance(error, Failed) else _of_statement(error)
    text = f"cannot {doing} {shown}: {one_line(str(error))}{code}{_hint(known)}"
    may_end = isinstance(error, Lost) or (isinstance(error, Failed) and known is not None and not known.is_final)
    return StoreAway(text) if may_end else StoreError(text)


def damaged(shown: str, error: Damage) -> StoreError:
    """What was read is not what was written."""
    if isinstance(error, UnknownEntry):
        return StoreError(f"{shown} was written by a newer timer-server ({error}); run that version, {_ELSEWHERE}")
    return StoreError(f"{shown} is damaged: {error}; {_RESTORE}")


def _known(reason: str) -> _Known | None:
    return next((known for pattern, known in _OF_CONNECTING.items() if re.search(pattern, reason)), None)


def _of_statement(error: Failed) -> tuple[_Known | None, str]:
    return _OF_STATEMENTS.get(error.sqlstate), f" (SQLSTATE {error.sqlstate})"


def _hint(known: _Known | None) -> str:
    return f"; {known.hint}" if known is not None and known.hint else ""


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
