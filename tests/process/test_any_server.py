"""Three servers of one store, with keys: every method of the protocol at any of them, whoever owns the shards."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import pytest
import zmq

from drivers.both_clients import AwaitableDriver, BlockingDriver, Driver
from drivers.peers import REPLY_LIMIT_MS, Requester, request, socket_to
from drivers.postgres import OWNER
from drivers.server_cluster import ServerCluster
from keys import KeyRing
from postgres_store import new_place, shared_cluster
from timer_client import NotPermitted, TimerNotFound, TimerSpec
from timer_protocol.sender import ALL_RIGHTS
from timer_server.random_ids import new_log_id
from timer_server.requests.placement import shard_number
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.url import parse

SHARDS = 6
LIMIT_S = 20.0


class Servers(NamedTuple):
    """The servers, and the keys of their clients."""

    cluster: ServerCluster
    ring: KeyRing

    @contextmanager
    def socket(self, place: int, key: str = "admin", kind: int = zmq.DEALER) -> Iterator[zmq.Socket[bytes]]:
        """A plain client of one server."""
        with socket_to(kind, self.cluster.servers[place].commands, **self.ring.options(key)) as socket:
            yield socket

    @contextmanager
    def calls(self, place: int, key: str = "admin") -> Iterator[Requester]:
        """Calls of methods at one server."""
        with self.socket(place, key, zmq.REQ) as socket:
            yield Requester(socket)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Three servers that serve two shards each."""
    folder = tmp_path_factory.mktemp("servers")
    ring = KeyRing(folder / "keys")
    ring.add("admin", rights=ALL_RIGHTS)
    ring.add("shop", "shop/")
    ring.add("reader", rights=frozenset({"read"}))
    url = new_place("several")
    with closing(Database(parse(url), "none")) as database:
        database.open(Shape(SHARDS), new_log_id)
    settings = {"TIMER_REPLICATION": "none", "TIMER_CURVE_SERVER_SECRET": str(ring.files.secret)}
    with ServerCluster(folder, [url] * 3, settings) as cluster:
        until(lambda: served_by_each() == [2, 2, 2])
        yield Servers(cluster, ring)


def served_by_each() -> list[int]:
    """How many shards each server has."""
    counted = "select count(*) from several.timer_shard where owner is not null group by owner"
    return [int(str(count)) for (count,) in shared_cluster().primary.execute(counted, database=OWNER)]


def until(condition: Callable[[], Any]) -> None:
    """Asks until it is so. Each time takes a trip to a server."""
    limit_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit_s


def in_each_shard(prefix: str) -> list[str]:
    """An id below a prefix in each shard, in the order of their numbers."""
    return [
        next(name for at in range(1_000) if shard_number(name := f"{prefix}{at}", SHARDS) == number)
        for number in range(SHARDS)
    ]


Connect = Callable[[str], Driver]


@pytest.fixture(
    params=[(BlockingDriver, 0), pytest.param((AwaitableDriver, 1), marks=pytest.mark.thorough)],
    ids=["blocking", "asyncio"],
)
def connect(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Connect]:
    """Makes clients of one server, by their keys."""
    kind, place = request.param
    server = servers.cluster.servers[place]
    with ExitStack() as stack:

        def connected(key: str) -> Driver:
            driver: Driver = kind(servers.ring.settings(key, server=server.commands, events=servers.cluster.events))
            stack.callback(driver.end)
            return driver

        yield connected


@pytest.fixture
def below(request: pytest.FixtureRequest) -> str:
    """A prefix of this test's own, below that of the key `shop`."""
    return f"shop/{''.join(filter(str.isalnum, request.node.name))[-40:]}/"


def test_a_timer_of_any_shard_is_started_changed_and_waited_for(connect: Connect, below: str) -> None:
    client = connect("shop")
    for name in in_each_shard(below):
        assert client.start(hours=1, id=name, payload=name).payload == name
        assert client.pause(name).state == "paused"
        assert client.resume(name).state == "running"
        assert client.extend(name, seconds=1).duration_ms == 3_601_000
        assert client.restart(name).state == "running"
        assert client.cancel(name).state == "cancelled"
        assert client.get(name).state == "cancelled"
    soon = in_each_shard(f"{below}soon/")
    for name in soon:
        client.start(seconds=0.2, id=name)
    assert [client.wait(name, 5).state for name in soon] == ["fired"] * SHARDS
    with pytest.raises(TimerNotFound):
        client.get(f"{below}none")


def test_a_wait_hears_the_end_that_a_client_of_another_server_brings_about(servers: Servers, below: str) -> None:
    names = in_each_shard(below)
    with servers.socket(0, "shop") as waiting, servers.calls(1) as other:
        for name in names:
            other.call("timer.start", id=name, hours=1)
            waiting.send_json(request("timer.wait", name, id=name, wait_ms=REPLY_LIMIT_MS))
        for name in names:
            other.call("timer.cancel", id=name)
        told = [waiting.recv_json() for _ in names]
    assert {reply["id"]: reply["result"]["state"] for reply in told} == dict.fromkeys(names, "cancelled")  # type: ignore[call-overload,index]


def test_many_at_once_and_lists_of_them(connect: Connect, below: str) -> None:
    client = connect("shop")
    names = sorted(f"{below}{at:02}" for at in range(20))
    assert client.start_columns(names[:10], [3_600 - at for at in range(10)]).started == 10
    specs = [TimerSpec(id=name, hours=2) for name in names[10:]]
    assert [timer.id for timer in client.start_many(specs)] == names[10:]
    assert [timer.id for timer in client.timers(below)] == names
    page = client.list(below, limit=7)
    assert [timer.id for timer in client.list(below, after=page.next, limit=7).timers] == names[7:14]
    due = client.list(below, order="due", limit=10)
    assert ([timer.id for timer in due.timers], due.complete) == (names[9::-1], False)
    changed = client.change_many("pause", prefix=below)
    assert (changed.changed, changed.unchanged) == (20, 0)
    changed = client.change_many("cancel", ids=[*names[:5], f"{below}none"])
    assert (changed.changed, [refused.id for refused in changed.refused]) == (5, [f"{below}none"])
    assert len(list(client.timers(below, "paused"))) == 15


def test_events_of_all_logs_are_read_and_followed(connect: Connect, servers: Servers, below: str) -> None:
    client = connect("shop")
    cursor = client.info().cursor
    names = in_each_shard(below)
    for name in names:
        client.start(hours=1, id=name)
    stream = client.events(below, cursor)
    assert {next(stream).timer.id for _ in names} == set(names)
    read, after = [], cursor
    while (page := client.read_events(after, below, limit=4)).events:
        read += [event.timer.id for event in page.events]
        after = page.next
    assert sorted(read) == sorted(names)
    assert len(after) == SHARDS
    with servers.socket(2, "shop") as waiting:
        waiting.send_json(request("events.read", 1, after=after, prefix=below, wait_ms=REPLY_LIMIT_MS))
        client.cancel(names[3])
        told: Any = waiting.recv_json()
    assert [event["timer"]["id"] for event in told["result"]["events"]] == [names[3]]
    assert next(stream).kind == "cancelled"


def test_the_server_says_the_same_of_the_store_wherever_it_is_asked(servers: Servers) -> None:
    infos = []
    for place in range(3):
        with servers.calls(place) as rpc:
            infos.append(rpc.call("server.info"))
            assert rpc.call("rpc.discover")["openrpc"]
    assert {len(info["logs"]) for info in infos} == {SHARDS}
    assert {frozenset(info["logs"]) for info in infos} == {frozenset(infos[0]["cursor"])}
    assert [len(info["servers"]) for info in infos] == [3, 3, 3]
    assert [info.get("unreachable") for info in infos] == [[], [], []]


def test_a_queue_has_the_ends_of_all_shards(connect: Connect, servers: Servers, below: str) -> None:
    admin, client = connect("admin"), connect("shop")
    queue = below.split("/")[1]
    admin.put_queue(queue, below, backoff_ms=[0], states=["fired", "cancelled"])
    assert queue in [found.queue for found in client.queues()]
    names = in_each_shard(below)
    with servers.socket(2, "shop") as waiting:
        waiting.send_json(request("queue.take", 1, queue=queue, wait_ms=REPLY_LIMIT_MS))
        for name in names:
            client.start(hours=1, id=name)
            client.cancel(name)
        told: Any = waiting.recv_json()
        (first,) = told["result"]["deliveries"]
    taken = client.take(queue, 10, 5_000)
    while len(taken) < len(names) - 1:
        taken += client.take(queue, 10, 5_000)
    assert {first["event"]["timer"]["id"], *(delivery.event.timer.id for delivery in taken)} == set(names)
    assert client.renew(queue, taken, lease_ms=60_000).lost == []
    assert client.ack(queue, [first["receipt"], taken[0].receipt]).lost == []
    assert client.nack(queue, taken[1:3]).lost == []
    again = client.take(queue, 10, 5_000)
    while len(again) < 2:
        again += client.take(queue, 10, 5_000)
    assert [delivery.attempt for delivery in again] == [2, 2]
    assert client.nack(queue, [*again, *taken[3:]], then="dead", reason="enough").lost == []
    assert admin.get_queue(queue).dead == 4
    dead = client.dead(queue).dead
    assert len(client.drop(queue, dead[:2]).done) == 2
    assert len(client.revive(queue, dead[2:]).done) == 2
    work = client.work(queue)
    for _ in range(2):
        with next(work):
            pass
    work.close()
    counts = client.get_queue(queue)
    assert (counts.ready, counts.leased, counts.dead) == (0, 0, 0)
    assert admin.delete_queue(queue).deleted


def test_a_plan_of_any_shard(connect: Connect, below: str) -> None:
    client = connect("admin")
    names = in_each_shard(below)
    for name in names:
        assert client.put_plan(name, every={"hours": 1}).state == "active"
        assert client.pause_plan(name).state == "paused"
        assert client.resume_plan(name).state == "active"
        client.skip_plan(name)
        client.run_plan(name)
        assert client.get_plan(name).counts.skipped == 1
    assert [plan.plan for plan in client.plans(below)] == sorted(names)
    assert len(client.preview_plan(every={"hours": 1}).next) == 5
    assert all(client.delete_plan(name).deleted for name in names)


def test_a_batch_with_notifications_is_applied_in_order_in_each_shard(servers: Servers, below: str) -> None:
    names = in_each_shard(below)
    for place in range(3):
        batch = [request("timer.start", f"s{name}", id=f"{name}/{place}", hours=1) for name in names]
        batch += [request("timer.extend", id=f"{name}/{place}", seconds=1) for name in names]
        batch += [request("timer.get", f"g{name}", id=f"{name}/{place}") for name in names]
        with servers.calls(place, "shop") as rpc:
            told = rpc.batch(batch)
        assert [reply["id"] for reply in told] == [entry["id"] for entry in batch if "id" in entry]
        assert {reply["result"]["duration_ms"] for reply in told[SHARDS:]} == {3_601_000}


def test_the_plain_dialogue(servers: Servers) -> None:
    for place in range(3):
        with servers.socket(place, "shop", zmq.REQ) as socket:
            socket.send_multipart([b"1", b"2", b"3"])
            assert socket.recv_multipart() == [b"1", b"2", b"3"]


def test_keys_are_held_to_their_rights_and_prefix_by_every_server(
    connect: Connect, servers: Servers, below: str
) -> None:
    shop, reader = connect("shop"), connect("reader")
    names = in_each_shard(below)
    for name in names:
        shop.start(hours=1, id=name)
        assert reader.get(name).state == "running"
        with pytest.raises(NotPermitted):
            reader.cancel(name)
    for name in in_each_shard("other/"):
        with pytest.raises(NotPermitted):
            shop.start(hours=1, id=name)
    for place in range(3):
        with servers.calls(place, "shop") as rpc:
            assert rpc.call("timer.start", hours=1)["id"].startswith("shop/")
