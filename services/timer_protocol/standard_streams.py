"""The standard streams of a program, fit for use whatever the shell has made of them.

They may be closed, full, without a reader, or in an encoding that lacks most letters.
"""

import contextlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_IN, _OUT, _ERR = range(3)


class OutputFailed(Exception):
    """Standard output cannot be written. `errno` says why; the text is the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.errno = error.errno


def make_usable() -> None:
    """Replaces the streams of `sys`, so that reading and writing text raises nothing but `OutputFailed`.

    What cannot be written to standard error is lost, as nobody can be told. A letter that the encoding lacks is
    written as an escape, and bytes that are no text are read as escapes.
    """
    _fill_closed_descriptors()
    sys.stdin = _reader(sys.stdin)
    sys.stdout = _writer(_Output(_OUT), sys.stdout)
    sys.stderr = _writer(_Messages(_ERR), sys.stderr)


class _Output(io.FileIO):
    """Standard output, which fails by an error of its own, and once: what is left in buffers then goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._has_failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self._has_failed:
            return memoryview(data).nbytes
        try:
            # None where the descriptor does not block, as other programs on the same terminal may have set it.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self._has_failed = True
            raise OutputFailed(error) from None
        return written


class _Messages(io.FileIO):
    """Standard error: what cannot be written is lost."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: "ReadableBuffer", /) -> int:
        with contextlib.suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def _fill_closed_descriptors() -> None:
    """Opens /dev/null in place of each that is closed; the next file or socket would take its number otherwise."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _ERR:
        pass
    os.close(descriptor)


def _reader(stream: TextIO | None) -> io.TextIOWrapper:
    if not isinstance(stream, io.TextIOWrapper):  # it was closed
        stream = open(_IN, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    stream.reconfigure(errors="backslashreplace")
    return stream


def _writer(raw: io.FileIO, replaced: TextIO | None) -> io.TextIOWrapper:
    encoding = getattr(replaced, "encoding", None) or "utf-8"
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=True)
