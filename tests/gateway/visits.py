"""A gateway in the test's process, asked by an HTTP client without sockets in between, or by bytes on one."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from timer_client import Settings
from timer_gateway.app import application
from timer_gateway.listening import listen
from timer_gateway.opening import open_access
from timer_gateway.serve import config_of, make_parts
from timer_gateway.settings import GatewaySettings

T = TypeVar("T")
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LIMIT_S = 10

NOWHERE = "tcp://127.0.0.1:9"
"""Where no server is."""


@asynccontextmanager
async def visit(
    commands: str, *, clock: Callable[[], float] = time.monotonic, token: str = "", **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in front of the server at `commands`. Without tokens everybody may do everything."""
    patience = {name: settings.pop(name) for name in ("retry_deadline_s", "timeout_s") if name in settings}
    client = Settings(server=commands, **patience)
    wanted = GatewaySettings(**{"client": client, "tokens": Path("/nowhere/gateway-tokens"), **settings})
    access, _ = open_access(wanted, time.time)
    parts = make_parts(wanted, access, clock)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(application(parts))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers) as http:
            yield http
    finally:
        await parts.upstream.close()


def visited(commands: str, scenario: Callable[[httpx.AsyncClient], Awaitable[T]], **options: Any) -> T:
    """What a scenario returns that is played with such a client."""

    async def play() -> T:
        async with visit(commands, **options) as http:
            return await scenario(http)

    return asyncio.run(play())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and the type of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["title"]
    assert told["detail"]
    return answer.status_code, told["type"].partition("#")[2]


@asynccontextmanager
async def listening(commands: str, **settings: Any) -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """A gateway on a socket; gives what connects to it, and takes what `asyncio.open_connection` takes."""
    client = Settings(server=commands)
    wanted = GatewaySettings(**{"client": client, "tokens": Path("/nowhere/gateway-tokens"), **settings})
    access, _ = open_access(wanted, time.time)
    parts = make_parts(wanted, access)
    (socket,) = listen("127.0.0.1", 0)
    server = uvicorn.Server(config_of(parts))
    serving = asyncio.create_task(server._serve([socket]))
    try:
        yield partial(asyncio.open_connection, *socket.getsockname())
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, LIMIT_S)
        await parts.upstream.close()


async def said_to(peer: Peer, *text: bytes) -> bytes:
    """All that comes back before the gateway closes the connection."""
    reader, writer = peer
    try:
        writer.write(b"".join(text))
        return await asyncio.wait_for(reader.read(), LIMIT_S)
    finally:
        writer.close()
