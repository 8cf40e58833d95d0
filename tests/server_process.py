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

TESTS = Path(__file__).parent
SERVICES = TESTS.parent / "services"
START_LIMIT_S = 20
STOP_LIMIT_S = 10


class ServerProcess:
    """`python -m timer_server` in a folder that survives restarts. Restarted, it binds the same ports again.

    Another `module`, of the services or the tests, may stand in for the server's own.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, module: str = "timer_server"
    ) -> None:
        self.folder = folder
        self.module = module
        self.environment = {
            "TIMER_BIND": "tcp://127.0.0.1:0",
            "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0",
            "TIMER_STORE": f"sqlite:///{folder / 'timers.db'}",
            "TIMER_LOG_FORMAT": "json",
            **(environment or {}),
        }
        self.lines: list[dict[str, Any]] = []
        self.commands = ""
        self.events = ""
        self._process: subprocess.Popen[str] | None = None
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

    def start(self) -> "ServerProcess":
        """Starts the server and waits until it listens."""
        self.launch()
        listening = self.wait_for_log("listening")
        self.commands, self.events = listening["commands"], listening["events"]
        self.environment |= {"TIMER_BIND": self.commands, "TIMER_EVENTS_BIND": self.events}
        return self

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
        self._arrived = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": f"{SERVICES}{os.pathsep}{TESTS}", **self.environment},
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr is not None
        threading.Thread(target=self._read, args=(self._process.stderr, self._arrived), daemon=True).start()

    def wait_for_log(self, event: str, limit_s: float = START_LIMIT_S) -> dict[str, Any]:
        """The next log line with this event."""
        while True:
            line = self._arrived.get(timeout=limit_s)
            assert line is not None, f"the server ended before it logged {event!r}: {self.lines}"
            if line["event"] == event:
                return line

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
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Waits for the process to end, and returns its exit code."""
        assert self._process is not None
        return self._process.wait(limit_s)

    def _read(self, stream: IO[str], arrived: "queue.Queue[dict[str, Any] | None]") -> None:
        with stream:
            for text in stream:
                line = json.loads(text) if text.startswith("{") else {"event": text.rstrip("\n")}
                self.lines.append(line)
                arrived.put(line)
        arrived.put(None)
