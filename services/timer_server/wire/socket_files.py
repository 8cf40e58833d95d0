"""The files of `ipc://` endpoints. libzmq takes away whatever has the name of one before it binds, unlike with TCP."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from timer_server.wire.endpoints import BindError

_IN_USE = os.strerror(errno.EADDRINUSE)


@contextmanager
def claimed(endpoint: str) -> Iterator[None]:
    """Holds the place of an endpoint while it is bound, so that of two servers that start at once one gets it.

    Raises `BindError` where another program listens there, or there is something else than a socket. The file of one
    that listens no more is left to be replaced.
    """
    path = socket_path(endpoint)
    if path is None:
        yield
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            _check_free(endpoint, path)
            yield
        finally:
            os.close(folder)
    except OSError as error:
        raise BindError(endpoint, error.strerror or str(error)) from None


def socket_path(endpoint: str) -> Path | None:
    """The file of an endpoint; None where it has none, or libzmq picks it."""
    name = endpoint.removeprefix("ipc://")
    return None if name == endpoint or name[:1] in {"@", "*"} else Path(name)


class SocketFile:
    """The file of a bound endpoint, if it has one."""

    def __init__(self, endpoint: str) -> None:
        self._path = socket_path(endpoint)
        self._inode = self._inode_there()

    def remove(self) -> None:
        """Removes the file, unless it is another one by now. To be called while the socket still listens."""
        if self._path is not None and self._inode and self._inode_there() == self._inode:
            with suppress(OSError):
                self._path.unlink()

    def _inode_there(self) -> int:
        try:
            return 0 if self._path is None else self._path.lstat().st_ino
        except OSError:
            return 0


def _check_free(endpoint: str, path: Path) -> None:
    """Raises `BindError` where the place is taken, and `OSError` where that cannot be told."""
    if not path.is_symlink() and not path.exists():
        return
    if not path.is_socket():
        raise BindError(endpoint, "there is a file of that name, and it is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except BlockingIOError:
            pass  # others wait to be accepted
    raise BindError(endpoint, _IN_USE)
