"""The command `timer` in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client.fake_server import FakeServer
from drivers.loaded_programs import loaded_programs
from drivers.program import LoadedProgram, Program
from drivers.server_process import SERVICES, ServerProcess
from local_server import LocalServer

COMMAND = [sys.executable, "-m", "timer_client"]
LIMIT_S = 30.0
CONTROLS = [chr(code) for code in range(0x20) if chr(code) not in "\t\n"] + ["\x7f", "\x9b"]

Server = LocalServer | ServerProcess | FakeServer


def environment(server: Server | None = None, **variables: str) -> dict[str, str]:
    """The variables of a run; without a server there is none where it looks."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    where = ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1") if server is None else (server.commands, server.events)
    return {
        **inherited,
        "PYTHONPATH": str(SERVICES),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "TIMER_SERVER": where[0],
        "TIMER_EVENTS": where[1],
        **variables,
    }


def run(
    folder: Path, *arguments: str, server: Server | None = None, answers: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, on pipes."""
    variables = environment(server, **variables)
    return loaded_programs().run("timer", arguments, folder, variables, LIMIT_S, answers)


@contextmanager
def running(folder: Path, *arguments: str, server: Server, terminal: bool = False) -> Iterator[Program]:
    """Runs a command in the background."""
    program = LoadedProgram(["timer", *arguments], environment(server), folder, terminal=terminal)
    try:
        yield program
    finally:
        program.close()


def json_lines(text: str) -> list[dict[str, Any]]:
    """What the lines of JSON hold."""
    return [json.loads(line) for line in text.splitlines()]


def start_detached(folder: Path, server: Server, *arguments: str) -> dict[str, Any]:
    """Starts a timer by the command, and gives it."""
    ran = run(folder, "start", "--detach", "--json", *arguments, server=server)
    assert ran.returncode == 0, ran.stderr
    (timer,) = json_lines(ran.stdout)
    return timer
