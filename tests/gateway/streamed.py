"""Streams of a gateway in the test's process: opened as a browser would, and read message by message."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

from timer_client import AsyncTimerClient, Settings
from timer_gateway.app import application
from timer_gateway.opening import open_access
from timer_gateway.parts import Parts
from timer_gateway.serve import make_parts
from timer_gateway.settings import GatewaySettings

LIMIT_S = 10


class Told(NamedTuple):
    """A message of a stream."""

    event: str
    id: str | None
    data: Any

    @property
    def label(self) -> str:
        """Of a message about a timer: the timer and what happened."""
        return f"{self.data['timer']['id']} {self.data['kind']}"


class Stream:
    """A stream from a reader's side. While `is_stuck` it takes nothing."""

    def __init__(self, app: ASGIApp, target: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        path, _, query = target.partition("?")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1:8080"), *((n.lower().encode(), v.encode()) for n, v in headers)],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8080),
        }
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self._text = ""
        self._gone = asyncio.Event()
        self._is_taking = asyncio.Event()
        self._is_taking.set()
        self.retry_ms = 0
        self._task = asyncio.create_task(app(self._scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self._is_taking.wait()
        self._sent.put_nowait(message)

    def stop_taking(self) -> None:
        self._is_taking.clear()

    def go_on_taking(self) -> None:
        self._is_taking.set()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status, and the headers."""
        async with asyncio.timeout(LIMIT_S):
            message = await self._sent.get()
        return message["status"], {name.decode(): value.decode() for name, value in message["headers"]}

    async def body(self) -> bytes:
        """All of the body of an answer that ends."""
        async with asyncio.timeout(LIMIT_S):
            await self._task
        parts = [self._sent.get_nowait() for _ in range(self._sent.qsize())]
        return b"".join(part.get("body", b"") for part in parts)

    async def next(self) -> Told:
        """The next message. Raises `EOFError` at the end."""
        async with asyncio.timeout(LIMIT_S):
            while "\n\n" not in self._text:
                message = await self._sent.get()
                self._text += message.get("body", b"").decode()
                if message["type"] == "http.response.body" and not message["more_body"] and not self._text:
                    raise EOFError
        text, _, self._text = self._text.partition("\n\n")
        members = dict(line.split(": ", 1) for line in text.split("\n"))
        if "retry" in members:
            self.retry_ms = int(members["retry"])
            return await self.next()
        return Told(members.get("event", "message"), members.get("id"), json.loads(members["data"]))

    async def until(self, event: str) -> Told:
        """The next message of this name."""
        while (told := await self.next()).event != event:
            pass
        return told

    async def timers(self, count: int) -> list[Told]:
        """So many messages about timers."""
        return [await self.until("message") for _ in range(count)]

    async def leave(self) -> None:
        """Closes the connection."""
        self._gone.set()
        self.go_on_taking()
        async with asyncio.timeout(LIMIT_S):
            with suppress(asyncio.CancelledError):
                await self._task


class Gateway:
    """A gateway in front of a server."""

    def __init__(self, parts: Parts, client: AsyncTimerClient) -> None:
        self.parts = parts
        self.client = client
        """Of the server itself."""
        self.app = application(parts)
        self._streams: list[Stream] = []

    def open(self, query: str = "", **headers: str) -> Stream:
        """Opens a stream."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        stream = Stream(self.app, f"/events{query}", named)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        for stream in self._streams:
            await stream.leave()
        await self.parts.upstream.close()


@asynccontextmanager
async def gateway_of(
    commands: str, *, tokens: Path = Path("/nowhere/tokens"), clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Gateway]:
    """A gateway in front of the server at `commands`. Where there is no file of tokens everybody may do everything."""
    client = Settings(server=commands, timeout_s=0.5, retry_deadline_s=1, retry_min_s=0.02, retry_max_s=0.1)
    settings = GatewaySettings(client=client, tokens=tokens)
    access, _ = open_access(settings, time.time)
    async with AsyncTimerClient(commands) as own:
        gateway = Gateway(make_parts(settings, access, clock), own)
        try:
            yield gateway
        finally:
            await gateway.close()


Scenario = Callable[[Gateway], Awaitable[None]]


def play(scenario: Scenario, commands: str, **options: Any) -> None:
    """Plays a scenario with a gateway in front of the server at `commands`."""

    async def run() -> None:
        async with gateway_of(commands, **options) as gateway:
            await scenario(gateway)

    asyncio.run(run())


async def opened(gateway: Gateway, query: str = "", **headers: str) -> Stream:
    """A stream that has begun: what happens from now on is told."""
    stream = gateway.open(query, **headers)
    await stream.head()
    beat = await stream.until("beat")
    assert beat.id is not None
    return stream
