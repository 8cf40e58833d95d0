"""A file system under SQLite that a test can make fail: every write, sync and truncation is asked about first.

It wraps SQLite's own (sqlite.org/vfs.html) without a compiler: the table of functions of each opened file is replaced
by a copy of which three entries lead here.
"""

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

OK = 0

_installed: list["FaultyVfs"] = []
"""SQLite keeps addresses of what is in them."""


class Operation(NamedTuple):
    """What SQLite is about to do to a file: `write`, `sync` or `truncate`, at an offset, with some bytes."""

    kind: str
    file: Path
    offset: int
    content: bytes


Judge = Callable[[Operation, Callable[[int], int]], int]
"""Decides what comes of an operation, and returns SQLite's result code.

It gets a function that does the operation: of a write, so many of its bytes.
"""


class Unavailable(Exception):
    """The SQLite that this Python uses cannot be reached from outside."""


class _Vfs(Structure):
    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("path_length", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("others", c_void_p * 15),
    )


class _Methods(Structure):
    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("others", c_void_p * 13),
    )


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


def library() -> ctypes.CDLL:
    """The SQLite that the module `sqlite3` of this Python uses. Raises `Unavailable`."""
    import _sqlite3  # noqa: PLC0415 - a part of some interpreters only

    try:
        found = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        found.sqlite3_vfs_find.restype = POINTER(_Vfs)
    except (OSError, AttributeError) as error:
        raise Unavailable(f"the SQLite of this Python has no symbols to be found: {error}") from None
    return found


class FaultyVfs:
    """The wrapping file system. It is SQLite's default from `install` on, for as long as the process lives."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._files: dict[int, Path] = {}
        self._tables: dict[int, _Methods] = {}
        self._kept: list[Any] = []

    def install(self) -> None:
        """Puts itself between SQLite and the disk. Raises `Unavailable`."""
        sqlite = library()
        self._original = sqlite.sqlite3_vfs_find(None)
        self._open_original = _Open(self._original.contents.open)
        copy = _Vfs.from_buffer_copy(self._original.contents)
        copy.name = b"faulty"
        copy.open = self._entry(_Open, self._open)
        self._kept.append(copy)
        if sqlite.sqlite3_vfs_register(ctypes.byref(copy), 1) != OK:
            raise Unavailable("SQLite does not take another file system")
        _installed.append(self)

    def _open(self, _: int, name: int | None, file: int, flags: int, out_flags: int | None) -> int:
        result = self._open_original(ctypes.addressof(self._original.contents), name, file, flags, out_flags)
        methods = c_void_p.from_address(file)
        if result == OK and methods.value is not None and name is not None:
            self._files[file] = Path(ctypes.string_at(name).decode())
            methods.value = ctypes.addressof(self._table(methods.value))
        return result

    def _table(self, address: int) -> _Methods:
        """The copy of a table of functions whose three entries lead here."""
        if address not in self._tables:
            original = _Methods.from_address(address)
            write, truncate, sync = _Write(original.write), _Truncate(original.truncate), _Sync(original.sync)

            def judged_write(file: int, buffer: int, amount: int, offset: int) -> int:
                operation = Operation("write", self._files[file], offset, ctypes.string_at(buffer, amount))
                return self._judge(operation, lambda length: write(file, buffer, min(length, amount), offset))

            def judged_truncate(file: int, size: int) -> int:
                operation = Operation("truncate", self._files[file], size, b"")
                return self._judge(operation, lambda _: truncate(file, size))

            def judged_sync(file: int, flags: int) -> int:
                operation = Operation("sync", self._files[file], 0, b"")
                return self._judge(operation, lambda _: sync(file, flags))

            table = _Methods.from_buffer_copy(original)
            table.write = self._entry(_Write, judged_write)
            table.truncate = self._entry(_Truncate, judged_truncate)
            table.sync = self._entry(_Sync, judged_sync)
            self._tables[address] = table
        return self._tables[address]

    def _entry(self, kind: Any, function: Callable[..., int]) -> int | None:
        """A Python function as an address that C can call; it is kept for good."""
        callback = kind(function)
        self._kept.append(callback)
        return ctypes.cast(callback, c_void_p).value
