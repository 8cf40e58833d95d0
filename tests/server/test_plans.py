"""Plans over real sockets: a timer that comes again, and skipped moments that are told on a topic of their own."""

import json

import zmq

from drivers.peers import Requester, socket_to
from keys import KeyRing, calls, hearing, next_topic
from local_server import LocalServer
from timer_protocol.sender import ALL_RIGHTS


def test_the_next_timer_is_there_once_the_one_before_has_fired(server: LocalServer, rpc: Requester) -> None:
    plan = rpc.call("plan.put", plan="p", every={"seconds": 1}, count=1)
    cron = rpc.call("plan.put", plan="c", cron="0 9 * * *", zone="Europe/Rome")
    assert cron["pending"]["zone"] == "Europe/Rome"
    fired = rpc.call("timer.wait", id=plan["pending"]["id"], wait_ms=10_000)

    assert (fired["state"], fired["due_at_ms"]) == ("fired", plan["next"][0]["at_ms"])
    assert rpc.call("plan.get", plan="p")["state"] == "finished"
    assert fired["ended_at_ms"] - fired["due_at_ms"] < 1000


def test_skipped_moments_are_told_on_the_topic_of_the_plan(server: LocalServer, rpc: Requester) -> None:
    rpc.call("plan.put", plan="p", every={"hours": 1})
    with socket_to(zmq.SUB, server.events) as subscriber:
        for topic in (b"~plan/p", b"~beat"):
            subscriber.subscribe(topic)
        while subscriber.recv_multipart()[0] != b"~beat":
            pass
        due_at_ms = rpc.call("plan.get", plan="p")["pending"]["due_at_ms"]
        rpc.call("plan.skip", plan="p")
        while (message := subscriber.recv_multipart())[0] == b"~beat":
            pass
    assert message[0] == b"~plan/p"
    assert json.loads(message[1]) == {
        "plan": "p",
        "first_ms": due_at_ms,
        "last_ms": due_at_ms,
        "count": 1,
        "reason": "skip",
    }


def test_a_subscriber_with_a_key_hears_of_the_plans_below_its_prefix(ring: KeyRing) -> None:
    ring.add("owner", rights=ALL_RIGHTS)
    with LocalServer(curve=ring.files) as locked, calls(locked, ring, "owner") as owner:
        for plan in ("bank/p", "shop/p"):
            owner.call("plan.put", plan=plan, every={"hours": 1})
        with hearing(locked, ring, "shop", b"~plan/") as subscriber:
            for plan in ("bank/p", "shop/p"):
                owner.call("plan.skip", plan=plan)
            assert next_topic(subscriber) == "~plan/shop/p"
