"""The four kinds of peers: REQ, correlated REQ, DEALER with a delimiter and without."""

import json

import pytest
import zmq

from drivers.peers import is_silent, request, socket_to
from local_server import LocalServer

INFO = json.dumps(request("server.info", 7)).encode()


def test_a_req_gets_its_reply(server: LocalServer) -> None:
    with socket_to(zmq.REQ, server.commands) as socket:
        for _ in range(3):
            socket.send(INFO)
            assert json.loads(socket.recv())["id"] == 7


def test_a_correlated_req_gets_its_reply_and_may_ask_again_before_it(server: LocalServer) -> None:
    with socket_to(zmq.REQ, server.commands, req_relaxed=True, req_correlate=True) as socket:
        socket.send(json.dumps(request("timer.wait", 1, id="absent", wait_ms=0)).encode())
        socket.send(INFO)
        assert json.loads(socket.recv())["id"] == 7


@pytest.mark.parametrize("before", [[], [b""], [b"request 9", b""], [b"a", b"b", b""]])
def test_a_dealer_gets_its_envelope_back_unchanged(server: LocalServer, before: list[bytes]) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send_multipart([*before, INFO])
        *envelope, body = socket.recv_multipart()
        assert envelope == before
        assert json.loads(body)["id"] == 7


def test_pipelined_requests_of_a_dealer_are_answered_in_order(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        for number in range(500):
            socket.send(json.dumps(request("timer.start", number, id=f"t/{number:03}", minutes=1)).encode())
        replies = [json.loads(socket.recv()) for _ in range(500)]
        assert [reply["id"] for reply in replies] == list(range(500))
        assert [reply["result"]["id"] for reply in replies] == [f"t/{number:03}" for number in range(500)]


def test_a_long_wait_does_not_hold_up_the_requests_behind_it(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send(json.dumps(request("timer.start", 1, id="slow", minutes=5)).encode())
        socket.send(json.dumps(request("timer.wait", 2, id="slow", wait_ms=60_000)).encode())
        socket.send(json.dumps(request("timer.cancel", 3, id="slow")).encode())
        replies = [json.loads(socket.recv()) for _ in range(3)]
        assert [reply["id"] for reply in replies] == [1, 3, 2]
        assert replies[2]["result"]["state"] == "cancelled"


def test_white_space_before_json_is_no_dialogue(server: LocalServer) -> None:
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send(b" \r\n\t" + INFO)
        assert json.loads(socket.recv())["id"] == 7


def test_notifications_are_applied_and_unanswered(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send(json.dumps(request("timer.start", id="quiet", minutes=1)).encode())
        socket.send(json.dumps([request("timer.pause", id="quiet"), request("no.such.method")]).encode())
        socket.send(json.dumps(request("timer.get", 1, id="quiet")).encode())
        reply = json.loads(socket.recv())
        assert (reply["id"], reply["result"]["state"]) == (1, "paused")
        assert is_silent(socket)


def test_a_batch_is_applied_in_order_and_answered_by_one_array(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        batch = [
            request("timer.start", "a", id="b/1", seconds=30),
            request("timer.pause", "b", id="b/1"),
            request("timer.extend", id="b/1", seconds=30),
            request("timer.get", "c", id="b/1"),
            {"foo": "boo"},
            request("timer.get", "d", id="absent"),
        ]
        socket.send(json.dumps(batch).encode())
        replies = json.loads(socket.recv())
        assert [reply["id"] for reply in replies] == ["a", "b", "c", None, "d"]
        assert replies[2]["result"]["remaining_ms"] > 50_000
        assert [reply.get("error", {}).get("code") for reply in replies] == [None, None, None, -32600, -32001]


def test_a_batch_that_waits_is_answered_when_all_of_it_is_there(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        batch = [
            request("timer.start", 1, id="w", seconds=0.2),
            request("timer.wait", 2, id="w", wait_ms=10_000),
            request("timer.get", 3, id="w"),
        ]
        socket.send(json.dumps(batch).encode())
        replies = json.loads(socket.recv())
        assert [(reply["id"], reply["result"]["state"]) for reply in replies] == [
            (1, "running"),
            (2, "fired"),
            (3, "running"),
        ]
