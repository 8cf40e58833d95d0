"""Workers that share a queue, over real sockets: each end goes to one of them, and none is told what is not stored."""

import json
from collections import Counter
from typing import Any

import zmq

from drivers.peers import Requester, is_silent, request, socket_to
from keys import KeyRing, calls
from local_server import LocalServer
from timer_protocol.sender import ALL_RIGHTS

WORKERS = 4
ENDS = 200


def take(request_id: int | str | None, **params: Any) -> dict[str, Any]:
    return request("queue.take", request_id, **{"queue": "q", "wait_ms": 60_000, **params})


def test_several_workers_share_the_ends_and_each_comes_once(server: LocalServer, rpc: Requester) -> None:
    rpc.call("queue.put", queue="q", prefix="job/")
    context = zmq.Context()
    handled: Counter[str] = Counter()
    by_worker: Counter[int] = Counter()
    poller = zmq.Poller()
    try:
        workers = [context.socket(zmq.DEALER) for _ in range(WORKERS)]
        for worker in workers:
            worker.connect(server.commands)
            poller.register(worker, zmq.POLLIN)
            worker.send_json(take("take", max=5))
        rpc.batch([request("timer.start", n, id=f"job/{n}", seconds=0.05 + n % 20 / 100) for n in range(ENDS)])
        while sum(handled.values()) < ENDS:
            ready = dict(poller.poll(10_000))
            assert ready, "no more deliveries came"
            for number, worker in enumerate(workers):
                if worker not in ready:
                    continue
                response = json.loads(worker.recv())
                if response["id"] == "ack":
                    assert response["result"]["lost"] == []
                    continue
                deliveries = response["result"]["deliveries"]
                handled.update(delivery["event"]["timer"]["id"] for delivery in deliveries)
                by_worker[number] += len(deliveries)
                worker.send_json(request("queue.ack", "ack", queue="q", receipts=[d["receipt"] for d in deliveries]))
                worker.send_json(take("take", max=5))
    finally:
        context.destroy(linger=0)
    assert handled == Counter(f"job/{n}" for n in range(ENDS))
    assert len(by_worker) == WORKERS


def test_a_take_that_waits_is_answered_when_the_timer_fires_and_the_lease_begins_then(
    server: LocalServer, rpc: Requester
) -> None:
    rpc.call("queue.put", queue="q", prefix="", lease_ms=5000)
    due_at_ms = rpc.call("timer.start", id="a", seconds=0.2)["due_at_ms"]
    with socket_to(zmq.DEALER, server.commands) as worker:
        worker.send_json(take(1))
        (delivery,) = json.loads(worker.recv())["result"]["deliveries"]
    assert delivery["event"]["timer"]["id"] == "a"
    assert 0 <= delivery["leased_until_ms"] - 5000 - due_at_ms < 1000


def test_one_end_wakes_one_worker_and_the_others_wait_on(server: LocalServer, rpc: Requester) -> None:
    rpc.call("queue.put", queue="q", prefix="")
    with socket_to(zmq.DEALER, server.commands) as first, socket_to(zmq.DEALER, server.commands) as second:
        for worker in (first, second):
            worker.send_json(take(1))
            worker.send_json(request("server.info", 2))
            assert json.loads(worker.recv())["id"] == 2
        rpc.call("timer.start", id="a", seconds=0.05)
        assert len(json.loads(first.recv())["result"]["deliveries"]) == 1
        assert is_silent(second)


def test_a_worker_of_a_key_takes_only_below_its_prefix(ring: KeyRing) -> None:
    ring.add("owner", rights=ALL_RIGHTS)
    with (
        LocalServer(curve=ring.files) as locked,
        calls(locked, ring, "owner") as owner,
        calls(locked, ring, "shop") as shop,
    ):
        owner.call("queue.put", queue="all", prefix="")
        owner.call("queue.put", queue="shop", prefix="shop/")
        owner.call("timer.start", id="shop/1", seconds=0.01)

        assert len(shop.call("queue.take", queue="shop", wait_ms=10_000)["deliveries"]) == 1
        assert shop.error("queue.take", queue="all")["data"]["name"] == "not_permitted"
        assert [queue["queue"] for queue in shop.call("queue.list")["queues"]] == ["shop"]
        assert shop.error("queue.put", queue="shop", prefix="shop/")["data"]["right"] == "admin"
