"""What goes wrong between containers, while a client watches: it hears of the end all the same."""

import re
import time
from collections.abc import Iterator

import pytest

from drivers.runs import new_project
from drivers.stack import Stack, inspect, run

NETWORK_PROMISE_S = 30.0
LATE_S = 2.0
SOON_S = 5


@pytest.fixture(scope="module")
def stack(tag: str) -> Iterator[Stack]:
    """A project whose server runs when a test begins, and shall run when it ends."""
    project = Stack(new_project(), tag, is_checked=False)
    try:
        project.up()
        yield project
    finally:
        project.close()


def kill_container(stack: Stack) -> None:
    run(["docker", "kill", "--signal", "KILL", stack.container("server")])
    run(["docker", "start", stack.container("server")])


def kill_process(stack: Stack) -> None:
    """The restart policy starts the container again, which ends the command that killed the process as well."""
    kill = "read server others </proc/1/task/1/children; kill -9 $server"
    run(["docker", "exec", stack.container("server"), "sh", "-c", kill], check=False)


def move(stack: Stack) -> None:
    """Another container takes up the server's address."""
    before = stack.address("server")
    run(["docker", "kill", stack.container("server")])
    stack.compose("up", "--detach", "squatter")
    run(["docker", "start", stack.container("server")])
    assert stack.address("server") != before


def cut_client(stack: Stack) -> None:
    for act in ("disconnect", "connect"):
        run(["docker", "network", act, stack.network, watching(stack)])


def watching(stack: Stack) -> str:
    """The container of the client that watches."""
    return f"{stack.project}-watching"


def test_a_countdown_goes_on_whatever_happens_and_ends_on_time(stack: Stack) -> None:
    client = stack.run_client("start", "0", "5", "0", "--id", "job/1", "--json", name=watching(stack))
    client.expect('"version":1,')
    for version, outage in enumerate((kill_container, kill_process, move, cut_client), start=2):
        outage(stack)
        due_at_ms = stack.timer_json("extend", "job/1", "-1s")["due_at_ms"]
        client.expect(f'"version":{version},', limit_s=NETWORK_PROMISE_S)  # it is connected again
    too_late_s = round(due_at_ms / 1000 - time.time() - SOON_S)  # however long the outages took
    due_at_s = stack.timer_json("extend", "job/1", f"-{too_late_s}s")["due_at_ms"] / 1000

    fired = client.expect('"state":"fired".*', limit_s=due_at_s - time.time() + NETWORK_PROMISE_S)[0]
    assert 0 <= time.time() - due_at_s < LATE_S
    assert 0 <= int(re.findall(r'"ended_at_ms":(\d+)', fired)[0]) / 1000 - due_at_s < LATE_S
    assert client.wait() == 0
    log = stack.follow_log()
    for _ in range(3):  # it was started again
        log.expect('"running":1')


def test_client_cut_off_over_the_end(stack: Stack) -> None:
    client = stack.run_client("start", "0", "0", "3", "--id", "job/2", "--json", name=watching(stack))
    client.expect('"version":1,')
    run(["docker", "network", "disconnect", stack.network, watching(stack)])
    assert "has fired" in stack.timer("watch", "job/2").stdout
    assert not client.has_written('"state":"fired"')
    run(["docker", "network", "connect", stack.network, watching(stack)])
    client.expect('"state":"fired"', limit_s=NETWORK_PROMISE_S)
    assert client.wait() == 0


def test_stops_in_order_and_its_timers_outlive_the_container(stack: Stack) -> None:
    stack.timer("start", "1h", "--detach", "--id", "job/3")
    begun = time.monotonic()
    run(["docker", "stop", stack.container("server")])
    assert time.monotonic() - begun < 5  # after ten, the engine kills it
    state = inspect(stack.container("server"))["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    stack.follow_log().expect('"event":"stopped"')

    run(["docker", "rm", stack.container("server")])
    begun = time.monotonic()
    done = stack.timer("--retry-deadline", "2", "get", "job/3", check=False)
    assert time.monotonic() - begun < 10
    assert done.returncode == 4
    assert "tcp://server:8888" in done.stderr
    assert "Traceback" not in done.stderr

    stack.up()
    assert stack.timer_json("get", "job/3")["state"] == "running"
