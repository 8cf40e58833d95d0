"""SIGTERM and SIGINT end the server soon and cleanly, with nothing acknowledged lost.

After SIGTERM its exit code is 0. Of SIGINT it dies, once all is done, so that the loop of a shell ends as well.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import zmq

from drivers.peers import request, requester, socket_to
from drivers.program import Program
from drivers.server_process import SERVICES, ServerProcess

BATCH = 50

ENOUGH = 1000
"""So many timers are acknowledged when the server is stopped, and more are on their way."""


def flood(
    endpoint: str, acknowledged: set[str], enough: threading.Event, stopped: threading.Event, errors: Counter[str]
) -> None:
    """Starts timers as fast as it can, eight batches ahead of the replies, until the server says no more."""
    with socket_to(zmq.DEALER, endpoint, rcvtimeo=3_000) as socket:
        number = 0
        in_flight = 0
        while not stopped.is_set():
            while in_flight < 8:
                ids = [f"f/{number + position}" for position in range(BATCH)]
                socket.send_json([request("timer.start", name, id=name, hours=1) for name in ids])
                number += BATCH
                in_flight += 1
            try:
                replies = json.loads(socket.recv())
            except zmq.Again:
                return
            in_flight -= 1
            for reply in replies:
                if "result" in reply:
                    acknowledged.add(reply["id"])
                else:
                    errors[reply["error"]["data"]["name"]] += 1
            if len(acknowledged) >= ENOUGH:
                enough.set()
            if errors:
                return


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_is_quick_and_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    acknowledged: set[str] = set()
    errors: Counter[str] = Counter()
    enough, stopped = threading.Event(), threading.Event()
    with ServerProcess(tmp_path) as server:
        load = threading.Thread(target=flood, args=(server.commands, acknowledged, enough, stopped, errors))
        load.start()
        with socket_to(zmq.DEALER, server.commands) as waiter, requester(server.commands) as rpc:
            rpc.call("timer.start", id="awaited", hours=1)
            waiter.send_json(request("timer.wait", 1, id="awaited", wait_ms=60_000))
            waiter.send_json(request("events.read", 2, after={}, prefix="nothing/", wait_ms=60_000))
            waiter.send_json([request("server.info", 3), request("timer.wait", 4, id="awaited", wait_ms=60_000)])
            waiter.send_json(request("server.info", 5))
            assert json.loads(waiter.recv())["id"] == 5  # what was sent before it is parked now
            assert enough.wait(20)
            begun = time.monotonic()
            server.signal(number)
            assert server.wait() == (-signal.SIGINT if number == signal.SIGINT else 0)
            took_s = time.monotonic() - begun
            replies = [json.loads(waiter.recv()) for _ in range(3)]
        stopped.set()
        load.join(10)
        assert not load.is_alive()
        assert took_s < 1
        told = {reply["id"]: reply for reply in [*replies[:2], *replies[2]]}
        assert [told[number]["error"]["data"]["name"] for number in (1, 2, 4)] == ["shutting_down"] * 3
        assert told[1]["error"]["data"]["retryable"] is True
        assert set(errors) <= {"shutting_down"}

        server.start()
        with requester(server.commands) as rpc:
            found: set[str] = set()
            after: str | None = None
            while True:
                page = rpc.call("timer.list", limit=1000, **({"after": after} if after else {}))
                found |= {timer["id"] for timer in page["timers"]}
                after = page["next"]
                if after is None:
                    break
        assert acknowledged <= found


@pytest.mark.alone
def test_a_stop_without_load_is_quick(server_process: ServerProcess) -> None:
    begun = time.monotonic()
    assert server_process.terminate() == 0
    assert time.monotonic() - begun < 1
    assert server_process.lines[-1]["event"] == "stopped"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the loop is one of bash")
def test_ctrl_c_ends_the_loop_of_a_shell_too(tmp_path: Path) -> None:
    loop = ["bash", "-c", 'for round in 1 2; do "$@"; echo "after round $round"; done', "bash"]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(SERVICES),
        "TIMER_BIND": f"ipc://{tmp_path}/commands",
        "TIMER_EVENTS_BIND": f"ipc://{tmp_path}/events",
        "TIMER_STORE": "memory:",
    }
    program = Program([*loop, sys.executable, "-m", "timer_server"], environment, tmp_path, terminal=True)
    with closing(program):
        program.expect("listening")
        program.send("\x03")
        assert program.wait() == -signal.SIGINT
        assert program.has_written("stopped")
        assert not program.has_written("after round")
