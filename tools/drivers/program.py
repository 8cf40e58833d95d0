"""A program in the background whose output a test can wait for."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.loaded_programs import Forked, loaded_programs

STOP_LIMIT_S = 10.0

# The first terminal that a session of its own opens is the one that Ctrl-C comes from.
_ON_TERMINAL = 'exec "$@" <>"$0" >&0 2>&1'


class Program:
    """A program in the background, on pipes or on a terminal of its own. `expect` waits for its output."""

    def __init__(self, command: Sequence[str], env: dict[str, str], cwd: Path, *, terminal: bool = False) -> None:
        self._fd, end = pty.openpty() if terminal else os.pipe()
        self._process = self._begin(command, env, cwd, end)
        os.close(end)
        self.output = ""
        self._seen = 0
        self._open = True

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def expect(self, pattern: str, limit_s: float = 20.0) -> re.Match[str]:
        """The next place in the output where the pattern stands."""
        end = time.monotonic() + limit_s
        while not (match := re.compile(pattern).search(self.output, self._seen)):
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} not within {limit_s:.0f} s; the output was:\n{self.output}")
        self._seen = match.end()
        return match

    def tells(self, pattern: str, limit_s: float) -> bool:
        """Whether the pattern comes within a time."""
        try:
            self.expect(pattern, limit_s)
        except AssertionError:
            return False
        return True

    def send(self, text: str) -> None:
        """Types on the terminal."""
        os.write(self._fd, text.encode())

    def wait(self, limit_s: float = 20.0) -> int:
        """The exit code."""
        end = time.monotonic() + limit_s
        while self._open:
            if not self._read(end - time.monotonic()) and self._open:
                raise AssertionError(f"did not end within {limit_s:.0f} s; the output was:\n{self.output}")
        return self._process.wait(max(1.0, end - time.monotonic()))

    def has_written(self, pattern: str) -> bool:
        """Whether the pattern stands anywhere in the output so far."""
        while self._read(0):
            pass
        return re.search(pattern, self.output) is not None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program."""
        self._process.send_signal(number)

    def close(self) -> None:
        """Ends the program if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_LIMIT_S)
        os.close(self._fd)

    def _begin(
        self, command: Sequence[str], env: dict[str, str], cwd: Path, end: int
    ) -> "subprocess.Popen[bytes] | Forked":
        """The process, which writes to `end`, and reads from it where that is a terminal."""
        return subprocess.Popen(
            ["sh", "-c", _ON_TERMINAL, os.ttyname(end), *command] if os.isatty(end) else command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
            start_new_session=True,
        )

    def _read(self, limit_s: float) -> bool:
        """Takes in what there is; false when the time is up or the output has ended."""
        if not self._open or not select.select([self._fd], [], [], max(0.0, limit_s))[0]:
            return False
        try:
            chunk = os.read(self._fd, 65_536)
        except OSError:  # how a terminal says that its other side is closed
            chunk = b""
        self._open = bool(chunk)
        self.output += chunk.decode(errors="replace")
        return self._open


class LoadedProgram(Program):
    """`timer` or `timer-server`, begun in a fork of the process that has loaded both."""

    def _begin(self, command: Sequence[str], env: dict[str, str], cwd: Path, end: int) -> Forked:
        with Path(os.devnull).open() as nothing:
            given = end if os.isatty(end) else nothing.fileno()
            return loaded_programs().begin(command[0], command[1:], cwd, env, (given, end, end))
