"""The events socket and `events.read`, as a plain SUB and a plain REQ see them."""

import json
from collections.abc import Iterator
from socket import gethostname
from typing import Any

import pytest
import zmq

from drivers.peers import Requester, is_silent, requester, socket_to
from local_server import LocalServer


def subscribed(server: LocalServer, socket: zmq.Socket[bytes], *topics: bytes) -> zmq.Socket[bytes]:
    """Subscribes, and waits for a beat: it proves that what was subscribed before it is in force."""
    for topic in (*topics, b"~beat"):
        socket.subscribe(topic)
    while socket.recv_multipart()[0] != b"~beat":
        pass
    socket.unsubscribe(b"~beat")
    return socket


def events(socket: zmq.Socket[bytes], count: int) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    while len(found) < count:
        topic, body = socket.recv_multipart()
        if topic != b"~beat":
            found.append((topic.decode(), json.loads(body)))
    return found


@pytest.fixture
def sub(server: LocalServer) -> Iterator[zmq.Socket[bytes]]:
    with socket_to(zmq.SUB, server.events) as socket:
        yield socket


def test_every_kind_of_event_is_published_with_its_topic(
    server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes]
) -> None:
    subscribed(server, sub, b"")
    rpc.call("timer.start", id="o/1", seconds=60, payload=[1])
    for method in ("pause", "resume", "cancel", "restart"):
        rpc.call(f"timer.{method}", id="o/1")
    rpc.call("timer.extend", id="o/1", seconds=-59.95)
    heard = events(sub, 7)
    kinds = ["started", "paused", "resumed", "cancelled", "restarted", "extended", "fired"]
    assert [topic for topic, _ in heard] == [f"o/1 {kind}" for kind in kinds]
    assert [event["kind"] for _, event in heard] == kinds
    assert [event["seq"] for _, event in heard] == list(range(1, 8))
    assert all(list(event) == ["log", "seq", "kind", "at_ms", "timer"] for _, event in heard)
    fired = heard[-1][1]
    assert fired["at_ms"] >= fired["timer"]["due_at_ms"]
    assert fired["timer"]["payload"] == [1]
    assert {event["log"] for _, event in heard} == {rpc.log()}
    assert rpc.events()["events"] == [event for _, event in heard]


def test_pages_are_published_as_single_changes_are(server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes]) -> None:
    ids = [f"o/{number}" for number in range(4)]
    rpc.call("timer.start_many", ids=ids, seconds=60)
    subscribed(server, sub, b"o/1 ", b"o/2 paused")
    for action in ("pause", "resume", "extend", "restart", "cancel"):
        asked = {"seconds": 5} if action == "extend" else {}
        assert rpc.call("timer.change_many", action=action, ids=ids, key=action, **asked)["changed"] == 4

    heard = events(sub, 6)
    changed = ["o/1 paused", "o/2 paused", "o/1 resumed", "o/1 extended", "o/1 restarted", "o/1 cancelled"]
    assert [topic for topic, _ in heard] == changed
    read = {event["seq"]: event for event in rpc.events()["events"]}
    assert [event for _, event in heard] == [read[event["seq"]] for _, event in heard]


@pytest.mark.parametrize(
    ("topic", "heard_ids"),
    [
        (b"order/", ["order/4", "order/42"]),
        (b"order/4 ", ["order/4"]),
        (b"order/42 started", ["order/42"]),
        (b"", None),
    ],
)
def test_subscriptions_are_prefixes(
    server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes], topic: bytes, heard_ids: list[str] | None
) -> None:
    subscribed(server, sub, topic)
    started = ["order/4", "job/1", "order/42"]
    for timer_id in started:
        rpc.call("timer.start", id=timer_id, minutes=1)
    wanted = started if heard_ids is None else heard_ids
    assert [event["timer"]["id"] for _, event in events(sub, len(wanted))] == wanted
    sub.unsubscribe(topic)


def test_more_subscriptions_than_are_matched_one_by_one(
    server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes]
) -> None:
    subscribed(server, sub, *(f"t/{number} ".encode() for number in range(200)))
    rpc.call("timer.start", id="unheard", minutes=1)
    rpc.call("timer.start", id="t/199", minutes=1)
    assert events(sub, 1)[0][0] == "t/199 started"


def test_who_has_unsubscribed_hears_nothing(server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes]) -> None:
    subscribed(server, sub, b"a", b"b")
    sub.unsubscribe(b"a")
    rpc.call("timer.start", id="b", minutes=1)
    events(sub, 1)
    rpc.call("timer.start", id="a", minutes=1)
    assert is_silent(sub)


def test_beats_tell_the_last_seq_and_the_clock(server: LocalServer, rpc: Requester, sub: zmq.Socket[bytes]) -> None:
    sub.subscribe(b"~beat")
    rpc.call("timer.start", id="x", minutes=1)
    log_id = rpc.log()
    beats: list[dict[str, int]] = []
    while not beats or beats[-1]["seq"] != 1 or len(beats) < 2:
        topic, body = sub.recv_multipart()
        assert topic == b"~beat"
        beat = json.loads(body)
        assert (list(beat["logs"]), beat["servers_version"]) == ([log_id], 1)
        beats.append(beat["logs"][log_id])
    assert 900 <= beats[-1]["now_ms"] - beats[-2]["now_ms"] <= 2000


def test_a_server_alone_lists_itself() -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({}, gethostname(), "127.0.0.1"),
        ({"name": "timers-1", "advertise": ("outside",)}, "timers-1", "outside"),
        ({"bind": "tcp://*:0", "events_bind": "tcp://*:0"}, gethostname(), gethostname()),
    ]
    for settings, name, host in cases:
        with LocalServer(**settings) as server, requester(f"tcp://127.0.0.1:{_port(server.commands)}") as rpc:
            where = {what: f"tcp://{host}:{_port(getattr(server, what))}" for what in ("commands", "events")}
            info = rpc.call("server.info")
            assert (info["servers"], info["servers_version"]) == ([{"name": name, **where}], 1)


def _port(endpoint: str) -> str:
    return endpoint.rpartition(":")[2]


def test_read_waits_for_an_event_that_fits(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        wait = {"after": {}, "prefix": "mine/", "wait_ms": 20_000}
        socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "events.read", "params": wait})
        rpc.call("timer.start", id="other/1", minutes=1)
        assert is_silent(socket)
        rpc.call("timer.start", id="mine/1", minutes=1)
        page = json.loads(socket.recv())["result"]
        assert ([event["seq"] for event in page["events"]], page["next"]) == ([2], {rpc.log(): 2})
