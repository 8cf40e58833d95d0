"""Room on the disk for the write-ahead log, and for what it adds to the database.

SQLite cannot empty a log whose pages find no room in the database, nor remove anything where the log finds none: a full
disk would stay full, as retention could not begin. So the room is taken before it is needed, as blocks of the files
that need it: the log keeps its size, and the database has blocks beyond its last page. No commit may make the database
larger than its blocks. What is full can then still be written back, opened and pruned, whatever other programs do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from timer_server.store.base import Notice, StoreError
from timer_server.store.sqlite.files import StoreFiles
from timer_server.store.sqlite.sentences import overwritten

LOG_BYTES = 6 * 2**20
"""The size of the log, and what the database has beyond its last page. One turn of usual size is far smaller."""

_DISK_SHARE = 8
"""On a small disk, each of the two is no more than this part of it."""

_LOG_HEADER = 32
"""Without its header, what else is in the log counts for nothing (sqlite.org/fileformat2.html)."""

_KEPT_SHARE = 2
"""This part of the room in the database is kept for the ends of timers."""


class Room:
    """Looks after the room that a store needs on its disk. All methods but `close` may raise `OSError`."""

    def __init__(self, files: StoreFiles) -> None:
        self._files = files
        self._database = self._log = -1
        self._is_whole = True
        """Whether all room that is wanted could be had."""
        self.usual_log_bytes = LOG_BYTES
        """The size of the log on this disk, if no turn needs more."""
        self.log_bytes = 0
        """The size of the log as it was left."""

    def take_up(self) -> None:
        """Makes the reserve the log again, if that was left undone; before SQLite looks for a log."""
        if not self._files.reserve.exists():
            return
        if self._files.log.exists():
            self._files.reserve.unlink()
        else:
            self._files.reserve.rename(self._files.log)

    def open(self) -> None:
        """Opens the files. SQLite has to have them open, and to close the database first: the system gives up all locks
        of a process on a file as soon as it closes one of its descriptors."""
        self._database = os.open(self._files.database, os.O_RDWR)
        self._log = os.open(self._files.log, os.O_RDWR)
        self.log_bytes, self._is_whole = os.fstat(self._log).st_size, True
        disk = os.fstatvfs(self._database)
        if disk.f_blocks:
            self.usual_log_bytes = min(LOG_BYTES, disk.f_blocks * disk.f_frsize // _DISK_SHARE)

    def make(self, database_bytes: int, turn_bytes: int = 0) -> int:
        """Takes what room is missing, and more for a large turn. `database_bytes` are those of the pages so far.

        Returns how large the database may become, which is less than it should be on a full disk.
        """
        wanted_bytes = max(self.usual_log_bytes, turn_bytes)
        self.log_bytes = _extend(self._log, wanted_bytes)
        most_bytes = _extend(self._database, database_bytes + wanted_bytes)
        self._is_whole = most_bytes >= database_bytes + wanted_bytes
        return most_bytes

    def sync_database(self) -> None:
        """Makes the size of the database durable: without a log SQLite goes by it, and refuses a shorter file later."""
        os.fsync(self._database)

    def reset_log(self) -> None:
        """Makes a log empty that was written back, as SQLite is about to do, and cuts one that is larger than usual."""
        os.pwrite(self._log, bytes(_LOG_HEADER), 0)
        if os.fstat(self._log).st_size > self.usual_log_bytes:
            os.ftruncate(self._log, self.usual_log_bytes)

    def left_bytes(self, unused_bytes: int) -> int | None:
        """How much may still be stored besides the ends of timers; None where the system does not tell.

        `unused_bytes` is what may be added to the database as it is. What is free on the disk counts if it can be had.
        """
        disk = os.fstatvfs(self._database)
        if not disk.f_blocks:
            return None
        free_bytes = disk.f_bavail * disk.f_frsize if self._is_whole else 0
        return max(unused_bytes + free_bytes - self.usual_log_bytes // _KEPT_SHARE, 0)

    def notices(self, left_bytes: int | None) -> list[Notice]:
        """What an operator should know of the room that is left."""
        if left_bytes is None or left_bytes >= self.usual_log_bytes:
            return []
        figures: dict[str, int | str] = {"file": str(self._files.database), "may_grow_bytes": left_bytes}
        return [Notice("the disk is nearly full", figures, is_warning=True)]

    def verify_log(self) -> None:
        """Raises `StoreError` where the log has become smaller, which only another program does."""
        log_bytes = os.lseek(self._log, 0, os.SEEK_END)
        if log_bytes < self.log_bytes:
            raise StoreError(overwritten(self._files.log))
        self.log_bytes = log_bytes

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the log while SQLite closes, which removes an empty one: its room would be given away."""
        is_empty = self._log >= 0 and os.pread(self._log, _LOG_HEADER, 0) == bytes(_LOG_HEADER)
        with suppress(OSError):
            if is_empty:
                self._files.log.rename(self._files.reserve)
        yield
        with suppress(OSError):
            if is_empty:
                self._files.reserve.rename(self._files.log)

    def close(self) -> None:
        """Closes the files."""
        for descriptor in (self._database, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._database = self._log = -1


def _extend(descriptor: int, wanted_bytes: int) -> int:
    """Takes blocks behind the end of a file, as far as there are free ones, and returns the file's size."""
    size = os.fstat(descriptor).st_size
    if size >= wanted_bytes:
        return size
    disk = os.fstatvfs(descriptor)
    by_bytes = min(wanted_bytes - size, disk.f_bavail * disk.f_frsize) if disk.f_blocks else wanted_bytes - size
    if by_bytes > 0:
        with suppress(OSError):  # others may have been faster
            _take_blocks(descriptor, size, by_bytes)
    return os.fstat(descriptor).st_size


def _take_blocks(descriptor: int, size: int, by_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, size, by_bytes)
    else:  # the size is all that can be had
        os.ftruncate(descriptor, size + by_bytes)
