"""A server whose PostgreSQL fails under load: what was acknowledged is there, and what was not is told so in time."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from campaigns.proxy import Proxy
from drivers.peers import Requester, requester, socket_to
from drivers.postgres import Cluster, frozen
from drivers.server_process import ServerProcess
from postgres_store import new_place, require_postgres
from timer_server.limits import SHARDS

LIMIT_S = 20.0
CUTS = 4
BACK = "PostgreSQL acknowledges again"
AWAY = "PostgreSQL acknowledges nothing; it is tried again"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A primary with a synchronous standby, for the tests of this file."""
    require_postgres()
    with Cluster(standbys=1) as cluster:
        yield cluster


@pytest.fixture
def server(cluster: Cluster, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, {"TIMER_STORE": new_place("away", cluster)}) as server:
        yield server


class Load:
    """Starts timers one after the other, each with an id of its own, and notes what it was told of each."""

    def __init__(self, server: ServerProcess) -> None:
        self.told: dict[str, str] = {}
        """What each start was answered with: `running`, or the name of an error."""
        self.slowest_s = 0.0
        self._endpoint = server.commands
        self._is_over = threading.Event()
        self._told_something = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(LIMIT_S)

    def wait_for(self, outcome: str, more: int = 1) -> None:
        """Waits until so many more starts have come to this."""
        with self._told_something:
            until = self._count(outcome) + more
            assert self._told_something.wait_for(lambda: self._count(outcome) >= until, LIMIT_S), self.told

    def _count(self, outcome: str) -> int:
        return sum(1 for told in self.told.values() if told == outcome)

    def _run(self) -> None:
        with requester(self._endpoint) as rpc:
            for number in range(10**6):
                if self._is_over.is_set():
                    return
                begun = time.monotonic()
                response = rpc.response("timer.start", id=f"timer/{number}", hours=1)
                self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
                outcome = response["error"]["data"]["name"] if "error" in response else response["result"]["state"]
                with self._told_something:
                    self.told[f"timer/{number}"] = outcome
                    self._told_something.notify_all()


def acknowledged(load: Load) -> set[str]:
    return {timer_id for timer_id, outcome in load.told.items() if outcome == "running"}


def stored(rpc: Requester) -> set[str]:
    found: set[str] = set()
    after = None
    while True:
        page = rpc.call("timer.list", limit=1_000, **({"after": after} if after else {}))
        found |= {timer["id"] for timer in page["timers"]}
        if (after := page["next"]) is None:
            return found


def assert_nothing_is_lost(load: Load, server: ServerProcess) -> None:
    """What was acknowledged is there after a crash of the server as well."""
    server.kill()
    server.start()
    server.wait_for_shards(SHARDS)
    with requester(server.commands) as rpc:
        assert acknowledged(load) <= stored(rpc)
    assert not [line for line in server.lines if line["event"] == "shards lost"]


def once_it_waits(cluster: Cluster, *, is_cancelled: bool) -> None:
    """Waits until a commit waits for the standby, and cancels that if it is to."""
    until = time.monotonic() + LIMIT_S
    while not cluster.primary.execute(
        "select case when %s then pg_cancel_backend(pid) end from pg_stat_activity"
        " where wait_event = 'SyncRep' and starts_with(application_name, 'timer-server commits')",
        is_cancelled,
    ):
        assert time.monotonic() < until


@pytest.mark.thorough  # as campaigns do, and beside what stays: commits whose standby stands still or is cancelled
def test_all_processes_of_postgresql_are_killed_under_load_and_come_back(
    cluster: Cluster, server: ServerProcess
) -> None:
    with Load(server) as load:
        load.wait_for("running", 50)
        cluster.primary.kill()
        server.wait_for_log(AWAY)
        cluster.primary.start()
        server.wait_for_log(BACK)
        load.wait_for("running", 50)
    assert load.slowest_s < 5
    assert_nothing_is_lost(load, server)


def test_a_wait_for_the_standby_that_is_cancelled_acknowledges_nothing(cluster: Cluster, server: ServerProcess) -> None:
    with Load(server) as load:
        load.wait_for("running", 20)
        with frozen(cluster.standbys[0]):
            once_it_waits(cluster, is_cancelled=True)
            told = acknowledged(load)
            reason = server.wait_for_log(AWAY)["reason"]
            assert "the wait for the standby was cancelled" in reason
            assert acknowledged(load) == told
        server.wait_for_log(BACK)
        load.wait_for("running", 20)
    assert_nothing_is_lost(load, server)


def test_while_the_standby_stands_still_requests_fail_in_time_and_the_server_lives(
    cluster: Cluster, server: ServerProcess
) -> None:
    with requester(server.commands) as rpc:
        rpc.call("timer.start", id="due", seconds=1)
        with Load(server) as load:
            load.wait_for("running", 20)
            with frozen(cluster.standbys[0]):
                load.wait_for("storage_failed")
            load.wait_for("running", 20)
        assert 4 <= load.slowest_s < 5
        assert rpc.call("timer.wait", id="due", wait_ms=5_000)["state"] == "fired"
    assert_nothing_is_lost(load, server)


def test_connections_that_are_cut_between_a_commit_and_its_reply(cluster: Cluster, tmp_path: Path) -> None:
    """Each such commit was done, and is acknowledged once that is known; none is done twice."""
    with Proxy(f"tcp://{cluster.primary.address}") as proxy:
        url = new_place("cut", cluster).replace(
            ",".join(node.address for node in cluster.nodes), f"localhost:{proxy.endpoint.rpartition(':')[2]}"
        )
        with ServerProcess(tmp_path, {"TIMER_STORE": url}) as server:
            with Load(server) as load:
                for _ in range(CUTS):
                    load.wait_for("running", 3)
                    proxy.lose_reply(b"timer_commit\0", b"SELECT")
                    assert proxy.reply_lost.wait(LIMIT_S)
                    load.wait_for("running", 3)
                    proxy.cut()
            assert set(load.told.values()) == {"running"}
            assert_nothing_is_lost(load, server)


def test_sigterm_ends_a_server_whose_postgresql_is_away(cluster: Cluster, server: ServerProcess) -> None:
    with frozen(cluster.standbys[0]), socket_to(zmq.DEALER, server.commands) as client:
        client.send_json({"jsonrpc": "2.0", "id": 1, "method": "timer.start", "params": {"hours": 1}})
        once_it_waits(cluster, is_cancelled=False)
        begun = time.monotonic()
        assert server.terminate() == 1
        assert time.monotonic() - begun < 9  # its lease runs out, and then it waits for what is in flight
        assert json.loads(client.recv())["error"]["data"]["name"] == "storage_failed"
