"""An HTTP endpoint in a thread, whose mood says how it answers: well, badly, slowly, without end, or not at all."""

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NamedTuple

FOREVER_S = 3_600
START_LIMIT_S = 10
REQUEST_LIMIT_S = 60.0
"""How long a request may be waited for, which a sender makes on a machine with much else to do."""

_DRIP_S = 0.02


class Received(NamedTuple):
    """A request, and the mood that it was answered in."""

    target: str
    headers: dict[str, str]
    body: bytes
    mood: str
    at_ms: float


def _status(text: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {text}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _endless() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield bytes(65_536)


async def _endless_interim() -> AsyncIterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000


async def _endless_headers() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X: " + bytes([120]) * 1_000 + b"\r\n"


async def _drip() -> AsyncIterator[bytes]:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * FOREVER_S:
        await asyncio.sleep(_DRIP_S)  # the pace is the point
        yield bytes([byte])


async def _hang() -> AsyncIterator[bytes]:
    await asyncio.sleep(FOREVER_S)
    yield b""


async def _half() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    await asyncio.sleep(FOREVER_S)


Answering = bytes | Callable[[], AsyncIterator[bytes]]

MOODS: dict[str, Answering] = {
    "ok": _status("204 No Content"),
    "failing": _status("500 Internal Server Error", body=b"sorry"),
    "busy": _status("429 Too Many Requests", "Retry-After: 7"),
    "gone": _status("410 Gone"),
    "missing": _status("404 Not Found"),
    "closing": b"",
    "nonsense": b"SSH-2.0-OpenSSH_9.2\r\n",
    "bomb": _status("200 OK", "Content-Encoding: gzip", body=b"\x1f\x8b" + bytes(1_000)),
    "endless": _endless,
    "endless interim": _endless_interim,
    "endless headers": _endless_headers,
    "drip": _drip,
    "hanging": _hang,
    "half": _half,
}


def redirecting_to(url: str) -> bytes:
    """The answer that sends the caller elsewhere."""
    return _status("307 Temporary Redirect", f"Location: {url}")


class Receiver:
    """Listens on a loopback port while entered. All that it was asked is in `received`."""

    def __init__(self, mood: str = "ok", tls: ssl.SSLContext | None = None) -> None:
        self.mood = mood
        self.moods = dict(MOODS)
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_LIMIT_S)
        self._loop.close()

    def go_away(self) -> None:
        """Listens no more: connections are refused."""
        self._run(self._close())

    def come_back(self) -> None:
        """Listens, on the same port as before."""
        self._run(self._listen())

    def wait_for(self, count: int, limit_s: float = REQUEST_LIMIT_S) -> list[Received]:
        """The requests, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, limit_s), self.received
            return list(self.received)

    def _run(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_LIMIT_S)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        await self._close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller has gone, or this endpoint is ending
        finally:
            with suppress(ConnectionError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        mood = self.mood
        with self._changed:
            self.received.append(Received(first, headers, body, mood, time.time_ns() / 1e6))
            self._changed.notify_all()
        answering = self.moods[mood]
        if isinstance(answering, bytes):
            writer.write(answering)
            await writer.drain()
            return
        writing = asyncio.create_task(self._write(answering(), writer))
        leaving = asyncio.create_task(reader.read(1))  # otherwise each who has left would keep a descriptor
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            leaving.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)

    async def _write(self, chunks: AsyncIterator[bytes], writer: asyncio.StreamWriter) -> None:
        async for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
