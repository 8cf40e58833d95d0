"""Writes the lines of a log in a thread of its own, so that a reader that stalls holds up nobody else.

A pipe to a stalled journald, a container's log driver or `less` takes no more at some time, and the next write to it
lasts until somebody reads. A descriptor that does not block is no way out: the flag belongs to all who share it.
"""

import contextlib
import itertools
import logging
import os
import select
import sys
import threading
from collections import deque

from timer_protocol.log_lines import fields, formatter

QUEUED_BYTES = 1_048_576
"""What may wait to be written. Lines beyond that are dropped and counted."""

LAST_LINES_LIMIT_S = 0.5
"""How long a process that ends waits for its last lines to be written."""

_WRITTEN_BYTES = 65_536
"""About what one write takes. So there is room for lines again as soon as a slow reader has read some."""


def set_up(log: logging.Logger, level: str, form: str, descriptor: int = 2) -> "LogWriter":
    """Sends a log to a descriptor, by default standard error, in the form `text` or `json`."""
    writer = LogWriter(descriptor, sys.stderr.encoding)
    writer.setFormatter(formatter(form))
    log.handlers[:] = [writer]
    log.setLevel(level.upper())
    log.propagate = False
    return writer


def lines_dropped(log: logging.Logger) -> int:
    """How many lines of a log were dropped so far, since nobody read them in time or they could not be written."""
    return sum(handler.dropped for handler in log.handlers if isinstance(handler, LogWriter))


class LogWriter(logging.Handler):
    """Writes log records as lines to a descriptor, in order, without ever blocking who logs.

    Once lines had to be dropped, more are until all that waited is written: then one line tells their number.
    """

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__()
        self.dropped = 0
        """Lines that were dropped so far, for lack of room or since they could not be written."""
        self._descriptor = descriptor
        self._encoding = encoding
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._unwritten_bytes = 0
        self._untold = 0  # dropped lines that no line has told of
        self._is_dropping = False
        self._is_idle = True
        self._is_torn = False  # whether what was written last ends within a line
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues a record to be written."""
        try:
            self.put(self.format(record))
        except Exception:  # what logging's own handlers do
            self.handleError(record)

    def put(self, text: str) -> None:
        """Queues a line to be written as it is."""
        line = self._line(text)
        with self._changed:
            if self._is_dropping or self._unwritten_bytes + len(line) > QUEUED_BYTES:
                self._is_dropping = True
                self._note_dropped(1)
            else:
                self._queue(line)
            self._is_idle = False
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits a moment for what is queued to be written. Logging calls it as the process ends, too."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle, LAST_LINES_LIMIT_S)

    def _run(self) -> None:
        while True:
            lines, told = self._take()
            unwritten = self._write(lines)
            with self._changed:
                self._unwritten_bytes -= sum(map(len, lines))
                if told and unwritten == len(lines):  # the first of them, which tells of others, was not written either
                    self._untold += told
                    unwritten -= 1
                self._note_dropped(unwritten)

    def _take(self) -> tuple[list[bytes], int]:
        """The lines to write next, and how many dropped ones the first of them tells of. Waits for some."""
        with self._changed:
            if not self._lines and not self._is_dropping:
                self._is_idle = True
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._is_dropping)
            if not self._lines:
                self._is_dropping = False  # all that came before the dropped ones is written
            told = 0
            if self._untold and not self._is_dropping:
                told, self._untold = self._untold, 0
                self._queue(self._notice(told), is_next=True)
            lines: list[bytes] = []
            size = 0
            while self._lines and size < _WRITTEN_BYTES:
                lines.append(self._lines.popleft())
                size += len(lines[-1])
            return lines, told

    def _write(self, lines: list[bytes]) -> int:
        """Writes lines. Returns how many could not be written to their end."""
        text = memoryview(b"".join(lines))
        written = 0
        with contextlib.suppress(OSError):  # the reader is gone or the disk is full; the next lines may fare better
            if self._is_torn:
                self._write_some(memoryview(b"\n"))
                self._is_torn = False
            while written < len(text):
                written += self._write_some(text[written:])
        ends = list(itertools.accumulate(map(len, lines)))
        self._is_torn |= written > 0 and written not in ends
        return sum(end > written for end in ends)

    def _write_some(self, text: memoryview) -> int:
        try:
            return os.write(self._descriptor, text)
        except BlockingIOError:  # someone who shares the open file has made it so
            room = select.poll()
            room.register(self._descriptor, select.POLLOUT)
            room.poll()
            return 0

    def _queue(self, line: bytes, *, is_next: bool = False) -> None:
        self._unwritten_bytes += len(line)
        if is_next:
            self._lines.appendleft(line)
        else:
            self._lines.append(line)

    def _notice(self, count: int) -> bytes:
        record = logging.makeLogRecord({"levelname": "WARNING", "msg": "log lines dropped", **fields(count=count)})
        return self._line(self.format(record))

    def _line(self, text: str) -> bytes:
        return f"{text}\n".encode(self._encoding, "backslashreplace")

    def _note_dropped(self, count: int) -> None:
        self.dropped += count
        self._untold += count
