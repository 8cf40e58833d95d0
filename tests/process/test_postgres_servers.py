"""Several servers on one store: they share its shards, and whichever of them ends, nothing is lost and all rings."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zmq

from drivers.peers import Requester, request, requester, socket_to
from drivers.postgres import OWNER
from drivers.server_process import ServerProcess
from postgres_store import new_place, shared_cluster
from timer_client import Cursor, Event, Settings, TimerClient
from timer_server import health
from timer_server.random_ids import new_log_id
from timer_server.requests.placement import shard_number
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.url import parse

SHARDS = 4
LEASE_MS = 1_000
LIMIT_S = 20.0
HOUR_MS = 3_600_000
IDS = [next(name for name in map(str, range(100)) if shard_number(name, SHARDS) == number) for number in range(SHARDS)]
"""An id in each shard."""

DEAD = "this server was declared dead; it begins anew"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], ServerProcess]]:
    """Starts servers, by their names, on a new store."""
    url = new_place("servers")
    with closing(Database(parse(url), "none")) as database:
        database.open(Shape(SHARDS, LEASE_MS), new_log_id)
    with ExitStack() as stack:

        def start_one(name: str) -> ServerProcess:
            settings = {"TIMER_STORE": url, "TIMER_REPLICATION": "none", "TIMER_NAME": name}
            return stack.enter_context(ServerProcess(tmp_path, settings))

        yield start_one


def start_two(start: Callable[[str], ServerProcess]) -> tuple[ServerProcess, ServerProcess, set[str]]:
    """Two servers that serve two shards each, and the ids in those of the second."""
    first = start("first")
    second = start("second")
    second.wait_for_shards(2)
    return first, second, {IDS[first.wait_for_log("shard given")["shard"]] for _ in range(2)}


def found_at(rpc: Requester) -> set[str]:
    """The ids that a server finds, whoever has their shards."""
    return {timer["id"] for timer in rpc.call("timer.list")["timers"]}


def execute(statement: str, *parameters: object) -> None:
    """Does something to the store as the superuser."""
    shared_cluster().primary.execute(statement, *parameters, database=OWNER)


def until(condition: Callable[[], Any]) -> None:
    """Asks until it is so. Each time takes a trip to a server."""
    limit_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit_s


def events_named(server: ServerProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in server.lines if line["event"] == event]


def test_two_servers_share_the_shards_and_one_that_ends_gives_its_own_to_the_other(
    start: Callable[[str], ServerProcess],
) -> None:
    first = start("first")
    with requester(first.commands) as rpc:
        for timer_id in IDS:
            rpc.call("timer.start", id=timer_id, hours=1)
    second = start("second")
    second.wait_for_shards(2)
    with requester(first.commands) as at_first, requester(second.commands) as at_second:
        assert found_at(at_first) == found_at(at_second) == set(IDS)
        made = {at_second.call("timer.start", hours=1)["id"] for _ in range(10)}
        assert first.terminate() == 0
        second.wait_for_shards(SHARDS)
        assert found_at(at_second) == set(IDS) | made
        listed = at_second.call("server.info")["servers"]
        until(lambda: [server["name"] for server in at_second.call("server.info")["servers"]] == ["second"])
    assert {server["name"] for server in listed} <= {"first", "second"}
    assert len(events_named(first, "shard given")) == SHARDS
    assert not events_named(first, "shards lost") + events_named(second, "shards lost")


def test_of_a_server_that_is_killed_the_other_takes_all_and_what_comes_due_meanwhile_rings(
    start: Callable[[str], ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TIMEOUT_MS", LEASE_MS // 2)
    first, second, _ = start_two(start)
    with requester(first.commands) as at_first, requester(second.commands) as at_second:
        for timer_id in IDS:
            at_first.call("timer.start", id=timer_id, seconds=0.5, payload=timer_id)
        first.kill()
        killed_s = time.monotonic()
        assert health.check(second.commands, None).fault is None  # shards without owner are no fault of its own
        second.wait_for_shards(SHARDS)
        assert time.monotonic() - killed_s < LEASE_MS / 1_000 + 1
        for timer_id in IDS:
            fired = at_second.call("timer.wait", id=timer_id, wait_ms=5_000)
            assert (fired["state"], fired["payload"]) == ("fired", timer_id)
    assert [line["server"] for line in events_named(second, "a server is silent; others take its shards")] == ["first"]


def test_what_is_in_flight_through_another_server_is_done_once_when_its_owner_is_killed(
    start: Callable[[str], ServerProcess],
) -> None:
    """Requests are answered in time, waits go on at the next owner, and who watches all servers misses nothing."""
    first, second, _ = start_two(start)
    events = f"{first.events},{second.events}"
    each = 40
    answers: list[Any] = []
    with (
        TimerClient(second.commands, events) as client,
        ThreadPoolExecutor(2) as threads,
        socket_to(zmq.DEALER, second.commands) as asking,
        socket_to(zmq.DEALER, second.commands) as waiting,
    ):
        cursor = client.info().cursor
        kinds = ["started", *["extended"] * each, "cancelled"]
        heard = [threads.submit(followed, client.settings, cursor, len(kinds) * SHARDS) for _ in range(2)]
        for timer_id in IDS:
            client.start(hours=1, id=timer_id)
            waiting.send_json(request("timer.wait", timer_id, id=timer_id, wait_ms=20_000))
        for number in range(each):
            for timer_id in IDS:
                asking.send_json(request("timer.extend", timer_id, id=timer_id, seconds=1))
            if number == each // 2:
                first.kill()
                sent_s = time.monotonic()
        while len(answers) < each * SHARDS:
            assert asking.poll(LIMIT_S * 1_000)
            answers.append(asking.recv_json())
        assert time.monotonic() - sent_s < 5
        for timer_id in IDS:
            client.cancel(timer_id)
        told: list[Any] = [waiting.recv_json() for _ in IDS]
        assert {reply["id"]: reply["result"]["state"] for reply in told} == dict.fromkeys(IDS, "cancelled")
        for timer_id in IDS:
            durations = [reply["result"]["duration_ms"] for reply in answers if reply["id"] == timer_id]
            assert durations == sorted(durations)
            # What the owner had done and not told is asked again, and shows the timer as it is then.
            lengthened = [(duration_ms - HOUR_MS) // 1_000 for duration_ms in durations]
            assert all(found >= number for number, found in enumerate(lengthened, start=1))
            assert lengthened[-1] == each
        for found in heard:
            of_id: dict[str, list[str]] = {}
            for event in found.result(LIMIT_S):
                of_id.setdefault(event.timer.id, []).append(event.kind)
            assert of_id == dict.fromkeys(IDS, kinds)


def followed(settings: Settings, cursor: Cursor, count: int) -> list[Event]:
    """So many events of all logs, as a client of its own hears them."""
    with TimerClient(settings=settings) as client:
        return list(islice(client.events(after=cursor), count))


@pytest.mark.thorough
def test_a_server_that_stood_still_past_its_lease_tells_nobody_anything_and_begins_anew(
    start: Callable[[str], ServerProcess],
) -> None:
    first, second, of_second = start_two(start)
    stale = min(set(IDS) - of_second)
    with requester(first.commands) as at_first, requester(second.commands) as at_second:
        for timer_id in IDS:
            at_first.call("timer.start", id=timer_id, hours=1)
        with socket_to(zmq.DEALER, first.commands) as client:
            first.signal(signal.SIGSTOP)
            client.send_json({"jsonrpc": "2.0", "id": 1, "method": "timer.get", "params": {"id": stale}})
            second.wait_for_shards(SHARDS)
            at_second.call("timer.cancel", id=stale)
            first.signal(signal.SIGCONT)
            assert client.poll(LIMIT_S * 1_000)
            answer = client.recv_json()
        assert isinstance(answer, dict)
        assert answer["result"]["state"] == "cancelled"  # as the other one has told it
        first.wait_for_log(DEAD)
        first.wait_for_shards(2)  # the other gives it its part again
        assert found_at(at_first) == found_at(at_second) == set(IDS)
        infos = [rpc.call("server.info") for rpc in (at_first, at_second)]
        assert infos[0]["servers_version"] == infos[1]["servers_version"]  # who hears both, asks either


def test_a_log_that_has_lost_what_was_acknowledged_is_served_on_under_a_new_id(
    start: Callable[[str], ServerProcess],
) -> None:
    """As after a failover to a standby that did not have it."""
    server = start("only")
    with requester(server.commands) as rpc:
        rpc.call("timer.start", id=IDS[2], hours=1)
        before = rpc.call("server.info")
        execute("create table servers.earlier as select * from servers.timer_shard where number = 2")
        rpc.call("timer.cancel", id=IDS[2])
        execute(
            "with gone as (delete from servers.timer_block using servers.earlier"
            " where shard = number and timer_block.last_place > earlier.last_place)"
            " update servers.timer_shard set last_place = earlier.last_place, state = earlier.state,"
            " checksum = earlier.checksum from servers.earlier where timer_shard.number = earlier.number"
        )
        execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where starts_with(application_name, %s)",
            "timer-server commits",
        )
        lost = server.wait_for_log("shards lost")
        assert (lost["shards"], "which goes on as another log" in lost["reason"]) == ("2", True)
        server.wait_for_shards(SHARDS)
        assert rpc.call("timer.get", id=IDS[2])["state"] == "running"  # it was not cancelled, as far as is known
        (new,) = rpc.call("server.info")["logs"].keys() - before["logs"].keys()
        page = rpc.call("events.read", after=before["cursor"])
    assert (page["events"], page["truncated"], new in page["next"]) == ([], False, True)


@pytest.mark.thorough
def test_a_shard_whose_log_is_not_whole_is_refused_and_all_others_are_served(
    start: Callable[[str], ServerProcess],
) -> None:
    server = start("first")
    with requester(server.commands) as rpc:
        for timer_id in IDS:
            rpc.call("timer.start", id=timer_id, hours=1)
    assert server.terminate() == 0
    execute("delete from servers.timer_block where shard = 1")
    server = start("second")
    with requester(server.commands) as rpc:
        for timer_id in {*IDS} - {IDS[1]}:
            assert rpc.call("timer.get", id=timer_id)["state"] == "running"
    (line,) = events_named(server, "a shard cannot be served")
    assert line["shard"] == 1
    assert "is damaged" in line["reason"]


@pytest.mark.thorough
def test_a_session_that_holds_the_row_of_a_shard_is_ended(start: Callable[[str], ServerProcess]) -> None:
    server = start("only")
    with psycopg.connect(shared_cluster().url()) as hanging, requester(server.commands) as rpc:
        hanging.execute("select from servers.timer_shard for update")
        assert rpc.call("timer.start", id=IDS[0], hours=1)["state"] == "running"
        with pytest.raises(psycopg.OperationalError):
            hanging.execute("select 1")
        hanging.close()
