"""Where a server listens for operators on its own machine: a socket in the folder of its store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATH_BYTES = 100
"""A socket's path may have 107 bytes on Linux, and fewer elsewhere (unix(7))."""


def admin_path(store: Path) -> Path:
    """The admin socket of the server that has a store open. Other names of the store lead to the same.

    The name of the store does not begin it, as who copies the files of a store names them by that.
    """
    file = Path(os.path.realpath(store))
    return file.with_name(f".{file.name}-admin")


@contextmanager
def short_enough(path: Path) -> Iterator[str]:
    """A name for a socket's path that the system takes, however long the path is: by way of its folder's descriptor.

    Raises `OSError`.
    """
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
