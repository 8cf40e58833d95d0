"""A server of several shards over its sockets: its clients need not know."""

import json

import pytest
import zmq

from drivers.peers import requester, socket_to
from local_server import LocalServer
from timer_client import Delivery, TimerClient, TimerSpec

COUNT = 60


@pytest.fixture
def server() -> "LocalServer":
    return LocalServer(shards=3)


def test_clients_of_several_shards_miss_nothing_and_hear_nothing_twice(server: LocalServer) -> None:
    ids = sorted(f"t/{number}" for number in range(COUNT))
    with server, TimerClient(server.commands, server.events) as client:
        stream = client.events("t/", after=client.info().cursor)
        client.start_many(TimerSpec(id=timer_id, seconds=0.3) for timer_id in ids)
        assert [timer.id for timer in client.list("t/").timers] == ids
        assert client.wait(ids[0]).state == "fired"
        heard = [next(stream) for _ in range(2 * COUNT)]

        assert sorted(event.timer.id for event in heard if event.kind == "fired") == ids
        assert sorted(event.timer.id for event in heard if event.kind == "started") == ids
        assert len(stream.cursor) == 3
        assert client.change_many("restart", prefix="", states=["fired"], key="again").changed == COUNT


def test_the_beat_tells_the_standing_of_every_log(server: LocalServer) -> None:
    with server, socket_to(zmq.SUB, server.events) as sub, requester(server.commands) as rpc:
        sub.subscribe(b"~beat")
        for number in range(20):
            rpc.call("timer.start", id=f"t/{number}", seconds=60)
        logs = json.loads(sub.recv_multipart()[1])["logs"]
        while sum(standing["seq"] for standing in logs.values()) < 20:
            logs = json.loads(sub.recv_multipart()[1])["logs"]

        assert len(logs) == 3
        assert all(standing["seq"] > 0 for standing in logs.values())
        assert rpc.call("server.info")["cursor"] == {log: standing["seq"] for log, standing in logs.items()}


def test_workers_share_the_ends_of_every_log_and_each_comes_to_one(server: LocalServer) -> None:
    ids = sorted(f"t/{number}" for number in range(COUNT))
    with server, TimerClient(server.commands, server.events) as client:
        assert client.put_queue("q", prefix="t/").version == 1
        client.start_many(TimerSpec(id=timer_id, seconds=0.1) for timer_id in ids)
        handled: list[Delivery] = []
        while len(handled) < COUNT:
            taken = client.take("q", 7, 10_000)
            assert taken
            handled += taken
            assert client.ack("q", taken).lost == []

        assert sorted(delivery.event.timer.id for delivery in handled) == ids
        assert len({delivery.event.log for delivery in handled}) == 3
        queue = client.get_queue("q")
        assert (queue.ready, queue.leased, queue.dead) == (0, 0, 0)
        assert client.delete_queue("q")
