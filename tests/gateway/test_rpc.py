"""POST /rpc: what the server answers over ZeroMQ, the gateway answers over HTTP."""

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
import zmq

from client.fake_server import FakeServer, giving, refusing, timer, unanswered
from drivers.peers import socket_to
from gateway.visits import NOWHERE, problem, visited
from local_server import LocalServer
from timer_protocol.errors import ErrorCode
from timer_protocol.methods import METHODS

JSON = {"Content-Type": "application/json"}


def call(method: str, request_id: object = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}


def notification(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


TEA = {"id": "tea", "hours": 1, "label": "Tee für zwei ☕", "payload": {"a": [1, 2.5, None]}}
EXCHANGES: list[object] = [
    call("timer.start", **TEA),
    call("timer.start", "the same again", **TEA),
    call("timer.start", **{**TEA, "hours": 2}),
    {"jsonrpc": "2.0", "method": "timer.pause", "params": ["tea", "a key"], "id": None},
    call("timer.get", 1.5, id="tea"),
    call("timer.list", prefix="t", states=["paused"], omit=["payload"]),
    call("queue.put", queue="q", prefix="tea", **{"from": "start"}),
    call("queue.take", queue="nobody's", key="k"),
    [call("plan.get", 1, plan="none"), call("timer.get", 2, id="none"), notification("timer.resume", id="none")],
    [call("timer.nothing"), {"id": 3}, 5, notification("timer.nothing")],
    call("timer.start", seconds=-1),
    call("timer.extend", id="tea"),
    {"jsonrpc": "1.0", "method": "timer.get", "id": 1},
    [],
    b"{",
    b'{"jsonrpc":"2.0","method":"timer.start","params":{"id":"x","seconds":1,"payload":"\xff"},"id":1}',
    b'{"jsonrpc":"2.0","id":1,"method":"timer.start","params":{"payload":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    call("timer.start", id="x", seconds=10**30),
    b'{"jsonrpc":"2.0","id":1,"method":"timer.start","params":{"id":"x","seconds":1e400}}',
    *(call(method.name, nonsense=1) for method in METHODS),
    call("rpc.discover"),
]
"""Bodies whose answers depend on nothing but the requests before them."""


def encoded(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def without_times(answer: object) -> object:
    """An answer without what the clock decides."""
    if isinstance(answer, dict):
        return {name: without_times(value) for name, value in answer.items() if not name.endswith("_ms")}
    return [*map(without_times, answer)] if isinstance(answer, list) else answer


def test_everything_is_answered_as_by_the_server_itself(server: LocalServer) -> None:
    with LocalServer() as other, socket_to(zmq.DEALER, other.commands) as direct:

        async def compare(http: httpx.AsyncClient) -> None:
            for body in map(encoded, EXCHANGES):
                direct.send_multipart([b"", body])
                expected = json.loads(direct.recv_multipart()[1])
                answer = await http.post("/rpc", content=body, headers=JSON)
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "application/json"
                assert without_times(answer.json()) == without_times(expected), body

        visited(server.commands, compare)


def test_notifications_are_applied_and_have_no_answer(server: LocalServer) -> None:
    async def notify(http: httpx.AsyncClient) -> list[str]:
        started = [notification("timer.start", id="a", hours=1), notification("timer.start", id="b", hours=1)]
        for body in (started[0], started, notification("timer.get", id="a"), notification("timer.get")):
            answer = await http.post("/rpc", json=body)
            assert (answer.status_code, answer.content) == (204, b"")
        listed = await http.post("/rpc", json=call("timer.list"))
        return [timer["id"] for timer in listed.json()["result"]["timers"]]

    assert visited(server.commands, notify) == ["a", "b"]


def test_a_lost_answer_has_no_second_effect() -> None:
    """What is sent again has the id and key that the gateway had made before; dead letters are named first."""
    letters = {"dead": [_letter("r1"), _letter("r2")], "next": "on"}
    moved = {"done": ["r1", "r2"], "lost": [], "next": None}
    with FakeServer() as fake:

        async def repeat(http: httpx.AsyncClient) -> Any:
            fake.faults += [unanswered, refusing(ErrorCode.SHUTTING_DOWN)]
            await http.post("/rpc", json=call("timer.start", hours=1))
            fake.faults.append(unanswered)
            await http.post("/rpc", json=call("timer.extend", id="t", hours=1))
            fake.faults += [giving(letters), giving(moved)]
            return (await http.post("/rpc", json=call("queue.drop", queue="q", limit=5))).json()["result"]

        dropped = visited(fake.commands, repeat, timeout_s=0.1)
        sent = [fake.next_message()[0] for _ in range(7)]

    starts, extends, (asked, named) = sent[:3], sent[3:5], sent[5:]
    assert {request["params"]["id"] for request in starts} == {starts[0]["params"]["id"]}
    assert {request["params"]["key"] for request in extends} == {extends[0]["params"]["key"]} != {None}
    assert (asked["method"], asked["params"]["limit"]) == ("queue.dead", 5)
    assert named["params"]["receipts"] == ["r1", "r2"]
    assert dropped == {**moved, "next": "on"}


def _letter(receipt: str) -> dict[str, object]:
    event = {"log": "l", "seq": 1, "kind": "fired", "at_ms": 1, "timer": timer(state="fired")}
    return {"receipt": receipt, "attempts": 1, "reason": None, "died_at_ms": 1, "event": event}


def test_what_waits_is_cut_short_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timer_gateway.limits.WAITS", 1)
    with FakeServer() as fake:
        fake.faults.append(unanswered)

        async def wait(http: httpx.AsyncClient) -> httpx.Response:
            first = asyncio.create_task(http.post("/rpc", json=call("timer.wait", id="t", wait_ms=3_600_000)))
            sent = await asyncio.to_thread(fake.next_message)
            assert sent[0]["params"]["wait_ms"] == 25_000
            second = await http.post("/rpc", json=call("timer.wait", id="t", wait_ms=1000))
            assert second.json()["error"]["data"]["limit"] == "waits"
            third = await http.get("/timer/wait?id=t&wait_ms=1000")
            first.cancel()
            await asyncio.wait([first])
            assert (await http.get("/timer/wait?id=t&wait_ms=1000")).json()["state"] == "fired"
            return third

        answer = visited(fake.commands, wait)
    assert problem(answer) == (429, "limit_reached")
    assert answer.headers["retry-after"] == "1"


def test_a_server_that_is_away_is_told(server: LocalServer) -> None:
    async def ask(http: httpx.AsyncClient) -> None:
        for body in (call("timer.get", id="a"), [call("timer.get", id="a"), call("timer.get", id="b")]):
            answer = await http.post("/rpc", json=body)
            assert problem(answer) == (502, "server_away")
            assert answer.json()["retryable"] is True
        assert problem(await http.get("/timer?id=a")) == (502, "server_away")
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert problem(await http.get("/readyz")) == (503, "server_away")
        nothing_asked = await http.post("/rpc", json=[call("timer.get"), call("timer.get", id="b")])
        assert [each["error"]["data"]["name"] for each in nothing_asked.json()] == ["invalid_params", "server_away"]

    visited(NOWHERE, ask, retry_deadline_s=0, timeout_s=0.1)

    async def be_ready(http: httpx.AsyncClient) -> httpx.Response:
        return await http.get("/readyz")

    assert visited(server.commands, be_ready).json() == {"status": "ready"}


def test_a_server_that_comes_back_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "timer_gateway")
    with FakeServer() as fake:

        async def ask(http: httpx.AsyncClient) -> list[int]:
            statuses = [(await http.get("/timer?id=a")).status_code]
            fake.stop()
            statuses += [(await http.get("/timer?id=a")).status_code for _ in range(2)]
            assert "timer_gateway_server_away 1.0" in (await http.get("/metrics")).text
            fake.start()
            statuses += [(await http.get("/timer?id=a")).status_code for _ in range(2)]
            assert "timer_gateway_server_away 0.0" in (await http.get("/metrics")).text
            return statuses

        assert visited(fake.commands, ask, retry_deadline_s=0, timeout_s=0.3) == [200, 502, 502, 200, 200]
    logged = [record.getMessage() for record in caplog.records]
    assert [line for line in logged if line.startswith("server")] == ["server away", "server back"]


def test_a_fault_is_a_problem_that_tells_nothing_of_itself(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr("timer_gateway.upstream.repeatable", fail)

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post("/rpc", json=body) for body in (call("timer.list"), [call("timer.list")] * 2)]

    for answer in visited(NOWHERE, ask):
        assert problem(answer) == (500, "internal_error")
        assert "secret" not in answer.text
        assert "content-security-policy" in answer.headers
    assert "ValueError: secret" in caplog.text
