"""Reads files of settings and keys, none of which may hold a program up: a pipe would, and a device may never end."""

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 1_048_576

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def fault_of_kind(mode: int) -> str | None:
    """What is wrong with something of this mode where a file has to be, as a part of a sentence; None for a file."""
    if stat.S_ISREG(mode):
        return None
    return f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, and has to be a file"


def read_small_file(path: Path) -> bytes:
    """What is in an ordinary file of at most a mebibyte. Raises `OSError`, whose `strerror` is a part of a sentence."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fault = fault_of_kind(os.fstat(descriptor).st_mode)
        if fault is not None:
            raise OSError(errno.EINVAL, fault)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {_MOST_BYTES} bytes")
    return content
