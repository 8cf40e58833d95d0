"""Containers of one machine may each have a boot clock of their own: a restart in another one moves no deadline."""

import subprocess
from pathlib import Path

import pytest

from drivers.peers import requester
from drivers.server_process import ServerProcess

DAY_S = 86_400


def in_namespace(ahead_s: int) -> tuple[str, ...]:
    """Runs a command in a time namespace whose boot clock is ahead, or behind where that is possible."""
    return "unshare", "--time", "--boottime", str(ahead_s)


@pytest.fixture(autouse=True)
def time_namespaces() -> None:
    """Skips where there are none to be had."""
    try:
        subprocess.run([*in_namespace(DAY_S), "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no time namespace can be made here")


@pytest.mark.thorough
def test_a_restart_in_another_one_moves_no_deadline(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    with server, requester(server.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="long", hours=1)["due_at_ms"]
        rpc.call("timer.start", id="short", seconds=1)
    behind_s = -int(float(Path("/proc/uptime").read_text().split()[0])) // 2
    for ahead_s in (2 * DAY_S, 3 * DAY_S, behind_s):
        server.within = in_namespace(ahead_s)
        with server, requester(server.commands) as rpc:
            timer = rpc.call("timer.get", id="long")
            assert (timer["state"], timer["due_at_ms"]) == ("running", due_at_ms)
            assert 3_500_000 < timer["remaining_ms"] < 3_600_000
            rpc.call("timer.wait", id="short", wait_ms=5_000)
    server.within = ()
    with server, requester(server.commands) as rpc:
        assert 3_500_000 < rpc.call("timer.get", id="long")["remaining_ms"] < 3_600_000
