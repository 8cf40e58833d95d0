"""Room on the disk for the write-ahead log, and for writing it into the database.

SQLite cannot open a database whose write-ahead log finds no room in it, so a full disk would stay full: retention could
not begin. Two things keep room for that. The database may grow only as long as enough is left, and a file that holds
nothing takes up as much as the log does, so that other programs leave it; it is removed where the room is needed.
"""

import contextlib
import os
from pathlib import Path

from timer_server.store.base import Notice
from timer_server.store.sqlite.files import StoreFiles

LOG_MOST_BYTES = 8 * 2**20
"""What the log takes at most: it is written back long before, and one turn fits."""

_DISK_SHARE = 8
"""On a small disk, the log takes no more than this part of it."""

_STEP_BYTES = 2**18
"""The reserve grows by this, so that it seldom has to."""


class Room:
    """Looks after the room that a store needs beside its database. All methods may raise `OSError`."""

    def __init__(self, files: StoreFiles) -> None:
        self._files = files
        self.log_most_bytes = LOG_MOST_BYTES
        """How large the log may become on this disk."""
        self.reserved_bytes = 0
        """How large the reserve is. The log should be no larger."""

    def growth_bytes(self) -> int | None:
        """By how much the database may grow; negative where room is missing, None where the system does not tell.

        Twice the most that the log may take is left free, or is taken already: by the log, and by the reserve.
        """
        disk = os.statvfs(self._files.reserve.parent)
        if not disk.f_blocks:
            return None
        self.log_most_bytes = min(LOG_MOST_BYTES, disk.f_blocks * disk.f_frsize // _DISK_SHARE)
        taken_bytes = _size(self._files.log) + _size(self._files.reserve)
        return disk.f_bavail * disk.f_frsize + taken_bytes - 2 * self.log_most_bytes

    def notices(self) -> list[Notice]:
        """What an operator should know of the room that there is."""
        growth_bytes = self.growth_bytes()
        if growth_bytes is None or growth_bytes >= self.log_most_bytes:
            return []
        figures: dict[str, int | str] = {"file": str(self._files.database), "may_grow_bytes": max(growth_bytes, 0)}
        return [Notice("the disk is nearly full", figures, is_warning=True)]

    def reserve(self) -> None:
        """Makes the reserve larger than the log, if that leaves room for the log to grow."""
        log_bytes, self.reserved_bytes = _size(self._files.log), _size(self._files.reserve)
        wanted_bytes = min((log_bytes // _STEP_BYTES + 1) * _STEP_BYTES, self.log_most_bytes)
        missing_bytes = wanted_bytes - self.reserved_bytes
        if missing_bytes <= 0 or not hasattr(os, "posix_fallocate"):
            return
        disk = os.statvfs(self._files.reserve.parent)
        if disk.f_bavail * disk.f_frsize >= missing_bytes + max(self.log_most_bytes - log_bytes, 0):
            with contextlib.suppress(OSError):  # others may have been faster
                self._extend(wanted_bytes)

    def is_needed(self) -> bool:
        """Whether there is a log that has yet to be written into the database."""
        return _size(self._files.log) > 0

    def release(self) -> bool:
        """Gives the reserve back to the disk; whether there was one."""
        had_one = _size(self._files.reserve) > 0
        self._files.reserve.unlink(missing_ok=True)
        self.reserved_bytes = 0
        return had_one

    def _extend(self, size: int) -> None:
        with self._files.reserve.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        self.reserved_bytes = size


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
