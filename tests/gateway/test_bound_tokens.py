"""Tokens bound to a prefix, at a gateway in front of a server that has timers and queues of others too."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.visits import problem, visited
from local_server import LocalServer
from timer_gateway.tokens import make_token
from timer_protocol.errors import ErrorCode
from timer_protocol.sender import ALL_RIGHTS


class TestInFrontOfAServer:
    """A token that is bound to `shop/`, beside timers and a queue of the bank's."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "tokens"

    def played(self, server: LocalServer, path: Path, token: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        """The answers to requests of JSON-RPC, each by itself."""

        async def play(http: httpx.AsyncClient) -> list[dict[str, Any]]:
            answers = [await http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, **request}) for request in requests]
            assert {answer.status_code for answer in answers} == {200}
            return [answer.json() for answer in answers]

        return visited(server.commands, play, token=token, tokens=path)

    def test_bound_token_touches_nothing_of_others(self, server: LocalServer, path: Path) -> None:
        everything, _ = make_token(path, ALL_RIGHTS)
        bound, _ = make_token(path, ALL_RIGHTS, "shop/")
        of_bank = [call("timer.start", id="bank/1", minutes=5), call("queue.put", queue="ends", prefix="bank/")]
        self.played(server, path, everything, *of_bank, call("queue.put", queue="own", prefix="shop/"))

        forbidden = [
            call("timer.get", id="bank/1"),
            call("timer.cancel", id="bank/1"),
            call("timer.start", id="bank/2", minutes=5),
            call("timer.change_many", action="cancel", ids=["bank/1"]),
            call("events.read", after={}, prefix="bank/"),
            call("queue.take", queue="ends"),
            call("queue.delete", queue="ends"),
            call("queue.put", queue="ends", prefix="shop/"),
            call("queue.put", queue="wide", prefix=""),
            call("plan.put", plan="bank/daily", every={"hours": 1}),
        ]
        for answer in self.played(server, path, bound, *forbidden):
            assert answer["error"]["code"] == ErrorCode.NOT_PERMITTED, answer
            assert answer["error"]["data"]["prefix"] == "shop/"

        own = [
            call("timer.start", minutes=5),
            call("timer.list"),
            call("events.read", after={}),
            call("queue.list"),
            call("queue.take", queue="own"),
            call("queue.take", queue="none"),
            call("timer.change_many", action="cancel", prefix=""),
        ]
        started, listed, read, queues, taken, missing, cancelled = self.played(server, path, bound, *own)
        assert started["result"]["id"].startswith("shop/")
        assert [timer["id"] for timer in listed["result"]["timers"]] == [started["result"]["id"]]
        assert {event["timer"]["id"] for event in read["result"]["events"]} == {started["result"]["id"]}
        assert [queue["queue"] for queue in queues["result"]["queues"]] == ["own"]
        assert taken["result"] == {"deliveries": []}
        assert missing["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND
        assert cancelled["result"]["changed"] == 1
        (state,) = self.played(server, path, everything, call("timer.get", id="bank/1"))
        assert state["result"]["state"] == "running"

    def test_curl_is_told_the_same_and_a_notification_nothing(self, server: LocalServer, path: Path) -> None:
        everything, _ = make_token(path, ALL_RIGHTS)
        bound, _ = make_token(path, frozenset({"read", "start"}), "shop/")
        self.played(server, path, everything, call("timer.start", id="bank/1", minutes=5))

        async def play(http: httpx.AsyncClient) -> None:
            for answer in (
                await http.get("/timer?id=bank/1"),
                await http.put("/timer?id=bank/2", json={"minutes": 1}),
                await http.get("/timers?prefix=bank/"),
            ):
                assert problem(answer) == (403, "not_permitted")
                assert answer.json()["prefix"] == "shop/"
            assert (await http.get("/timers?prefix=")).json()["timers"] == []
            assert (await http.put("/timer?id=shop/1", json={"minutes": 1})).status_code == 200
            lacking = await http.delete("/timer?id=shop/1")
            assert problem(lacking) == (403, "not_permitted")
            assert lacking.json()["right"] == "change"
            told = await http.post("/rpc", json={"jsonrpc": "2.0", **call("timer.start", id="bank/2", minutes=1)})
            assert (told.status_code, told.content) == (204, b"")
            unknown = await http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, **call("peer.greet")})
            assert unknown.json()["error"]["code"] == ErrorCode.METHOD_NOT_FOUND

        visited(server.commands, play, token=bound, tokens=path)
        (missing,) = self.played(server, path, everything, call("timer.get", id="bank/2"))
        assert missing["error"]["code"] == ErrorCode.TIMER_NOT_FOUND


def call(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}
