"""A server whose log nobody reads serves, counts what it drops, and ends when it is told to."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.peers import request, requester
from drivers.server_process import SERVICES, STOP_LIMIT_S

BATCH = 1000
BATCHES = 15
"""So many starts, each logged, are more than pipe and queue hold."""


class UnreadServer:
    """A server that logs each event into a pipe, which is read only when the test says so."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._pipe, writer = os.pipe()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "timer_server"],
            cwd=folder,
            env={
                **inherited,
                "PYTHONPATH": str(SERVICES),
                "TIMER_BIND": "tcp://127.0.0.1:0",
                "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0",
                "TIMER_STORE": "memory:",
                "TIMER_METRICS_BIND": "127.0.0.1:0",
                "TIMER_LOG_LEVEL": "debug",
                "TIMER_LOG_FORMAT": "json",
                **variables,
            },
            stderr=writer,
        )
        self._writer = writer
        self._read = b""
        self.listening = self.read_until("listening")[-1]

    def read_until(self, event: str) -> list[dict[str, Any]]:
        """Reads lines up to one with this event."""
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["event"] != event:
            while b"\n" not in self._read:
                self._read += os.read(self._pipe, 65_536)
            line, _, self._read = self._read.partition(b"\n")
            lines.append(json.loads(line))
        return lines

    def start_timers(self, batches: int, prefix: str) -> None:
        with requester(self.listening["commands"]) as rpc:
            for number in range(batches):
                ids = [f"{prefix}{number}/{position}" for position in range(BATCH)]
                replies = rpc.batch([request("timer.start", name, id=name, hours=1) for name in ids])
                assert all("result" in reply for reply in replies)
            rpc.call("server.info")  # events are logged after their replies, and before what comes next is handled

    def dropped(self) -> int:
        """The lines dropped so far, by the metrics."""
        with urllib.request.urlopen(f"http://{self.listening['metrics']}/metrics", timeout=10) as page:
            (line,) = [
                line for line in page.read().decode().splitlines() if line.startswith("timer_log_lines_dropped_t")
            ]
        return int(float(line.split()[1]))

    def terminate(self) -> tuple[int, float]:
        """Ends the server; returns its exit code and how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT_S), time.monotonic() - begun

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._pipe)
        os.close(self._writer)


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[UnreadServer]:
    server = UnreadServer(tmp_path)
    yield server
    server.close()


def test_requests_are_answered_and_what_was_dropped_is_told_when_it_flows_again(unread: UnreadServer) -> None:
    unread.start_timers(BATCHES, "a/")

    dropped = unread.dropped()
    assert dropped > 0
    *told, notice = unread.read_until("log lines dropped")
    assert notice["count"] == dropped
    assert [line["seq"] for line in told] == list(range(1, BATCH * BATCHES - dropped + 1))
    unread.start_timers(1, "b/")
    assert unread.read_until("started")[-1]["seq"] == BATCH * BATCHES + 1


@pytest.mark.alone
def test_sigterm_ends_it_as_usual(unread: UnreadServer) -> None:
    unread.start_timers(BATCHES, "a/")

    exit_code, took_s = unread.terminate()

    assert exit_code == 0
    assert took_s < 2


def test_a_start_that_fails_ends_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    os.write(writer, b"x" * size)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "timer_server"],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(SERVICES), "TIMER_STORE": "sqlite:////nowhere/timers.db"},
            stderr=writer,
            timeout=STOP_LIMIT_S,
            check=False,
        )
    finally:
        os.close(reader)
        os.close(writer)

    assert ended.returncode in (1, 2)
