"""What goes wrong between containers, while a client watches: it hears of the end all the same."""

import re
import time

from drivers.stack import Stack, inspect, run

NETWORK_PROMISE_S = 30.0
LATE_S = 2.0
SOON_S = 10


def kill_container(stack: Stack) -> None:
    run(["docker", "kill", "--signal", "KILL", stack.container("server")])
    stack.compose("start", "server")


def kill_process(stack: Stack) -> None:
    """The restart policy starts the container again, which ends the command that killed the process as well."""
    kill = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
    stack.compose("exec", "-T", "server", "python", "-c", kill, check=False)


def move(stack: Stack) -> None:
    """Another container takes up the server's address."""
    before = stack.address("server")
    stack.compose("kill", "server")
    stack.compose("up", "--detach", "squatter")
    stack.compose("start", "server")
    assert stack.address("server") != before


def cut_client(stack: Stack) -> None:
    for act in ("disconnect", "connect"):
        run(["docker", "network", act, f"{stack.project}_default", watching(stack)])


def watching(stack: Stack) -> str:
    """The container of the client that watches."""
    return f"{stack.project}-watching"


def test_a_countdown_goes_on_whatever_happens_and_ends_on_time(stack: Stack) -> None:
    stack.up()
    client = stack.start_timer("start", "0", "5", "0", "--id", "job/1", "--json", name=watching(stack))
    client.expect('"version":1,')
    for version, outage in enumerate((kill_container, kill_process, move, cut_client), start=2):
        outage(stack)
        stack.timer_json("extend", "job/1", "-1s")
        client.expect(f'"version":{version},', limit_s=NETWORK_PROMISE_S)  # it is connected again
    left_s = stack.timer_json("get", "job/1")["remaining_ms"] // 1000
    timer = stack.timer_json("extend", "job/1", f"{SOON_S - left_s}s")  # however long the outages took
    due_at_s = timer["due_at_ms"] / 1000

    fired = client.expect('"state":"fired".*', limit_s=due_at_s - time.time() + NETWORK_PROMISE_S)[0]
    assert 0 <= time.time() - due_at_s < LATE_S
    assert 0 <= int(re.findall(r'"ended_at_ms":(\d+)', fired)[0]) / 1000 - due_at_s < LATE_S
    assert client.wait() == 0
    log = stack.follow_log()
    log.expect('"running":0')
    for _ in range(3):  # it was started again
        log.expect('"running":1')


def test_client_cut_off_over_the_end(stack: Stack) -> None:
    stack.up()
    client = stack.start_timer("start", "0", "0", "3", "--id", "job/1", "--json", name=watching(stack))
    client.expect('"version":1,')
    run(["docker", "network", "disconnect", f"{stack.project}_default", watching(stack)])
    assert "has fired" in stack.timer("watch", "job/1").stdout
    assert not client.has_written('"state":"fired"')
    run(["docker", "network", "connect", f"{stack.project}_default", watching(stack)])
    client.expect('"state":"fired"', limit_s=NETWORK_PROMISE_S)
    assert client.wait() == 0


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
    assert time.monotonic() - begun < 5  # after ten, the engine kills it
    state = inspect(stack.container("server"))["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    stack.follow_log().expect('"event":"stopped"')

    stack.compose("rm", "--force", "server")
    assert stack.timer_json("get", "job/1")["state"] == "running"
