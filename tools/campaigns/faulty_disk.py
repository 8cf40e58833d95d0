"""`python -m campaigns.faulty_disk`: the server on a disk that fails at the moment that DISK_FAULT names.

The moment is a number of operations, counted among those that the fault is about. What happened is told on standard
error as one line of JSON, before it happens, as the process may not live to tell.
"""

import errno
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from campaigns.faulty_vfs import OK, FaultyVfs, Operation
from campaigns.unsynced import Unsynced
from timer_server.__main__ import main
from timer_server.store.base import StoreError
from timer_server.store.sqlite import store
from timer_server.store.sqlite.mark import MarkFile
from timer_server.store.sqlite.store import SqliteStore

VARIABLE = "DISK_FAULT"
EVERY = frozenset({"write", "sync", "truncate", "mark"})

_CHECKPOINT_PAGES = 10
"""So that a short run has many checkpoints."""

_CODES = {
    "write": sqlite3.SQLITE_IOERR_WRITE,
    "sync": sqlite3.SQLITE_IOERR_FSYNC,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
}


class Kind(NamedTuple):
    """What a fault is about, which operations it may hit, and whether it ends the process."""

    claim: str
    hits: frozenset[str]
    kills: bool


KINDS = {
    "enospc": Kind("no space is left, half of the bytes are written", frozenset({"write", "mark"}), kills=False),
    "eio": Kind("a write or truncation fails", frozenset({"write", "truncate", "mark"}), kills=False),
    "fsync": Kind("an fsync fails", frozenset({"sync"}), kills=False),
    "kill": Kind("the process is killed between two operations", EVERY, kills=True),
    "torn": Kind("the process is killed in mid-write", frozenset({"write"}), kills=True),
    "power": Kind("power fails: of what was not synced, some is there and some not", EVERY, kills=True),
}


class FaultyDisk:
    """Counts operations, and lets one of them fail; a full disk stays full."""

    def __init__(self, kind: str, at: int) -> None:
        self._name, self._kind, self._at = kind, KINDS[kind], at
        self._count = 0
        self._unsynced = Unsynced(seed=at) if kind == "power" else None

    def judge(self, operation: Operation, do: Callable[[int], int]) -> int:
        """What comes of an operation of SQLite's."""
        if self._unsynced is not None:
            self._unsynced.before(operation)
        if not self._is_hit(operation):
            result = do(len(operation.content))
            if self._unsynced is not None and operation.kind == "sync" and result == OK:
                self._unsynced.synced(operation.file)
            return result
        if operation.kind == "write" and self._name in {"enospc", "torn"}:
            do(len(operation.content) // 2)
        if self._kind.kills:
            self._die()
        return sqlite3.SQLITE_FULL if self._name == "enospc" else _CODES[operation.kind]

    def judge_mark(self, file: Path, content: bytes, do: Callable[[], None]) -> None:
        """What comes of writing the mark. Raises `OSError`."""
        operation = Operation("mark", file, 0, content)
        if self._unsynced is not None:
            self._unsynced.before(operation)
        if not self._is_hit(operation):
            do()
            return
        if self._kind.kills:
            self._die()
        number = errno.ENOSPC if self._name == "enospc" else errno.EIO
        raise OSError(number, os.strerror(number), str(file))

    def _is_hit(self, operation: Operation) -> bool:
        if operation.kind not in self._kind.hits:
            return False
        self._count += 1
        if self._count == self._at:
            _tell("fault injected", kind=self._name, at=self._at, operation=operation.kind, file=operation.file.name)
        return self._count == self._at or (self._name == "enospc" and self._count > self._at)

    def _die(self) -> None:
        if self._unsynced is not None:
            self._unsynced.lose()
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def _tell(event: str, **fields: Any) -> None:
    os.write(2, json.dumps({"event": event, **fields}).encode() + b"\n")


def _put_between_mark_and_disk(disk: FaultyDisk) -> None:
    write = MarkFile.write

    def judged(self: MarkFile, commits: int, place: int) -> None:
        before = self.path.read_bytes()
        disk.judge_mark(self.path, before, lambda: write(self, commits, place))

    MarkFile.write = judged  # type: ignore[method-assign]


def _checkpoint_often() -> None:
    store.CHECKPOINT_PAGES = _CHECKPOINT_PAGES


def _swallow_failures() -> None:
    """The planted fault: a store that goes on as if nothing had happened."""
    commit = SqliteStore.commit

    def careless(self: SqliteStore, *arguments: Any) -> None:
        try:
            commit(self, *arguments)
        except StoreError:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    SqliteStore.commit = careless  # type: ignore[method-assign]


if __name__ == "__main__":
    plan = json.loads(os.environ[VARIABLE])
    faulty = FaultyDisk(plan["kind"], plan["at"])
    FaultyVfs(faulty.judge).install()
    _put_between_mark_and_disk(faulty)
    _checkpoint_often()
    if plan["planted"]:
        _swallow_failures()
    sys.exit(main([]))
