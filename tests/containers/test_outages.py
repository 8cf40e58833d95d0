"""What goes wrong between containers, while a client watches: it hears of the end all the same."""

import re
import time
from collections.abc import Callable

import pytest

from drivers.program import Program
from drivers.stack import Stack, inspect, run

NETWORK_PROMISE_S = 30.0


def watch(stack: Stack, seconds: int, *, name: str | None = None) -> tuple[Program, float]:
    """A client that has just seen its timer running, and when the timer is due."""
    client = stack.start_timer("start", "0", "0", str(seconds), "--id", "job/1", "--json", name=name)
    due_at_ms = int(client.expect(r'"due_at_ms":(\d+)')[1])
    return client, due_at_ms / 1000


def assert_rings(client: Program, due_at: float, late_s: float = 2.0) -> None:
    """The client sees the timer fire when it is due, not before, and ends well."""
    fired = client.expect('"state":"fired".*', limit_s=due_at - time.time() + NETWORK_PROMISE_S)[0]
    lateness_s = time.time() - due_at
    assert 0 <= lateness_s < late_s
    ended_at = int(re.findall(r'"ended_at_ms":(\d+)', fired)[0]) / 1000
    assert 0 <= ended_at - due_at < late_s
    assert client.wait() == 0


def kill_container(stack: Stack) -> None:
    run(["docker", "kill", "--signal", "KILL", stack.container("server")])
    stack.compose("start", "server")


def kill_process(stack: Stack) -> None:
    """The restart policy starts the container again, which ends the command that killed the process as well."""
    kill = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
    stack.compose("exec", "-T", "server", "python", "-c", kill, check=False)


@pytest.mark.parametrize("kill", [kill_container, kill_process])
def test_server_killed_in_mid_countdown(stack: Stack, kill: Callable[[Stack], None]) -> None:
    stack.up()
    client, due_at = watch(stack, 8)
    kill(stack)
    assert time.time() < due_at, "the timer was too short for this machine"
    assert_rings(client, due_at)
    log = stack.follow_log()
    log.expect('"running":0')
    log.expect('"running":1')


def test_server_comes_back_under_another_address(stack: Stack) -> None:
    stack.up()
    client, due_at = watch(stack, 8)
    before = stack.address("server")
    stack.compose("kill", "server")
    stack.compose("up", "--detach", "squatter")
    stack.compose("start", "server")
    assert stack.address("server") != before
    assert time.time() < due_at, "the timer was too short for this machine"
    assert_rings(client, due_at)


def test_client_cut_off_over_the_end(stack: Stack) -> None:
    stack.up()
    name = f"{stack.project}-watching"
    client, due_at = watch(stack, 3, name=name)
    run(["docker", "network", "disconnect", f"{stack.project}_default", name])
    stack.timer("watch", "job/1")
    assert time.time() >= due_at
    assert not client.has_written('"state":"fired"')
    run(["docker", "network", "connect", f"{stack.project}_default", name])
    assert_rings(client, due_at, late_s=NETWORK_PROMISE_S)


def test_no_server_at_all(stack: Stack) -> None:
    begun = time.monotonic()
    done = stack.compose(
        "run", "--rm", "-T", "--no-deps", "client", "--retry-deadline", "2", "start", "0", "0", "1", check=False
    )
    assert done.returncode == 4
    assert time.monotonic() - begun < 10
    assert "tcp://server:8888" in done.stderr
    assert "Traceback" not in done.stderr


def test_stops_in_order_and_its_timers_outlive_the_container(stack: Stack) -> None:
    stack.up()
    stack.timer("start", "1h", "--detach", "--id", "job/1")
    begun = time.monotonic()
    run(["docker", "stop", stack.container("server")])
    assert time.monotonic() - begun < 2
    state = inspect(stack.container("server"))["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    stack.follow_log().expect('"event":"stopped"')

    stack.compose("rm", "--force", "server")
    assert stack.timer_json("get", "job/1")["state"] == "running"
