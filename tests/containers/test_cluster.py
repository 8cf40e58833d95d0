"""deploy/compose.cluster.yml: what is acknowledged is on two nodes, and any container may be killed."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.docker_engine import build_postgres
from drivers.runs import new_project
from drivers.stack import ROOT, Stack, inspect, run

FILES = (ROOT / "deploy" / "compose.cluster.yml", ROOT / "tools" / "drivers" / "compose.cluster.test.yml")
NODES = ("postgres1", "postgres2")
SERVERS = ("server1", "server2", "server3")
LOAD = Path(__file__).with_name("cluster_load.py").read_text()

LIMIT_S = 60.0
LEASE_S = 2.0
LATE_S = LEASE_S + 1
LOAD_S = 8.0
DURATION_S = 3.0


@pytest.fixture(scope="module")
def cluster(tag: str) -> Iterator[Stack]:
    """Both nodes of PostgreSQL and the first server."""
    build_postgres()
    stack = Stack(new_project(), tag, files=FILES, is_checked=False)
    try:
        stack.up(*NODES, "server1")
        yield stack
    finally:
        stack.close()


def start(cluster: Stack, timer_id: str, *options: str) -> str:
    """Asks the first server for a timer; gives what the command says where it is not acknowledged."""
    first = ["--server", "tcp://server1:8888", *options]
    done = cluster.timer(*first, "start", "1h", "--id", timer_id, "--detach", check=False)
    return "acknowledged" if done.returncode == 0 else done.stderr


def kill(cluster: Stack, *services: str) -> None:
    """Kills containers; nothing starts them again."""
    run(["docker", "kill", "--signal", "KILL", *map(cluster.container, services)])


def query(cluster: Stack, statement: str) -> list[str]:
    """The rows of a statement, as text."""
    psql = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname", "timers", "--command", statement]
    return run(["docker", "exec", cluster.container("postgres1"), *psql]).stdout.split("\n")[:-1]


def wait_until(is_so: Callable[[], bool]) -> None:
    """Waits until something is so, which takes a command each time it is looked at."""
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end


def test_every_container_is_confined_and_none_is_published(tag: str) -> None:
    config = json.loads(Stack("timer-test-config", tag, files=FILES).compose("config", "--format", "json").stdout)
    assert config["services"].keys() == {*NODES, *SERVERS, "keys"}  # the client is run by itself
    for service in config["services"].values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "ports" not in service


def test_only_what_two_nodes_have_is_acknowledged(cluster: Stack) -> None:
    assert query(cluster, "show synchronous_standby_names") == ["ANY 1 (postgres1, postgres2)"]
    assert query(cluster, "select application_name, sync_state from pg_stat_replication") == ["postgres2|quorum"]
    assert start(cluster, "before") == "acknowledged"

    standby = cluster.container("postgres2")
    run(["docker", "network", "disconnect", cluster.network, standby])
    try:
        assert "the store does not answer now" in start(cluster, "meanwhile", "--retry-deadline", "5")
    finally:
        run(["docker", "network", "connect", "--alias", "postgres2", cluster.network, standby])
    assert start(cluster, "meanwhile") == "acknowledged"
    assert cluster.timer_json("get", "before")["state"] == "running"


def test_nodes_that_are_killed_come_back_with_their_data(cluster: Stack) -> None:
    assert start(cluster, "kept") == "acknowledged"
    kill(cluster, *NODES)
    run(["docker", "rm", *map(cluster.container, NODES)])
    cluster.up(*NODES)
    assert start(cluster, "new") == "acknowledged"
    assert cluster.timer_json("get", "kept")["state"] == "running"
    assert query(cluster, "select sync_state from pg_stat_replication") == ["quorum"]


@pytest.mark.thorough
def test_a_promoted_standby_acknowledges_once_the_other_node_follows_it(cluster: Stack) -> None:
    assert start(cluster, "one") == "acknowledged"
    kill(cluster, "postgres1")
    run(["docker", "exec", cluster.container("postgres2"), "pg_ctl", "promote"])
    assert start(cluster, "two", "--retry-deadline", "3") != "acknowledged"
    wipe = ["--entrypoint", "sh", "postgres1", "-c", "rm -rf /var/lib/timer-postgres/*"]
    cluster.compose("run", "--rm", "--no-deps", "-T", *wipe)
    cluster.env["POSTGRES1"] = "follow postgres2"
    cluster.up("postgres1")
    assert start(cluster, "two") == "acknowledged"
    assert cluster.timer_json("get", "one")["state"] == "running"


def test_an_owner_is_killed_under_load_and_all_timers_ring_once_and_on_time(cluster: Stack) -> None:
    cluster.up(*SERVERS)
    owners = "select count(distinct owner) from timer_shard join timer_server on owner = incarnation where not dead"
    wait_until(lambda: query(cluster, owners) == ["3"])
    load = cluster.start_python(LOAD, str(LOAD_S), str(DURATION_S))
    load.expect("under load", LIMIT_S)

    kill(cluster, "server1")

    told = json.loads(load.expect(r"\{.*\}(?=\r?\n)", LIMIT_S)[0])
    assert load.wait() == 0
    assert told["failures"] == []
    assert inspect(cluster.container("server1"))["State"]["Status"] == "exited"
    judge(told)


def judge(told: dict[str, dict[str, list[float]]]) -> None:
    """None is lost, rings twice, early, or later than the lease and a second."""
    acknowledged, heard = told["acknowledged"], told["heard"]
    assert len(acknowledged) > 100
    fired = Counter(timer_id for timer_id, kind, *_ in told["log"] if kind == "fired")
    assert {timer_id: fired[timer_id] for timer_id in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert {timer_id: len(heard.get(timer_id, ())) for timer_id in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert not [entry for entry in told["log"] if entry[1] == "fired" and entry[2] < entry[3]]
    early = [timer_id for timer_id, (asked, _) in acknowledged.items() if heard[timer_id][0] - asked < DURATION_S]
    late = {timer_id: heard[timer_id][0] - told_at - DURATION_S for timer_id, (_, told_at) in acknowledged.items()}
    assert early == []
    assert {timer_id: by_s for timer_id, by_s in late.items() if by_s > LATE_S} == {}
