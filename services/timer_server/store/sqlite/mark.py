"""The mark: a small file beside a log that says up to where the log has been acknowledged.

SQLite drops everything after a damaged frame of its write-ahead log, as a crash in mid-commit looks the same. The mark
tells the two apart. It is written after each commit and never synced: it survives the death of the process, and after a
loss of power it may say too little, never too much.

A server holds a lock on its mark. So who finds the database locked can tell whether a server has it open.
"""

import contextlib
import errno
import fcntl
import os
import struct
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from timer_server.store.base import StoreError
from timer_server.store.integrity import Damage
from timer_server.store.sqlite.sentences import REMEDY
from timer_server.store.state import LogState

_FORM = struct.Struct(">4s11sQQ")
_NUMBERS = struct.Struct(">QQ")
_CHECKSUM = struct.Struct(">I")
_MAGIC = b"TIMK"
_SIZE = _FORM.size + _CHECKSUM.size


class Mark(NamedTuple):
    """A log, how many of its commits were acknowledged, and the place of its last entry."""

    log_id: str
    commits: int
    place: int


class MarkFile:
    """Reads the mark, and writes it once it has been opened. Every method may raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._descriptor = -1
        self._log = b""

    def read(self) -> Mark | None:
        """The mark; None where there is no file. Raises `Damage` for a file that holds something else."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        form, checksum = content[: _FORM.size], content[_FORM.size :]
        if len(content) != _SIZE or _CHECKSUM.pack(crc32(form)) != checksum or not form.startswith(_MAGIC):
            raise Damage("it is no mark")
        _, log_id, commits, place = _FORM.unpack(form)
        return Mark(log_id.decode("ascii", errors="replace"), commits, place)

    def doubt(self, state: LogState, database: Path) -> str | None:
        """Why the mark says nothing of the log in this database; None where it agrees.

        Raises `StoreError` where commits are lost.
        """
        try:
            mark = self.read()
        except Damage as damage:
            return str(damage)
        if mark is None:
            return "it was missing" if state.commits else None
        if mark.log_id != state.log_id:
            return "it belongs to another store"
        if mark.commits > state.commits:
            raise StoreError(
                f"{database} ends at commit {state.commits} (entry {state.ends.last_place}), but commit"
                f" {mark.commits} (entry {mark.place}) had been acknowledged; {REMEDY}, or accept the loss and run"
                " `timer-server restored` once, so that watchers notice it"
            )
        return None

    def open(self, mark: Mark) -> None:
        """Puts this mark into the file, whatever was there, and keeps the file open."""
        self.close()
        self.path.touch()
        self._file = FileIO(self.path, "r+")
        self._descriptor = self._file.fileno()
        self._log = _MAGIC + mark.log_id.encode()
        with contextlib.suppress(OSError):  # where there are no locks, a message says less
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.write(mark.commits, mark.place)
        self._file.truncate(_SIZE)

    def write(self, commits: int, place: int) -> None:
        """Replaces the mark of the same log in place: one small write, which no crash of the process can tear."""
        form = self._log + _NUMBERS.pack(commits, place)
        if os.pwrite(self._descriptor, form + _CHECKSUM.pack(crc32(form)), 0) != _SIZE:
            raise OSError(errno.EIO, "only a part could be written", str(self.path))

    def is_held(self) -> bool:
        """Whether a server has the mark open."""
        try:
            with FileIO(self.path) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file, self._descriptor = None, -1
