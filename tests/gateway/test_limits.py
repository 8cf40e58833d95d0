"""What one peer may take of the gateway: bytes, requests a second, and time."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.visits import LIMIT_S, NOWHERE, listening, problem, said_to, visited
from local_server import LocalServer
from timer_gateway import limits
from timer_gateway.connections import Connection

JSON = "Content-Type: application/json"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def call(method: str = "timer.get", **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params or {"id": "none"}, "id": 1}


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 65_536

    async def send(http: httpx.AsyncClient) -> None:
        headers = {"Content-Type": "application/json"}
        told = await http.post("/rpc", headers={**headers, "Content-Length": str(10**8)}, content=endless())
        assert problem(told) == (413, "too_large")
        assert read == 0
        for method, path in (("POST", "/rpc"), ("PUT", "/timer?id=a"), ("POST", "/timer/pause?id=a")):
            streamed = await http.request(method, path, headers=headers, content=endless())
            assert problem(streamed) == (413, "too_large")
            assert streamed.headers["connection"] == "close"

    visited(NOWHERE, send)
    assert read <= 3 * 18


def test_the_requests_a_second_of_one_caller_are_limited(server: LocalServer) -> None:
    clock = Clock()

    async def hurry(http: httpx.AsyncClient) -> None:
        batch = [call()] * limits.BATCH_REQUESTS
        assert [len((await http.post("/rpc", json=batch)).json()) for _ in range(2)] == [len(batch)] * 2
        refused = await http.get("/timer?id=none")
        assert problem(refused) == (429, "too_many_requests")
        assert refused.headers["retry-after"] == "1"
        assert (await http.get("/healthz")).status_code == 200
        clock.now_s += 0.5
        for _ in range(2):  # what is refused counts nothing
            assert problem(await http.post("/rpc", json=batch)) == (429, "too_many_requests")
        assert (await http.get("/timer?id=none")).status_code == 404
        clock.now_s += 3600
        assert [(await http.post("/rpc", json=batch)).status_code for _ in range(3)] == [200, 200, 429]

    visited(server.commands, hurry, clock=clock)


def test_metrics_count_by_fixed_labels(server: LocalServer) -> None:
    async def count(http: httpx.AsyncClient) -> str:
        for path in ("/timer?id=none", "/wp-login.php", "/a/b", "/timer?id=none"):
            await http.get(path)
        await http.request("BREW", "/timer")
        for method in ("timer.get", "no.such"):
            await http.post("/rpc", json=call(method))
        await http.post("/rpc", json=call("timer.get", id=7))
        answer = await http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return answer.text

    told = visited(server.commands, count)
    for line in (
        'timer_gateway_requests_total{method="GET",route="/timer",status="404"} 2.0',
        'timer_gateway_requests_total{method="GET",route="other",status="404"} 2.0',
        'timer_gateway_requests_total{method="other",route="/timer",status="415"} 1.0',
        'timer_gateway_calls_total{error="timer_not_found",method="timer.get"} 3.0',
        'timer_gateway_calls_total{error="invalid_params",method="timer.get"} 1.0',
        'timer_gateway_calls_total{error="method_not_found",method="other"} 1.0',
        'timer_gateway_request_duration_seconds_count{route="/rpc"} 3.0',
        "timer_gateway_waits 0.0",
    ):
        assert line in told.splitlines()
    assert "wp-login" not in told


def head(*lines: str, path: str = "/rpc") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def test_peers_that_are_slow_or_speak_nonsense_are_cut(monkeypatch: pytest.MonkeyPatch, server: LocalServer) -> None:
    monkeypatch.setattr("timer_gateway.connections.SENDING_LIMIT_S", 0.3)
    monkeypatch.setattr("timer_gateway.limits.SENDING_LIMIT_S", 0.3)

    async def meet() -> None:
        async with listening(server.commands) as connect:
            silent, dribbling, slow = await connect(), await connect(), await connect()
            hasty, chunked, huge, lines = await connect(), await connect(), await connect(), await connect()
            unsure = await connect()
            good = json.dumps(call()).encode()
            answers = await asyncio.gather(
                said_to(silent),
                said_to(dribbling, b"POST /rpc HT"),
                said_to(slow, head(JSON, "Content-Length: 50"), b"{"),
                said_to(unsure, head(JSON, "Content-Length: 50", path="/session"), b"{"),
                said_to(hasty, b"\x16\x03\x01 TLS, and no HTTP\r\n\r\n"),
                said_to(chunked, head(JSON, "Transfer-Encoding: chunked"), b"zz\r\nnonsense\r\n"),
                said_to(huge, head(JSON, "Content-Length: 100000000")),
                said_to(lines, b"POST /rpc HTTP/1.1\r\nX: " + b"x" * 70_000),
            )
            statuses = [answer.partition(b"\r\n")[0].split(b" ")[1:2] for answer in answers]
            assert statuses == [[], [], [b"408"], [b"408"], [b"400"], [b"400"], [b"413"], [b"400"]]
            assert b'"type":"/api#not_http"' in answers[4]
            reader, writer = await connect()
            for _ in range(2):  # one connection, two requests, and a good one is not cut while it goes on
                writer.write(head(JSON, f"Content-Length: {len(good)}") + good)
                assert b" 200 " in await asyncio.wait_for(reader.readline(), LIMIT_S)
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT_S)
                told = await asyncio.wait_for(reader.readuntil(b"}}"), LIMIT_S)
                told += await asyncio.wait_for(reader.readuntil(b"}"), LIMIT_S)
                assert b"timer_not_found" in told
            writer.close()

    asyncio.run(meet())


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (head("Content-Length: 50"), 415),
        (head(JSON, "Content-Length: 50", path="/none"), 404),
        (head(JSON, "Content-Length: 50").replace(b"127.0.0.1", b"elsewhere"), 421),
        (head("Transfer-Encoding: chunked").replace(b"POST /rpc", b"GET /healthz") + b"32\r\n", 200),
    ],
    ids=["media type", "path", "host", "GET"],
)
def test_a_body_that_nobody_reads_has_its_limit_too(
    monkeypatch: pytest.MonkeyPatch, question: bytes, status: int
) -> None:
    monkeypatch.setattr("timer_gateway.connections.SENDING_LIMIT_S", 0.1)

    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            reader, writer = await connect()
            writer.write(question)
            assert f" {status} ".encode() in await asyncio.wait_for(reader.readline(), LIMIT_S)
            await said_to((reader, writer), b"{")  # it is closed

    asyncio.run(meet())


def test_a_body_that_comes_after_its_answer_leaves_the_connection_open() -> None:
    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            reader, writer = await connect()
            writer.write(head("Content-Length: 50"))
            assert b" 415 " in await asyncio.wait_for(reader.readline(), LIMIT_S)
            question = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
            assert b'{"status":"ok"}' in await said_to((reader, writer), b" " * 50 + question)

    asyncio.run(meet())


@pytest.mark.parametrize("ending", ["stays", "closes", "idles"])
def test_answers_that_are_not_read_are_given_up(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr("timer_gateway.connections.TAKING_LIMIT_S", 0.1)
    monkeypatch.setattr("timer_gateway.serve.IDLE_LIMIT_S", 0.1 if ending == "idles" else 60)
    lost = asyncio.Event()
    made, gone = Connection.connection_made, Connection.connection_lost

    def connection_made(self: Connection, transport: asyncio.Transport) -> None:
        made(self, transport)
        if ending != "stays":
            transport.set_write_buffer_limits(10**9)  # all answers are given; the last one closes

    def connection_lost(self: Connection, exc: Exception | None) -> None:
        gone(self, exc)
        lost.set()

    monkeypatch.setattr(Connection, "connection_made", connection_made)
    monkeypatch.setattr(Connection, "connection_lost", connection_lost)

    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            _, writer = await connect(limit=1024)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            question = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            last = b"Connection: close\r\n" if ending == "closes" else b""
            try:
                writer.write((question + b"\r\n") * 99 + question + last + b"\r\n")
                await asyncio.wait_for(lost.wait(), LIMIT_S)
            finally:
                writer.transport.abort()

    asyncio.run(meet())


@pytest.mark.parametrize("path", ["/rpc", "/session"])
def test_who_hangs_up_within_a_body_is_no_failure_of_the_gateway(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            _, writer = await connect()
            writer.write(head(JSON, "Content-Length: 50", path=path) + b"{")
            writer.close()
            question = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            counted = f'timer_gateway_requests_total{{method="POST",route="{path}",status='
            async with asyncio.timeout(LIMIT_S):
                while counted not in (told := (await said_to(await connect(), question)).decode()):
                    pass
            assert f'{counted}"400"}} 1.0' in told

    asyncio.run(meet())
    assert not caplog.records


def test_an_answer_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write is a call of the kernel, a packet, and a turn of whoever reads."""
    written: list[bytes] = []
    made = Connection.connection_made

    def connection_made(self: Connection, transport: asyncio.Transport) -> None:
        write = transport.write
        monkeypatch.setattr(transport, "write", lambda data: (written.append(data), write(data)))
        made(self, transport)

    monkeypatch.setattr(Connection, "connection_made", connection_made)

    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            question = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
            answer = await said_to(await connect(), question + question)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b'{"status":"ok"}')
            assert [data for data in written if data] == [answer]

    asyncio.run(meet())


def test_a_connection_too_many_is_closed_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timer_gateway.serve.CONNECTIONS", 3)

    async def meet() -> None:
        async with listening(NOWHERE) as connect:
            (_, first), second = await connect(), await connect()
            assert await said_to(await connect()) == b""
            question = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
            assert b'{"status":"ok"}' in await said_to(second, question)
            assert b'{"status":"ok"}' in await said_to(await connect(), question)
            first.close()

    asyncio.run(meet())
