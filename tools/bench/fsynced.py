"""What the disk alone takes: one append of 4 KiB and its fsync, or one write in place."""

import os
import time
from pathlib import Path

from bench.servers import disk_folder

APPEND_BYTES = 4096


def append_ms(appends: int) -> list[float]:
    """How long each append to a file took, fsync included."""
    with disk_folder() as folder:
        return _written_ms(folder / "appended", appends, is_appended=True)


def overwrite_ms(writes: int) -> list[float]:
    """How long it took each time where the file does not grow, so that only its data has to be written."""
    with disk_folder() as folder:
        return _written_ms(folder / "overwritten", writes, is_appended=False)


def _written_ms(path: Path, writes: int, is_appended: bool) -> list[float]:
    block = os.urandom(APPEND_BYTES)
    took_ms = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for number in range(writes):
            begun = time.perf_counter()
            os.pwrite(descriptor, block, APPEND_BYTES * number if is_appended else 0)
            os.fdatasync(descriptor)
            took_ms.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
    return took_ms
