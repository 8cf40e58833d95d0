"""The health check: the right verdict, and a sentence, wherever TIMER_BIND points and whoever answers there."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import zmq

from drivers.server_process import ServerProcess, timer_server
from timer_server import health

NO_ANSWER = "no answer from {} within 300 ms: "
SILENT = "what is there speaks ZeroMQ, and says nothing: none of ours, or one that does not reach its store"
NO_SERVER = "a server that still starts or waits for its store, none of ours, or one with other settings for encryption"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_TIMEOUT_MS", 300)


@contextmanager
def http_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join(10)


@contextmanager
def silent_listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def nobody() -> Iterator[str]:
    with silent_listener() as endpoint:
        pass
    yield endpoint


def of_type(kind: int) -> Callable[[], object]:
    @contextmanager
    def bound() -> Iterator[str]:
        with zmq.Context() as context, context.socket(kind) as stranger:
            stranger.linger = 0
            yield f"tcp://127.0.0.1:{stranger.bind_to_random_port('tcp://127.0.0.1')}"

    return bound


@contextmanager
def answering(*frames: bytes) -> Iterator[str]:
    """A REP socket that gives this answer to the first request."""
    with zmq.Context() as context, context.socket(zmq.REP) as stranger:
        stranger.linger = 0
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        answering = threading.Thread(target=lambda: (stranger.recv(), stranger.send_multipart(frames)))
        answering.start()
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            answering.join(10)


@contextmanager
def hanging_up() -> Iterator[str]:
    """A REP socket that is closed with the first request."""
    with zmq.Context() as context, context.socket(zmq.REP) as stranger:
        stranger.linger = 0
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        hanging_up = threading.Thread(target=lambda: (stranger.recv(), stranger.close()))
        hanging_up.start()
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            hanging_up.join(10)


@pytest.mark.parametrize(
    ("stranger", "known"),
    [
        (nobody, "nothing there takes connections"),
        (silent_listener, NO_SERVER),
        (http_server, NO_SERVER),
        (of_type(zmq.PUB), NO_SERVER),
        (of_type(zmq.PULL), NO_SERVER),
        (of_type(zmq.ROUTER), SILENT),
    ],
    ids=["nobody", "silent", "http", "pub", "pull", "router"],
)
def test_a_stranger_that_does_not_answer(stranger: Callable[[], object], known: str) -> None:
    with stranger() as endpoint:  # type: ignore[attr-defined]
        assert health.check(endpoint, None).fault == NO_ANSWER.format(endpoint) + known


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([b"pong"], "is no timer server: its answer is not of JSON-RPC"),
        ([b"\xff\xfe"], "is no timer server: its answer is not of JSON-RPC"),
        ([b""], "is no timer server: its answer is not of JSON-RPC"),
        ([b"5"], "is no timer server: its answer is not of JSON-RPC"),
        ([b"[]"], "is no timer server: its answer is not of JSON-RPC"),
        ([b'{"x":' + b"[" * 100_000], "is no timer server: its answer is not of JSON-RPC"),
        ([b'{"error":5}'], "is no timer server: its answer is not of JSON-RPC"),
        ([b'{"result":"ok"}'], "is no timer server: its answer is not of JSON-RPC"),
        ([b"{}", b"{}"], "is no timer server: its answer is not of JSON-RPC"),
        ([b"{}"], "is no timer server: its answer is of another service"),
        ([b'{"result":{"protocol":"other/1"}}'], "is no timer server: its answer is of another service"),
        ([b'{"error":{"message":"no\\u001b[2J"}}'], "answered with an error: 'no\\x1b[2J'"),
        ([b'{"error":{"message":"no"},"id":1}'], "answered with an error: 'no'"),
        ([b'{"error":{"message":"no"},"id":2}'], "is no timer server: its answer is to another request"),
        ([b'{"result":{"protocol":"timer/1"},"id":2}'], "is no timer server: its answer is to another request"),
        ([b'{"result":{"protocol":"timer/1"},"id":true}'], "is no timer server: its answer is to another request"),
        ([b'{"result":{"protocol":"timer/1"},"id":"1"}'], "is no timer server: its answer is to another request"),
        ([b'{"result":{"protocol":"timer/1"}}'], "is no timer server: its answer is to another request"),
        ([b'{"result":{"protocol":"timer/2"},"id":1}'], "speaks another protocol, 'timer/2' and not 'timer/1'"),
        ([b'{"result":{"protocol":"timer/"},"id":1}'], "speaks another protocol, 'timer/' and not 'timer/1'"),
    ],
)
def test_a_stranger_that_answers_something_else(frames: list[bytes], said: str) -> None:
    with answering(*frames) as endpoint:
        assert health.check(endpoint, None).fault == f"{endpoint} {said}"


def test_an_answer_of_a_timer_server() -> None:
    with answering(b'{"jsonrpc":"2.0","result":{"protocol":"timer/1","more":[]},"id":1}') as endpoint:
        assert health.check(endpoint, None) == health.Health(None, [])


def test_a_server_that_cannot_reach_others_is_well_and_says_so() -> None:
    other = b'{"peer":"tcp://timers-2:8890","reason":"there was no answer"}'
    with answering(b'{"result":{"protocol":"timer/1","unreachable":[%s]},"id":1}' % other) as endpoint:
        said = "it cannot reach tcp://timers-2:8890: there was no answer"
        assert health.check(endpoint, None) == health.Health(None, [said])


def test_an_answer_that_is_too_large() -> None:
    with answering(b'{"result":{"protocol":"timer/1","more":"%s"},"id":1}' % (b"x" * 1_048_576)) as endpoint:
        said = "what is there is no timer server: its answer has more than 1048576 bytes"
        assert health.check(endpoint, None).fault == NO_ANSWER.format(endpoint) + said


def test_a_stranger_that_ends_the_connection() -> None:
    with hanging_up() as endpoint:
        said = "what is there speaks ZeroMQ, and ends the connection"
        assert health.check(endpoint, None).fault == NO_ANSWER.format(endpoint) + said


def test_the_name_of_an_interface_is_asked_at_its_address(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"TIMER_BIND": "tcp://lo:0"}) as server:
        port = server.commands.rpartition(":")[2]
        for host in ("lo", "*", "127.0.0.1"):
            checked = timer_server("--check", folder=tmp_path, TIMER_BIND=f"tcp://{host}:{port}")
            assert (checked.returncode, checked.stderr) == (0, "")
        refused = timer_server("--check", folder=tmp_path, TIMER_BIND=f"tcp://nosuch0:{port}")
    assert refused.returncode == 1
    assert "the host 'nosuch0' cannot be found" in refused.stderr


@pytest.mark.parametrize(
    "bind", ["tcp://127.0.0.1:0", "tcp://*:*", "tcp://[::1]:000", "tcp://lo:*", "ipc://*", "inproc://timers"]
)
def test_an_address_that_tells_nobody_where_to_ask_is_a_setting_that_cannot_be_used(tmp_path: Path, bind: str) -> None:
    refused = timer_server("--check", folder=tmp_path, TIMER_BIND=bind)

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"timer-server: TIMER_BIND is {bind!r}, which ")
    assert refused.stderr.count("\n") == 1


def test_keys_that_cannot_be_read_are_a_setting_that_cannot_be_used(tmp_path: Path) -> None:
    refused = timer_server("--check", folder=tmp_path, TIMER_CURVE_SERVER_SECRET="nowhere.key_secret")

    assert refused.returncode == 2
    assert "cannot read the key file nowhere.key_secret" in refused.stderr
