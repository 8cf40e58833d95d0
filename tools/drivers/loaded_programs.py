"""Processes of `timer` and `timer-server` that start at once: each is a fork of one that has loaded both already.

What most tests want of a process is its exit code, its streams and its settings. A new interpreter that loads the
program again takes ten times as long as what such a test is about.
"""

import atexit
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

TOOLS = Path(__file__).parents[1]
SERVICES = TOOLS.parent / "services"
LARGEST_REQUEST = 200_000
BEGIN_LIMIT_S = 10.0
END_LIMIT_S = 10.0
NUMBER = struct.Struct("i")

MODULES = {"timer": "timer_client", "timer-server": "timer_server"}
"""The module of each program. Any other program is a module of the tools by its own name, loaded by the fork."""


class Forked:
    """A process that has been begun, with what `subprocess.Popen` has for it."""

    def __init__(self, arguments: Sequence[str], told: int) -> None:
        """`told` can be read for the pid, and for the status in the end. It is closed with this object."""
        self._arguments = arguments
        self._told = told
        self._exit_code: int | None = None
        self._reading = threading.Lock()
        weakref.finalize(self, os.close, told)
        self._until_told(BEGIN_LIMIT_S)
        self.pid = self._number()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._exit_code

    def wait(self, timeout: float) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        if self._exit_code is None:
            self._until_told(timeout)
            with self._reading:  # another thread may have waited as well
                if self._exit_code is None:
                    self._exit_code = os.waitstatus_to_exitcode(self._number())
        return self._exit_code

    def send_signal(self, number: int) -> None:
        """Sends a signal if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, and its status is on the way
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def _until_told(self, limit_s: float) -> None:
        if not select.select([self._told], [], [], limit_s)[0]:
            raise subprocess.TimeoutExpired(list(self._arguments), limit_s)

    def _number(self) -> int:
        (number,) = NUMBER.unpack(os.read(self._told, NUMBER.size))
        return int(number)


class LoadedPrograms:
    """The process that is forked for every run. It ends with the process that started it, and ends its forks."""

    def __init__(self) -> None:
        self._requests, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "drivers.loaded_programs", str(end.fileno())],
                env={**os.environ, "PYTHONPATH": f"{SERVICES}{os.pathsep}{TOOLS}", "PYTHONUTF8": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
                start_new_session=True,
            )

    def begin(
        self, program: str, arguments: Sequence[str], folder: Path, variables: dict[str, str], streams: Sequence[int]
    ) -> Forked:
        """Begins a program on three streams, which stay open here. Where the first is a terminal, it gets it for its
        own, in a session of its own."""
        told, end = os.pipe()
        request = json.dumps([MODULES.get(program, program), [program, *arguments], str(folder), variables]).encode()
        socket.send_fds(self._requests, [request], [*streams, end])
        os.close(end)
        return Forked([program, *arguments], told)

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        folder: Path,
        variables: dict[str, str],
        limit_s: float,
        answers: str | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a program to its end, on pipes. Raises `subprocess.TimeoutExpired`."""
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        streams = _given(answers), out_end, err_end
        process = self.begin(program, arguments, folder, variables, streams)
        for file in streams:
            os.close(file)
        ends_s = time.monotonic() + limit_s
        try:
            written = _read([out, err], ends_s)
            exit_code = process.wait(max(0.1, ends_s - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            process.wait(END_LIMIT_S)
            raise subprocess.TimeoutExpired([program, *arguments], limit_s) from None
        finally:
            os.close(out)
            os.close(err)
        return subprocess.CompletedProcess([program, *arguments], exit_code, *(text.decode() for text in written))

    def close(self) -> None:
        """Ends the process."""
        self._requests.close()
        self._process.wait(END_LIMIT_S)


@functools.cache
def loaded_programs() -> LoadedPrograms:
    """The one of this process."""
    programs = LoadedPrograms()
    atexit.register(programs.close)
    return programs


def _given(answers: str | None) -> int:
    """A file that can be read for the answers, or for nothing."""
    if answers is None:
        return os.open(os.devnull, os.O_RDONLY)
    given, end = os.pipe()
    with os.fdopen(end, "w", encoding="utf-8") as file:
        file.write(answers)
    return given


def _read(files: list[int], ends_s: float) -> list[bytes]:
    """All that is written to each of the files until both are closed. Raises `TimeoutError`."""
    written = dict.fromkeys(files, b"")
    with selectors.DefaultSelector() as open_files:
        for file in files:
            open_files.register(file, selectors.EVENT_READ)
        while open_files.get_map():
            ready = open_files.select(max(0.0, ends_s - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                chunk = os.read(key.fd, 65_536)
                written[key.fd] += chunk
                if not chunk:
                    open_files.unregister(key.fd)
    return list(written.values())


def _load() -> None:
    """Imports what both programs do. No thread may run and no ZeroMQ context be there when they are forked."""
    cli = importlib.import_module("timer_client.cli")
    for place, _ in cli.COMMANDS.values():
        importlib.import_module(f"timer_client.cli.{place.partition(':')[0]}")
    for name in ("command", "serve", "health", "backup"):
        importlib.import_module(f"timer_server.{name}")
    gc.freeze()


def _serve(requests: socket.socket) -> None:
    """Begins a program in a fork of this process for every request, and tells its pid, and in the end its status."""
    ended = _Ended()
    atexit.register(ended.end_now)  # the first to be registered is the last to be called
    _load()
    events = select.poll()
    events.register(requests.fileno(), select.POLLIN)
    running: dict[int, tuple[int, int]] = {}  # the pid, and where the status is told, by what tells of the end
    while True:
        for file, _ in events.poll():
            if file in running:
                events.unregister(file)
                os.close(file)
                pid, told = running.pop(file)
                _, status = os.waitpid(pid, 0)
                _tell(told, status)
                os.close(told)
                continue
            request, files, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 4)
            if not request:
                for pid, _ in running.values():
                    os.kill(pid, signal.SIGKILL)
                return
            pid = os.fork()
            if pid == 0:
                requests.detach()
                _become(*json.loads(request), files[:3], ended)
            *streams, told = files
            for stream in streams:
                os.close(stream)
            _tell(told, pid)
            its_end = os.pidfd_open(pid)
            running[its_end] = pid, told
            events.register(its_end, select.POLLIN)


def _tell(told: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(told, NUMBER.pack(number))


class _Ended:
    """Ends a fork once all is done that a program does at its end, where that went well.

    Python would take apart all that was loaded, piece by piece, which takes longer than what most programs do here.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None

    def end_now(self) -> None:
        if self.exit_code is not None:
            with suppress(OSError, ValueError):  # Python says what is wrong with its streams in its own way
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(self.exit_code)


def _become(
    module: str, arguments: list[str], folder: str, variables: dict[str, str], streams: list[int], ended: _Ended
) -> NoReturn:
    """Makes of this process what a shell makes of a new one, and runs the program to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    if os.isatty(0):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr] # as a new interpreter has it
    os.closerange(3, max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + 1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    sys.argv = arguments
    try:
        runpy.run_module(module, run_name="__main__")  # which is `python -m`
        sys.exit()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            ended.exit_code = end.code or 0
        raise


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
