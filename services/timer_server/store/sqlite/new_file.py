"""A file that stands under its name once all of it is on the disk, and not before."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timer_server.store.base import StoreError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The name under which to write a file, empty and readable for its owner alone, that is to stand at `path`.

    What was there is replaced at the end of the block, and stays where that raises. Raises `StoreError` where another
    process writes the same file, and `OSError`.
    """
    part = Path(f"{path}.part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _claim(descriptor, part)
        try:
            yield part
            os.fsync(descriptor)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    finally:
        os.close(descriptor)
    _sync_folder(path.parent)


def _claim(descriptor: int, part: Path) -> None:
    """Empties the file, which a process that was killed may have left. Raises `StoreError` where one is at it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.fstat(descriptor).st_ino == part.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    if not is_there:
        raise StoreError(f"{part} is being written by another process")
    os.ftruncate(descriptor, 0)


def _sync_folder(folder: Path) -> None:
    """Makes the name of the file durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
