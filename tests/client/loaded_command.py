"""Processes of the command `timer` that start at once: each is a fork of one that has loaded the command already.

What most tests want of a process is its exit code, its streams and its settings. A new interpreter that loads the
command again takes ten times as long as what such a test is about.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

TESTS = Path(__file__).parents[1]
LARGEST_REQUEST = 200_000
END_LIMIT_S = 10.0
NUMBER = struct.Struct("i")


class LoadedCommand:
    """The process that is forked for every run. It ends with the process that started it."""

    def __init__(self) -> None:
        self._requests, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "client.loaded_command", str(end.fileno())],
                env={**os.environ, "PYTHONPATH": f"{TESTS.parent / 'services'}{os.pathsep}{TESTS}", "PYTHONUTF8": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
                start_new_session=True,
            )

    def run(
        self, folder: Path, arguments: list[str], variables: dict[str, str], answers: str | None, limit_s: float
    ) -> "subprocess.CompletedProcess[str]":
        """Runs the command to its end, on pipes. Raises `subprocess.TimeoutExpired`."""
        request = json.dumps([str(folder), arguments, variables]).encode()
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        given = _given(answers)
        socket.send_fds(self._requests, [request], [given, out_end, err_end])
        for file in (given, out_end, err_end):
            os.close(file)
        ends_s = time.monotonic() + limit_s
        pid = self._number(limit_s)
        try:
            written = _read([out, err], ends_s)
            status = self._number(max(0.1, ends_s - time.monotonic()))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._number(END_LIMIT_S)
            raise subprocess.TimeoutExpired(["timer", *arguments], limit_s) from None
        finally:
            os.close(out)
            os.close(err)
        exit_code = os.waitstatus_to_exitcode(status)
        return subprocess.CompletedProcess(["timer", *arguments], exit_code, *(text.decode() for text in written))

    def close(self) -> None:
        """Ends the process."""
        self._requests.close()
        self._process.wait(END_LIMIT_S)

    def _number(self, limit_s: float) -> int:
        self._requests.settimeout(limit_s)
        (number,) = NUMBER.unpack(self._requests.recv(NUMBER.size))
        return int(number)


@functools.cache
def loaded_command() -> LoadedCommand:
    """The one of this process."""
    command = LoadedCommand()
    atexit.register(command.close)
    return command


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


def _serve(requests: socket.socket) -> None:
    """Runs the command once for every request, in a fork of this process, and answers with its pid and its status."""
    cli = importlib.import_module("timer_client.cli")
    for place, _ in cli.COMMANDS.values():
        importlib.import_module(f"timer_client.cli.{place.partition(':')[0]}")
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            _become(*json.loads(request), files)
        for file in files:
            os.close(file)
        requests.send(NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        requests.send(NUMBER.pack(status))


def _become(folder: str, arguments: list[str], variables: dict[str, str], files: list[int]) -> NoReturn:
    """Makes of this process what a shell makes of a new one, and runs the command to its end."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    sys.argv = ["timer", *arguments]
    main = importlib.import_module("timer_client.__main__").main
    main()
    raise AssertionError("the command has not ended the process")


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
