"""What the disk alone takes: one append of 4 KiB and its fsync."""

import os
import time
from pathlib import Path

from bench.servers import disk_folder

APPEND_BYTES = 4096


def append_ms(appends: int) -> list[float]:
    """How long each of some appends took, fsync included."""
    with disk_folder() as folder:
        return appends_to(folder / "appended", appends)


def appends_to(path: Path, appends: int) -> list[float]:
    """Appends to a file, and how long each took."""
    block = os.urandom(APPEND_BYTES)
    took_ms = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(appends):
            begun = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            took_ms.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
    return took_ms
