"""A store that fails: nothing of that turn is vouched for, everybody is told, and the server ends."""

import json
import threading
from collections.abc import Iterator, Sequence
from itertools import count

import pytest
import zmq

from drivers.builders import LOG_ID, entries_in
from drivers.peers import is_silent, request, requester, socket_to
from local_server import LocalServer
from store.stores import event
from timer_server import serve as serve_module
from timer_server.core.ledger import Changes
from timer_server.core.model import Entry
from timer_server.store.base import Anchor, StoreError
from timer_server.store.memory import MemoryStore


class EndlessStore(MemoryStore):
    """A log that is never read to its end. Tells when that has begun."""

    def __init__(self) -> None:
        super().__init__(LOG_ID)
        self.is_read = threading.Event()

    def load(self) -> Iterator[Sequence[Entry]]:
        for place in count(1):
            yield [event(place)]
            self.is_read.set()


class BrittleStore(MemoryStore):
    """Keeps what it is given until it breaks."""

    breaks_on_commit = False
    breaks_on_read = False

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        if self.breaks_on_commit and changes.events:
            raise StoreError("the disk is full")
        super().commit(changes, anchor)

    def entry(self, place: int) -> Entry:
        if self.breaks_on_read:
            raise StoreError("the disk is gone")
        return super().entry(place)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> BrittleStore:
    brittle = BrittleStore(LOG_ID)
    monkeypatch.setattr(serve_module, "named_stores", lambda *_: [brittle])
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
        parked.send_json(request("server.info", "last"))
        assert json.loads(parked.recv())["id"] == "last"  # so the server has those that wait
        store.breaks_on_commit = True
        error = rpc.error("timer.start", id="lost", hours=1)
        assert (error["code"], error["data"]["name"], error["data"]["retryable"]) == (-32006, "storage_failed", True)
        told = [json.loads(parked.recv()) for _ in range(2)]
        assert error_name(told[0]) == "storage_failed"
        assert [error_name(part) for part in told[1]] == ["storage_failed"] * 2
    assert [event.id for event in entries_in(store)] == ["before"]


def test_a_batch_with_a_wait_is_not_acknowledged_in_part(server: LocalServer, store: BrittleStore) -> None:
    store.breaks_on_commit = True
    with socket_to(zmq.DEALER, server.commands) as socket:
        batch = [request("timer.start", 1, id="x", hours=1), request("timer.wait", 2, id="x", wait_ms=60_000)]
        socket.send_json(batch)
        assert [error_name(part) for part in json.loads(socket.recv())] == ["storage_failed"] * 2
        assert is_silent(socket)


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
    assert "new" not in [event.id for event in entries_in(store)]


def test_a_server_that_reads_its_log_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = EndlessStore()
    monkeypatch.setattr(serve_module, "named_stores", lambda *_: [endless])
    starting = LocalServer()
    starting.begin()
    assert endless.is_read.wait(10)
    starting.stop()
