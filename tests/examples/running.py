"""Runs an example in this process as `python NAME ARGUMENTS` would, which costs a hundredth of a process."""

import io
import os
import re
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
LIMIT_S = 10


class Printed(io.StringIO):
    """What an example prints, for other threads to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            written = super().write(text)
            self._changed.notify_all()
        return written

    def until(self, pattern: str) -> re.Match[str]:
        """Waits until a pattern is found in all that was printed so far."""
        with self._changed:
            self._changed.wait_for(lambda: re.search(pattern, self.getvalue()), LIMIT_S)
            found = re.search(pattern, self.getvalue())
        assert found, self.getvalue()
        return found

    @property
    def lines(self) -> list[str]:
        """All lines so far."""
        return self.getvalue().splitlines()


def run(name: str, *arguments: object) -> list[str]:
    """The lines that an example prints until it ends by itself."""
    printed = Printed()
    _run(name, arguments, printed)
    return printed.lines


def run_until(
    name: str, *arguments: object, meanwhile: Callable[[Printed], object], end_by: signal.Signals = signal.SIGTERM
) -> list[str]:
    """The lines that an example prints until `meanwhile`, in a thread of its own, is through; then a signal ends it."""
    printed = Printed()
    ended = threading.Event()

    def play() -> None:
        try:
            meanwhile(printed)
        finally:
            if not ended.is_set():
                os.kill(os.getpid(), end_by)

    ignored = signal.signal(signal.SIGTERM, lambda *_: None)  # where the example does not take it, it is not for pytest
    try:
        with ThreadPoolExecutor(1) as threads:
            playing = threads.submit(play)
            try:
                _run(name, arguments, printed)
            finally:
                ended.set()
                signal.signal(signal.SIGTERM, lambda *_: None)
            playing.result(LIMIT_S)
    finally:
        signal.signal(signal.SIGTERM, ignored)
    return printed.lines


def functions(name: str) -> dict[str, Any]:
    """What an example defines, for the part of another process."""
    return runpy.run_path(str(EXAMPLES / name))


def _run(name: str, arguments: tuple[object, ...], printed: Printed) -> None:
    path = str(EXAMPLES / name)
    with mock.patch.object(sys, "argv", [path, *map(str, arguments)]), redirect_stdout(printed):
        runpy.run_path(path, run_name="__main__")
