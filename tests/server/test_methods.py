"""Every method over a real socket, its results and its errors."""

import json
import uuid

import pytest
import zmq

from drivers.peers import Requester, request, requester, socket_to
from local_server import LocalServer
from timer_protocol.limits import Limits
from timer_server.limits import REPLY_BYTES

FIELDS = [
    "id", "label", "state", "hours", "minutes", "seconds", "duration_ms", "remaining_ms", "started_at_ms",
    "due_at_ms", "ended_at_ms", "version", "payload",
]  # fmt: skip


def test_a_started_timer_is_returned_whole(rpc: Requester) -> None:
    asked = {"hours": 1, "minutes": 2, "seconds": 3.5, "label": "tea", "payload": {"a": [1, None]}}
    timer = rpc.call("timer.start", id="order/42", **asked)
    assert list(timer) == FIELDS
    assert {name: timer[name] for name in asked} == asked
    assert timer["duration_ms"] == timer["remaining_ms"] == 3_723_500
    assert timer["due_at_ms"] - timer["started_at_ms"] == 3_723_500
    assert (timer["state"], timer["ended_at_ms"], timer["version"]) == ("running", None, 1)


def test_an_absent_id_is_made_by_the_server_and_sorts_by_time(rpc: Requester) -> None:
    first, second = (uuid.UUID(rpc.call("timer.start", seconds=60)["id"]) for _ in range(2))
    assert first.version == second.version == 7
    assert (first.int >> 80) <= (second.int >> 80)


def test_a_repeated_start_starts_nothing(rpc: Requester) -> None:
    first = rpc.call("timer.start", id="x", minutes=1, payload={"a": 1, "b": 2})
    again = rpc.call("timer.start", id="x", minutes=1, payload={"b": 2, "a": 1})
    assert (again["started_at_ms"], again["version"]) == (first["started_at_ms"], 1)
    assert rpc.call("server.info")["seq"] == 1


def test_a_repeated_start_finds_the_timer_that_has_ended(rpc: Requester) -> None:
    rpc.call("timer.start", id="x", seconds=0.05)
    assert rpc.call("timer.wait", id="x", wait_ms=10_000)["state"] == "fired"
    assert rpc.call("timer.start", id="x", seconds=0.05)["state"] == "fired"
    assert rpc.error("timer.start", id="x", seconds=0.06)["data"]["name"] == "id_conflict"


@pytest.mark.parametrize("other", [{"minutes": 2}, {"seconds": 60}, {"label": "y"}, {"payload": 0}])
def test_the_same_id_with_another_request_is_a_conflict(rpc: Requester, other: dict[str, object]) -> None:
    rpc.call("timer.start", id="x", minutes=1)
    error = rpc.error("timer.start", id="x", **({"minutes": 1} | other))
    assert (error["code"], error["data"]["name"], error["data"]["state"]) == (-32002, "id_conflict", "running")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"seconds": 0},
        {"seconds": 0.0004},
        {"seconds": -1},
        {"hours": 1, "seconds": -1},
        {"seconds": "5"},
        {"seconds": True},
        {"seconds": None},
        {"hours": 87_601},
        {"seconds": 1, "id": ""},
        {"seconds": 1, "id": "a" * 129},
        {"seconds": 1, "id": "a b"},
        {"seconds": 1, "id": "a\n"},
        {"seconds": 1, "id": "ä"},
        {"seconds": 1, "label": "x" * 257},
        {"seconds": 1, "colour": "red"},
    ],
)
def test_a_start_that_makes_no_sense_says_why(rpc: Requester, params: dict[str, object]) -> None:
    error = rpc.error("timer.start", **params)
    assert (error["code"], error["data"]["name"]) == (-32602, "invalid_params")
    assert error["data"]["reason"]
    assert rpc.call("server.info")["seq"] == 0


def test_the_longest_ids_and_the_shortest_times_are_allowed(rpc: Requester) -> None:
    assert rpc.call("timer.start", id="aZ9._:/-" * 16, seconds=0.001)["duration_ms"] == 1
    assert rpc.call("timer.start", id="x", hours=1 / 3, seconds=0.0006)["duration_ms"] == 1_200_001


def test_pause_resume_cancel_are_repeatable(rpc: Requester) -> None:
    rpc.call("timer.start", id="x", minutes=1)
    for _ in range(2):
        paused = rpc.call("timer.pause", id="x")
        assert (paused["state"], paused["due_at_ms"], paused["version"]) == ("paused", None, 2)
    for _ in range(2):
        running = rpc.call("timer.resume", id="x")
        assert (running["state"], running["version"]) == ("running", 3)
        assert running["due_at_ms"] >= paused["remaining_ms"] + paused["started_at_ms"]
    for _ in range(2):
        assert rpc.call("timer.cancel", id="x")["state"] == "cancelled"
    for method in ("timer.pause", "timer.resume", "timer.extend"):
        error = rpc.error(method, id="x", **({"seconds": 1} if method == "timer.extend" else {}))
        assert (error["code"], error["data"]["state"]) == (-32003, "cancelled")


def test_extend_moves_the_deadline_once_a_key(rpc: Requester) -> None:
    due = rpc.call("timer.start", id="x", minutes=1)["due_at_ms"]
    assert rpc.call("timer.extend", id="x", minutes=1, key="k1")["due_at_ms"] == due + 60_000
    assert rpc.call("timer.extend", id="x", minutes=1, key="k1")["due_at_ms"] == due + 60_000
    shorter = rpc.call("timer.extend", id="x", seconds=-90, key="k2")
    assert (shorter["due_at_ms"], shorter["duration_ms"]) == (due - 30_000, 30_000)
    error = rpc.error("timer.extend", id="x", seconds=-90)
    assert error["code"] == -32602
    assert 0 < error["data"]["remaining_ms"] <= 30_000
    assert rpc.error("timer.extend", id="x")["code"] == -32602
    assert rpc.error("timer.extend", id="x", hours=87_600)["data"]["limit"] == "max_duration_s"


@pytest.mark.parametrize("ending", ["running", "paused", "fired", "cancelled"])
def test_restart_runs_the_full_time_again_from_any_state(rpc: Requester, ending: str) -> None:
    rpc.call("timer.start", id="x", seconds=0.2 if ending == "fired" else 60)
    if ending == "fired":
        rpc.call("timer.wait", id="x", wait_ms=10_000)
    elif ending != "running":
        rpc.call({"paused": "timer.pause", "cancelled": "timer.cancel"}[ending], id="x")
    again = rpc.call("timer.restart", id="x", key="once")
    assert (again["state"], again["remaining_ms"], again["ended_at_ms"]) == ("running", again["duration_ms"], None)
    assert rpc.call("timer.restart", id="x", key="once")["version"] == again["version"]


@pytest.mark.parametrize("method", ["get", "pause", "resume", "cancel", "extend", "restart", "wait"])
def test_a_timer_that_is_not_there_is_not_found(rpc: Requester, method: str) -> None:
    extra = {"extend": {"seconds": 1}, "wait": {"wait_ms": 10}}.get(method, {})
    error = rpc.error(f"timer.{method}", id="nobody", **extra)
    assert (error["code"], error["data"]["name"], error["data"]["retryable"]) == (-32001, "timer_not_found", False)


def test_list_pages_in_the_order_of_ids(rpc: Requester) -> None:
    for number in (3, 1, 2):
        rpc.call("timer.start", id=f"b/{number}", minutes=1)
    rpc.call("timer.start", id="a", minutes=1)
    rpc.call("timer.pause", id="b/2")
    rpc.call("timer.cancel", id="b/3")

    def ids(**params: object) -> tuple[list[str], str | None]:
        page = rpc.call("timer.list", **params)
        return [timer["id"] for timer in page["timers"]], page["next"]

    assert ids() == (["a", "b/1", "b/2", "b/3"], None)
    assert ids(prefix="b/") == (["b/1", "b/2", "b/3"], None)
    assert ids(limit=2) == (["a", "b/1"], "b/1")
    assert ids(limit=2, after="b/1") == (["b/2", "b/3"], None)
    assert ids(state="paused") == (["b/2"], None)
    assert ids(state="cancelled", prefix="b") == (["b/3"], None)
    assert ids(state="fired") == ([], None)
    assert rpc.error("timer.list", limit=1001)["code"] == -32602
    assert rpc.error("timer.list", state="sleeping")["code"] == -32602


def test_wait_returns_as_it_stands_after_its_time(rpc: Requester) -> None:
    rpc.call("timer.start", id="x", minutes=1)
    assert rpc.call("timer.wait", id="x", wait_ms=20)["state"] == "running"
    assert rpc.error("timer.wait", id="x", wait_ms=3_600_001)["code"] == -32602


def test_info_tells_limits_counts_and_seq(rpc: Requester) -> None:
    rpc.call("timer.start", id="x", minutes=1)
    info = rpc.call("server.info")
    assert info["counts"] == {"running": 1, "paused": 0, "fired": 0, "cancelled": 0}
    assert info["limits"]["max_batch"] == 1000
    assert (info["seq"], info["protocol"]) == (1, "timer/1")
    assert abs(info["now_ms"] - rpc.call("timer.get", id="x")["started_at_ms"]) < 10_000


@pytest.mark.parametrize(
    ("limits", "params", "limit"),
    [
        (Limits(max_payload_bytes=16), {"seconds": 1, "payload": "x" * 15}, "max_payload_bytes"),
        (Limits(max_timers=1), {"seconds": 1, "id": "y"}, "max_timers"),
    ],
)
def test_limits_are_stated(limits: Limits, params: dict[str, object], limit: str) -> None:
    with LocalServer(limits=limits) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="x", minutes=1)
        error = rpc.error("timer.start", **params)
        assert error["code"] == -32004
        assert (error["data"]["limit"], error["data"]["maximum"]) == (limit, getattr(limits, limit))
        assert rpc.call("server.info")["seq"] == 1


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


def test_a_message_beyond_its_limit_is_refused_unread() -> None:
    limits = Limits(max_message_bytes=500)
    with LocalServer(limits=limits) as server, socket_to(zmq.REQ, server.commands) as socket:
        socket.send_json(request("timer.start", 1, seconds=1, payload="x" * 500))
        response = json.loads(socket.recv())
        assert (response["id"], response["error"]["code"]) == (None, -32004)
        assert response["error"]["data"]["limit"] == "max_message_bytes"
