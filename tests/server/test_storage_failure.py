"""A store that fails: nothing of that turn is vouched for, everybody is told, and the server ends."""

import json
from collections.abc import Iterator

import pytest
import zmq

from drivers.peers import request, requester, socket_to
from local_server import LocalServer
from timer_server import serve as server_module
from timer_server.core.ledger import Changes
from timer_server.core.model import Timer
from timer_server.store.base import Anchor, StoreError
from timer_server.store.memory import MemoryStore


class BrittleStore(MemoryStore):
    """Keeps what it is given until it breaks."""

    breaks_on_commit = False
    breaks_on_read = False

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        if self.breaks_on_commit and changes.events:
            raise StoreError("the disk is full")
        super().commit(changes, anchor)

    def read_timer(self, seq: int) -> Timer:
        if self.breaks_on_read:
            raise StoreError("the disk is gone")
        return super().read_timer(seq)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> BrittleStore:
    brittle = BrittleStore()
    monkeypatch.setattr(server_module, "MemoryStore", lambda: brittle)
    return brittle


@pytest.fixture
def server(store: BrittleStore) -> Iterator[LocalServer]:
    running = LocalServer()
    running.__enter__()
    yield running
    with pytest.raises(StoreError):
        running.stop()


def error_name(response: dict[str, dict[str, dict[str, str]]]) -> str:
    return response["error"]["data"]["name"]


def test_nothing_of_a_turn_that_failed_is_acknowledged(server: LocalServer, store: BrittleStore) -> None:
    with requester(server.commands) as rpc, socket_to(zmq.DEALER, server.commands) as parked:
        rpc.call("timer.start", id="before", hours=1)
        parked.send_json(request("timer.wait", "parked", id="before", wait_ms=60_000))
        parked.send_json([request("server.info", "info"), request("timer.wait", "batch", id="before", wait_ms=60_000)])
        parked.send_json(request("server.info", "after those"))
        assert json.loads(parked.recv())["id"] == "after those"
        store.breaks_on_commit = True
        error = rpc.error("timer.start", id="lost", hours=1)
        assert (error["code"], error["data"]["name"], error["data"]["retryable"]) == (-32006, "storage_failed", True)
        told = [json.loads(parked.recv()) for _ in range(2)]
        assert error_name(told[0]) == "storage_failed"
        assert [error_name(part) for part in told[1]] == ["storage_failed"] * 2
    assert [event.id for event in store.load()] == ["before"]


def test_a_batch_with_a_wait_is_not_acknowledged_in_part(server: LocalServer, store: BrittleStore) -> None:
    store.breaks_on_commit = True
    with socket_to(zmq.DEALER, server.commands) as socket:
        batch = [request("timer.start", 1, id="x", hours=1), request("timer.wait", 2, id="x", wait_ms=60_000)]
        socket.send_json(batch)
        assert [error_name(part) for part in json.loads(socket.recv())] == ["storage_failed"] * 2
        assert socket.poll(200) == 0


def test_the_dialogue_is_told_too(server: LocalServer, store: BrittleStore) -> None:
    store.breaks_on_commit = True
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send_multipart([b"0", b"0", b"5"])
        (text,) = socket.recv_multipart()
        assert text.startswith(b"error: ")


def test_a_failed_read_is_answered_and_nothing_beside_it_counts(server: LocalServer, store: BrittleStore) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send_json([request("timer.start", 1, id="old", hours=1), request("timer.cancel", 2, id="old")])
        socket.recv()
        store.breaks_on_read = True
        socket.send_json([request("timer.start", 3, id="new", hours=1), request("timer.get", 4, id="old")])
        replies = json.loads(socket.recv())
        assert [(reply["id"], error_name(reply)) for reply in replies] == [(3, "storage_failed"), (4, "storage_failed")]
    assert "new" not in [event.id for event in store.load()]
