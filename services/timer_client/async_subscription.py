"""Connections to the events sockets, for tasks."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import zmq

from timer_client.errors import ClientClosed
from timer_client.link import Socket
from timer_client.vigil import Vigil


class Connect(Protocol):
    """Makes a SUB socket for each endpoint. It takes its time only where the endpoint is alone."""

    async def __call__(self, endpoints: Sequence[str], *, is_alone: bool) -> list[Socket]: ...


class AsyncSubscription:
    """A SUB socket for each of several endpoints. One task receives.

    Of one socket with all connections nobody could tell which of them is dead. Here that one alone is made anew.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._sockets: dict[str, Socket] = {}
        """By endpoint; the one that was heard last comes last."""
        self._vigil = Vigil()
        """Over the connections."""
        self._is_closed = False
        self._stop_waiting: Callable[[], None] = _do_nothing

    async def listen_to(self, endpoints: Sequence[str]) -> None:
        """Listens to these endpoints and no others. Connections that there are already stay. Raises `ClientClosed`."""
        if self._sockets.keys() == set(endpoints):
            return
        for endpoint in self._sockets.keys() - set(endpoints):
            self._sockets.pop(endpoint).close(0)
        await self._open([endpoint for endpoint in endpoints if endpoint not in self._sockets])
        self._vigil.begin(endpoints)

    async def receive(self, timeout_s: float) -> list[bytes] | None:
        """The frames of the next message; None if there is none yet. Raises `ClientClosed`.

        A connection that has fallen silent is made anew meanwhile, with its name looked up again.
        """
        frames = self._receive()
        if frames is None and not self._is_closed:
            await self._wait(min(timeout_s, self._vigil.left_s))
            frames = self._receive()
            # Where the event loop was held up, several may have something by now.
            if silent := [endpoint for endpoint in self._vigil.take_silent() if not self._has_message(endpoint)]:
                for endpoint in silent:
                    self._sockets.pop(endpoint).close(0)
                await self._open(silent)
        if self._is_closed:
            raise ClientClosed
        return frames

    def close(self) -> None:
        """Closes the sockets, and wakes the task that waits for them."""
        self._is_closed = True
        self._stop_waiting()
        while self._sockets:
            self._sockets.popitem()[1].close(0)

    def _receive(self) -> list[bytes] | None:
        """The frames of a message that is there, from the sockets in turn."""
        for endpoint, socket in self._sockets.items():
            try:
                frames = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                continue
            self._vigil.hear(endpoint)
            if len(self._sockets) > 1:
                self._sockets[endpoint] = self._sockets.pop(endpoint)
            return frames
        return None

    def _has_message(self, endpoint: str) -> bool:
        return bool(int(self._sockets[endpoint].get(zmq.EVENTS)) & zmq.POLLIN)

    async def _open(self, endpoints: Sequence[str]) -> None:
        """Connects to endpoints that have no socket."""
        sockets = await self._connect(endpoints, is_alone=not self._sockets and len(endpoints) == 1)
        self._sockets.update(zip(endpoints, sockets, strict=True))

    async def _wait(self, timeout_s: float) -> None:
        """Returns when there may be something to receive, or the sockets are about to close, or after the time-out."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        descriptors = [int(socket.get(zmq.FD)) for socket in self._sockets.values()]
        woken = asyncio.Event()

        def stop_waiting() -> None:
            # Once a socket is closed another may have its descriptor, so this has to run before, and only once.
            self._stop_waiting = _do_nothing
            for descriptor in descriptors:
                loop.remove_reader(descriptor)
            woken.set()

        self._stop_waiting = stop_waiting
        for descriptor in descriptors:
            loop.add_reader(descriptor, stop_waiting)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await woken.wait()
        finally:
            self._stop_waiting()
            self._vigil.listen(loop.time() - began_s)


def _do_nothing() -> None:
    pass
