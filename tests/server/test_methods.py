"""Ids that the server makes, and what one reply may hold."""

import json
import uuid

import zmq

from drivers.peers import Requester, request, socket_to
from local_server import LocalServer
from timer_protocol.limits import REPLY_BYTES


def test_an_absent_id_is_made_by_the_server_and_sorts_by_time(rpc: Requester) -> None:
    first, second = (uuid.UUID(rpc.call("timer.start", seconds=60)["id"]) for _ in range(2))
    assert first.version == second.version == 7
    assert (first.int >> 80) <= (second.int >> 80)


def test_the_payloads_of_one_reply_are_bounded(server: LocalServer, rpc: Requester) -> None:
    payload = "x" * 60_000
    rpc.call("timer.start", id="large", minutes=1, payload=payload)
    whole, rest = divmod(REPLY_BYTES, len(payload) + 2)
    assert rest
    with socket_to(zmq.DEALER, server.commands) as socket:
        for get in ("timer.get", "timer.list", "events.read"):
            params = {"timer.get": {"id": "large"}, "events.read": {"after": 0}}.get(get, {})
            batch = [request(get, number, **params) for number in range(400)]
            socket.send_json([*batch, request("timer.start", "last", id="late", minutes=1)])
            replies = json.loads(socket.recv())
            assert [reply["id"] for reply in replies] == [*range(400), "last"]
            assert sum("result" in reply for reply in replies) == whole + 1
            assert replies[-1]["error"]["data"]["limit"] == "reply_bytes"
    assert rpc.error("timer.get", id="late")["code"] == -32001


def test_the_entries_looked_at_for_one_reply_are_bounded(server: LocalServer, rpc: Requester) -> None:
    for first in range(0, 12_000, 1000):
        with socket_to(zmq.REQ, server.commands) as socket:
            socket.send_json([request("timer.start", 1, id=f"t/{first + n}", minutes=1) for n in range(1000)])
            socket.recv()
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send_json([request("timer.list", number, state="paused") for number in range(50)])
        replies = json.loads(socket.recv())
    assert all(reply["result"]["timers"] == [] for reply in replies[:2])
    assert {reply["error"]["data"]["limit"] for reply in replies[2:]} == {"reply_entries"}
