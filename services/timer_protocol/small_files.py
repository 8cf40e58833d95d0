"""Reads files of settings and keys, none of which may hold a program up: a pipe would, and a device may never end."""

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 1_048_576


def read_small_file(path: Path) -> bytes:
    """What is in an ordinary file of at most a mebibyte. Raises `OSError`, whose `strerror` is a part of a sentence."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {_MOST_BYTES} bytes")
    return content
