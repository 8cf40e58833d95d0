"""The files of a store: what they have to be before it is opened, and that they stay the same while it is open."""

import os
from pathlib import Path

from timer_protocol.small_files import fault_of_kind
from timer_server.store.base import StoreError
from timer_server.store.sqlite.sentences import REMEDY, overwritten, taken, written

_MAGIC = b"SQLite format 3\0"


class StoreFiles:
    """The database, its write-ahead log and its mark, and what else may stand beside them.

    Its methods raise `StoreError`, and `OSError` where the system refuses.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        self.mark = _beside(database, "mark")
        target = _target(database)
        self.journal = _beside(target, "journal")
        self.log = _beside(target, "wal")
        self.reserve = _beside(target, "reserve")
        """The log while SQLite closes, if it is empty: see `Room.kept`."""
        self._open: dict[Path, tuple[int, int]] = {}
        """The files that are open, by the names under which they stood then: each with its device and its inode."""
        self._written: dict[Path, tuple[int, int]] = {}
        """When this store has last written to the database and to its log, and their sizes then."""

    def check(self) -> None:
        """Refuses a folder that cannot be used, and what is no file: opening that might wait for ever."""
        try:
            has_folder = self.database.parent.is_dir()
            for file in (self.database, self.journal, self.log, self.mark, self.reserve):
                _check_regular(file)
        except PermissionError:
            raise StoreError(f"cannot open {self.database}: this user may not look into its folder") from None
        if not has_folder:
            raise StoreError(f"cannot open {self.database}: its folder does not exist")
        if not _may_write_into(self.database.parent):
            raise StoreError(f"cannot open {self.database}: this user may not write into its folder")

    def check_database(self) -> None:
        """Raises `StoreError` for a database file that is none, and for an empty one whose log is lost.

        SQLite itself takes a short file for an empty one, and removes a write-ahead log beside an empty one.
        """
        begin = b""
        if self.database.exists():
            with self.database.open("rb") as file:
                begin = file.read(len(_MAGIC))
        if begin not in {b"", _MAGIC}:
            raise StoreError(f"{self.database} is not a database; name another file in TIMER_STORE")
        if not begin:
            self._check_nothing_beside()

    def remember(self) -> None:
        """Notes which files are open."""
        self._open = {}
        for file in (self.database, self.log, self.mark):
            found = file.stat()
            self._open[file] = found.st_dev, found.st_ino
        self.note_written()

    def note_written(self) -> None:
        """Notes how the store has left the database and its log."""
        self._written = {file: _written(file.stat()) for file in (self.database, self.log)}

    def verify(self, *, has_committed: bool) -> None:
        """Raises `StoreError` where an open file no longer stands under its name, or others have written to it: what is
        stored from now on could not be found again.

        Where the store has committed since it noted its files, it has written to the log, but not to the database.
        """
        for file, identity in self._open.items():
            try:
                found = file.stat()
            except FileNotFoundError:
                raise StoreError(taken(file, "removed", is_mark=file is self.mark)) from None
            if identity != (found.st_dev, found.st_ino):
                raise StoreError(taken(file, "replaced", is_mark=file is self.mark))
            if file is self.database and _written(found) != self._written[file]:
                raise StoreError(written(file))
            if file is self.log and not has_committed and _written(found) != self._written[file]:
                raise StoreError(overwritten(file))

    def _check_nothing_beside(self) -> None:
        """Raises `StoreError` where a log is gone but its mark or write-ahead log is left, so that the loss shows."""
        for file in (self.log, self.mark):
            if file.exists() and file.stat().st_size:
                raise StoreError(
                    f"{self.database} is missing or empty, but {file} is there; {REMEDY},"
                    f" or remove {file.name} to begin anew"
                )


def _target(database: Path) -> Path:
    """What a link points to: SQLite puts its own files beside that."""
    try:
        return Path(os.path.realpath(database))
    except OSError:  # the working directory is gone, which opening will say
        return database


def _beside(database: Path, suffix: str) -> Path:
    return Path(f"{database}-{suffix}")  # a folder such as `.` has no name to put it after


def _may_write_into(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _check_regular(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if (fault := fault_of_kind(mode)) is not None:
        raise StoreError(f"cannot open {file}: {fault}; name another one in TIMER_STORE")


def _written(found: os.stat_result) -> tuple[int, int]:
    return found.st_mtime_ns, found.st_size
