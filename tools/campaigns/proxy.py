"""A TCP proxy on loopback between peers and a server, that does to their connections what a network does.

It runs in a thread of its own; its methods may be called from any thread, and return when what they say is done. TCP
is a stream, so nothing can come twice or out of order here: bytes come late, stop coming, or the connection ends.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
Look = Callable[[bytes], bytes]

CALL_LIMIT_S = 10.0
_CHUNK_BYTES = 65_536
_CHUNKS_HELD = 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST instead of FIN


class Proxy:
    """Listens on a port of its own and forwards to a server, until told otherwise."""

    def __init__(self, server: str) -> None:
        host, _, port = server.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._silent = False
        self._lossy: tuple[bytes, bytes] | None = None
        self._unwanted: bytes | None = None
        self.endpoint = ""
        """Where peers connect to."""
        self.delay_s: Callable[[], float] = float
        """How long the next bytes are held back, in both directions. Their order stays."""
        self.carried = 0
        """Connections accepted so far."""
        self.reply_lost = threading.Event()
        """Set once the reply that `lose_reply` speaks of was lost."""
        self.request_lost = threading.Event()
        """The same of `lose_request`."""

    def __enter__(self) -> "Proxy":
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        listener.setblocking(False)
        self.endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        self._thread.start()
        self._accepting = asyncio.run_coroutine_threadsafe(self._accept(listener), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._accepting.cancel():
            self._accepting.result()  # raises what it has failed with
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result(CALL_LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_LIMIT_S)
        assert not self._thread.is_alive(), "the proxy did not stop"
        self._loop.close()

    def cut(self) -> int:
        """Resets the connections there are, and returns how many; new ones are carried."""
        return len(self._each(lambda connection: connection.reset()))

    def cut_after(self, more_bytes: int) -> int:
        """Resets each connection after so many more bytes from the server: in the middle of a message, mostly."""
        return len(self._each(lambda connection: connection.cut_after(more_bytes)))

    def hold(self) -> int:
        """Leaves the connections that stand half open: they stay, and nothing passes. New ones are carried."""
        return len(self._each(lambda connection: connection.flowing.clear()))

    def silence(self) -> None:
        """Holds new connections as well, as if every packet were dropped."""
        self._silent = True
        self.hold()

    def resume(self) -> None:
        """Lets pass what was held, also what a peer had sent before it gave its connection up: it comes late."""
        self._silent = False
        self._each(lambda connection: connection.flowing.set())

    def lose_reply(self, request: bytes, reply: bytes) -> None:
        """The next request with these bytes passes; the reply with those does not, and its connection is reset."""
        self.reply_lost.clear()
        self._lossy = (request, reply)

    def lose_request(self, request: bytes) -> None:
        """The next request with these bytes does not pass, and its connection is reset."""
        self.request_lost.clear()
        self._unwanted = request

    def has_to_lose(self, sent: bytes) -> bool:
        """Whether what was sent is not to pass. Told once."""
        if self._unwanted is None or self._unwanted not in sent:
            return False
        self._unwanted = None
        return True

    def reply_to_lose(self, sent: bytes) -> bytes | None:
        """What marks the reply that is to be lost, where the request it answers is in what was sent. Told once."""
        if self._lossy is None or self._lossy[0] not in sent:
            return None
        (_, reply), self._lossy = self._lossy, None
        return reply

    def _each(self, act: Callable[["_Connection"], T]) -> list[T]:
        done: Future[list[T]] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result([act(one) for one in self._connections]))
        return done.result(CALL_LIMIT_S)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                peer, _ = await self._loop.sock_accept(listener)
                self.carried += 1
                connection = _Connection(self, peer, self._target)
                if self._silent:
                    connection.flowing.clear()
                self._connections[connection] = self._loop.create_task(self._carry(connection))

    async def _carry(self, connection: "_Connection") -> None:
        try:
            await connection.carry()
        finally:
            del self._connections[connection]

    async def _end_all(self) -> None:
        carrying = list(self._connections.values())
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


class _Connection:
    """A peer's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, peer: socket.socket, target: tuple[str, int]) -> None:
        self._proxy = proxy
        self._target = target
        self._peer = peer
        self._server = socket.socket()
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._lost_reply: bytes | None = None
        self._bytes_left: int | None = None
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def carry(self) -> None:
        """Forwards until both sides have closed, or `reset`."""
        with self._peer, self._server:
            for end in (self._peer, self._server):
                end.setblocking(False)
            tasks = [self._loop.create_task(work) for work in (self._forward_both(), self._ended.wait())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        """Closes both sides with RST."""
        for end in (self._peer, self._server):
            with contextlib.suppress(OSError):  # it may have ended by itself
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._ended.set()

    def cut_after(self, more_bytes: int) -> None:
        """Resets after so many more bytes from the server."""
        self._bytes_left = more_bytes

    async def _forward_both(self) -> None:
        await self.flowing.wait()
        await self._loop.sock_connect(self._server, self._target)
        await asyncio.gather(
            self._forward(self._peer, self._server, self._note_request),
            self._forward(self._server, self._peer, self._cut_reply),
        )

    async def _forward(self, source: socket.socket, sink: socket.socket, look: Look) -> None:
        """One direction, to its end. Taking in and passing on are apart, so that a delay does not limit the rate."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_HELD)
        taking = self._loop.create_task(self._take_in(source, held))
        try:
            with contextlib.suppress(OSError):
                while chunk := await self._next(held):
                    await self._loop.sock_sendall(sink, look(chunk))
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        finally:
            taking.cancel()

    async def _take_in(self, source: socket.socket, held: "asyncio.Queue[tuple[float, bytes]]") -> None:
        chunk = b"."
        while chunk:
            try:
                chunk = await self._loop.sock_recv(source, _CHUNK_BYTES)
            except OSError:  # reset: what came before it is passed on all the same
                chunk = b""
            await held.put((self._loop.time() + self._proxy.delay_s(), chunk))

    async def _next(self, held: "asyncio.Queue[tuple[float, bytes]]") -> bytes:
        due_s, chunk = await held.get()
        await asyncio.sleep(due_s - self._loop.time())
        await self.flowing.wait()
        return chunk

    def _note_request(self, chunk: bytes) -> bytes:
        if self._proxy.has_to_lose(chunk):
            self._proxy.request_lost.set()
            self.reset()
            return b""
        self._lost_reply = self._lost_reply or self._proxy.reply_to_lose(chunk)
        return chunk

    def _cut_reply(self, chunk: bytes) -> bytes:
        if self._lost_reply is not None and self._lost_reply in chunk:
            self._proxy.reply_lost.set()
            self.reset()
            return b""
        if self._bytes_left is not None:
            chunk = chunk[: self._bytes_left]
            self._bytes_left -= len(chunk)
            if self._bytes_left == 0:
                self._loop.call_soon(self.reset)  # after what is left of the chunk has been sent
        return chunk
