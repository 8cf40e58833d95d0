"""Servers in processes of their own, with their files on the disk of the current directory."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

from bench.generator import drive, zmtp
from bench.start_requests import batched, start_requests
from drivers.peers import requester
from drivers.server_process import SERVICES, TOOLS, ServerProcess

FILL_BATCH = 500
FILL_IN_FLIGHT = 8
FILL_STEP = 50_000
MAX_TIMERS = 20_000_000
"""Beyond what any figure has pending, so that the limit is never what is measured."""


SERVED = "timer_server"
"""What is run as the server. Tests of the guard put a slowed one there."""


@contextmanager
def disk_folder() -> Iterator[Path]:
    """A new folder below the current directory, so that its disk is a real one where that directory's is."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield Path(folder)


@contextmanager
def server(pending: int = 0, python: str = sys.executable, within: tuple[str, ...] = ()) -> Iterator[ServerProcess]:
    """A timer server with a new store, and with some timers `order/<number>` pending for hours.

    `within` is a command that runs it.
    """
    environment = {"TIMER_MAX_TIMERS": str(MAX_TIMERS), "TIMER_LOG_LEVEL": "info"}
    with disk_folder() as folder:
        process = ServerProcess(folder, environment, SERVED)
        process.python, process.within = python, within
        with process:
            fill(process, pending)
            yield process


def fill(process: ServerProcess, pending: int) -> None:
    """Has so many timers `order/<number>` pending, due in some hours."""
    for begin in range(0, pending, FILL_STEP):
        requests = start_requests("order", range(begin, min(begin + FILL_STEP, pending)), seconds=36_000)
        drive(zmtp(process.commands), batched(requests, FILL_BATCH), 1, FILL_IN_FLIGHT)
    if pending:
        check_running(process, pending)


def check_running(process: ServerProcess, expected: int) -> None:
    """Raises where the server has not as many timers running as were started: errors must not count as starts."""
    with requester(process.commands) as rpc:
        running = rpc.call("server.info")["counts"]["running"]
    if running != expected:
        raise AssertionError(f"{expected:,} timers were started, but {running:,} are running")


@contextmanager
def python_process(module: str, *arguments: str) -> Iterator["Popen[str]"]:
    """A module of the benchmark in a process of its own. It is to end when its input does; later it is killed."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{SERVICES}{os.pathsep}{TOOLS}"}
    process = Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment)
    try:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def line_of(process: "Popen[str]") -> str:
    """The next line that the process prints. Raises RuntimeError where it ends before."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the benchmark ended before it said what it was asked")
    return line.rstrip("\n")


@contextmanager
def echo() -> Iterator[str]:
    """The endpoint of a ROUTER that sends every message back."""
    with python_process("bench.echo") as process:
        yield line_of(process)


@contextmanager
def durable_echo() -> Iterator[str]:
    """The endpoint of one that appends what it receives to a file, and fsyncs, before it sends it back."""
    with disk_folder() as folder, python_process("bench.durable_echo", str(folder / "appended")) as process:
        yield line_of(process)
