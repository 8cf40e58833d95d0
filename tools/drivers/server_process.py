"""A real server in a process of its own, on ports of its own, that a test can kill and start again."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from drivers.loaded_programs import Forked, loaded_programs
from drivers.ports import Ports

TOOLS = Path(__file__).parents[1]
SERVICES = TOOLS.parent / "services"
START_LIMIT_S = 20
STOP_LIMIT_S = 10
STDOUT = 1
BINDS = ("TIMER_BIND", "TIMER_EVENTS_BIND", "TIMER_PEER_BIND")
"""What says where it listens."""


def timer_server(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command until it ends, with the environment's variables as its only settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    variables = {**inherited, "PYTHONPATH": str(SERVICES), **environment}
    if ServerProcess.is_forked and _is_as_any(environment):
        return loaded_programs().run("timer-server", arguments, folder, variables, limit_s=20)
    return subprocess.run(
        [sys.executable, "-m", "timer_server", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def _is_as_any(environment: Mapping[str, str]) -> bool:
    """Whether the interpreter is to be as any other: some of its own variables are read only where it begins."""
    return not any(name.startswith("PYTHON") for name in environment)


class ServerEnded(AssertionError):
    """The server has ended before it logged what was waited for."""


class ServerProcess:
    """`python -m timer_server` in a folder that survives restarts. Restarted, it binds the same ports again.

    Another `module`, of the services or the tools, may stand in for the server's own. `within` is a command that runs
    the server, such as `unshare`, and becomes it.
    """

    within: tuple[str, ...] = ()

    python = sys.executable
    """The interpreter that runs it."""

    is_forked = False
    """Whether it is a fork of a process that has loaded the server, which is what tests set: a start takes long."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, module: str = "timer_server"
    ) -> None:
        self.folder = folder
        self.module = module
        self._ports = Ports()
        self.environment = {
            **{name: f"tcp://127.0.0.1:{self._ports.next()}" for name in BINDS},
            "TIMER_STORE": f"sqlite:///{folder / 'timers.db'}",
            "TIMER_LOG_FORMAT": "json",
            **(environment or {}),
        }
        self.lines: list[dict[str, Any]] = []
        self.commands = ""
        self.events = ""
        self.metrics = ""
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._reader: threading.Thread | None = None
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def __enter__(self) -> "ServerProcess":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether there is no process, or no longer."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> "ServerProcess":
        """Starts the server and waits until it listens. Raises `ServerEnded`."""
        self.launch()
        try:
            listening = self.wait_for_log("listening")
        except BaseException:
            self.kill()  # nobody has a server yet that could end it
            raise
        self.commands, self.events = listening["commands"], listening["events"]
        self.metrics = listening["metrics"] or ""
        self.environment |= {"TIMER_BIND": self.commands, "TIMER_EVENTS_BIND": self.events}
        return self

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
        self._arrived = queue.Queue()
        variables = {**inherited, "PYTHONPATH": f"{SERVICES}{os.pathsep}{TOOLS}", **self.environment}
        stderr, end = os.pipe()
        with Path(os.devnull).open() as nothing, os.fdopen(end, "w"):
            if self.is_forked and not self.within and _is_as_any(self.environment):
                streams = nothing.fileno(), STDOUT, end
                self._process = loaded_programs().begin(self.module, (), self.folder, variables, streams)
            else:
                command = [*self.within, self.python, "-m", self.module]
                self._process = subprocess.Popen(command, cwd=self.folder, env=variables, stdin=nothing, stderr=end)
        self._reader = threading.Thread(target=self._read, args=(os.fdopen(stderr), self._arrived), daemon=True)
        self._reader.start()

    def wait_for_log(self, event: str, limit_s: float = START_LIMIT_S) -> dict[str, Any]:
        """The next log line with this event. Raises `ServerEnded`."""
        while True:
            line = self._arrived.get(timeout=limit_s)
            if line is None:
                raise ServerEnded(f"the server ended before it logged {event!r}: {self.lines}")
            if line["event"] == event:
                return line

    def wait_for_shards(self, count: int) -> None:
        """Waits until the server says next that it serves so many shards of a store that others may share."""
        while self.wait_for_log("shards served")["count"] != count:
            pass

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> int:
        """Asks the process to end, and returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process if it still runs."""
        if self._process is not None and not self.has_ended:
            self._process.send_signal(number)

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Waits for the process to end and for its last line, and returns its exit code."""
        assert self._process is not None
        exit_code = self._process.wait(limit_s)
        if self._reader is not None:
            self._reader.join(limit_s)
        return exit_code

    def _read(self, stream: IO[str], arrived: "queue.Queue[dict[str, Any] | None]") -> None:
        with stream:
            for text in stream:
                line = json.loads(text) if text.startswith("{") else {"event": text.rstrip("\n")}
                self.lines.append(line)
                arrived.put(line)
        arrived.put(None)
