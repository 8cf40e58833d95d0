"""Sockets for asyncio: carries exchanges and receives events on the event loop.

The loop watches the sockets' file descriptors, so the same `Link` serves threads and tasks; it has to be a loop that
can watch descriptors (not Windows' proactor). ZeroMQ signals a descriptor once for any number of messages, so a woken
task has to take all there are, and look again after sending.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator, Sequence

import zmq

from timer_client.ending import PROCESS
from timer_client.errors import AccessDenied, ClientClosed, LocalFailure, TimerError
from timer_client.keys import Keys
from timer_client.link import Context, Link, Socket, subscribed
from timer_client.lookup import EVENTS_LOOKUP_S, Lookup, log_unknown, look_up, too_slow
from timer_client.retry import Unanswered
from timer_client.session import Exchange

MESSAGES_IN_FLIGHT = 16
"""Messages that keep a server busy. More would wait in its queue, where their time-out already runs."""


class AsyncTransport:
    """Connections to one server, on the event loop of the first call, and in the process of that."""

    def __init__(self, context: Context | None = None, keys: Keys | None = None) -> None:
        self._given_context = context
        self._context = context
        self._keys = keys
        self._is_used = context is not None
        self._process = PROCESS
        self.is_inherited = False
        """Whether it is the copy of one that was used before a fork. An event loop does not survive that."""
        self._process.heirs.add(self)
        self._link: _AsyncLink | None = None
        self._slots = asyncio.Semaphore(MESSAGES_IN_FLIGHT)
        self._subscriptions: set[AsyncSubscription] = set()
        self._closed = asyncio.Event()

    def use(self) -> None:
        """Raises `TimerError` for a copy in a forked process."""
        if self.is_inherited:
            raise TimerError("this asynchronous client was used before a fork: make one in the child")
        self._is_used = True

    def after_fork(self) -> None:
        """Notes that this is a copy, unless nothing was done with it before."""
        self.is_inherited |= self._is_used

    async def carry(self, exchange: Exchange, endpoint: str, timeout_s: float) -> None:
        """Sends the unsettled calls of the exchange, and has it accept the reply.

        Raises `Unanswered` for a connection that fails, or a reply that is not there after `timeout_s` and, where
        the connection stands, the time for which the server may hold it back. Raises `ClientClosed`.
        """
        self.use()
        if exchange.wait_s:  # the server may hold it back, so it takes none of the places
            await self._carry(exchange, endpoint, timeout_s)
            return
        if self._slots.locked():
            try:
                await asyncio.wait_for(self._slots.acquire(), timeout_s)
            except TimeoutError:
                raise Unanswered(f"no earlier request was answered within {timeout_s:.3g} s") from None
        else:
            await self._slots.acquire()
        try:
            await self._carry(exchange, endpoint, timeout_s)
        finally:
            self._slots.release()

    async def subscribe(self, endpoint: str, topics: Sequence[bytes]) -> "AsyncSubscription":
        """A connection to the events socket. Raises `ClientClosed`."""
        self.use()
        connect = functools.partial(self._subscribed, endpoint, topics)
        subscription = AsyncSubscription(await connect(), connect)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: "AsyncSubscription") -> None:
        """Closes a subscription."""
        if self._process.is_ending or self.is_inherited:
            return
        self._subscriptions.discard(subscription)
        subscription.close()

    async def sleep(self, pause_s: float) -> None:
        """Returns after a pause. Raises `ClientClosed` as soon as the client is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._closed.wait()
                raise ClientClosed

    def close(self) -> None:
        """Closes all connections; calls under way raise `ClientClosed`."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._process.is_ending or self.is_inherited:
            return
        if self._link is not None:
            self._link.close(ClientClosed())
        while self._subscriptions:
            self._subscriptions.pop().close()
        if self._context is not None and self._given_context is None:
            self._context.term()  # returns at once, as all its sockets are closed and none lingers

    async def _carry(self, exchange: Exchange, endpoint: str, timeout_s: float) -> None:
        link = self._usable_link()
        if link is None:
            address = await self._address(endpoint, timeout_s)
            link = self._usable_link()  # another task may have been quicker
            if link is None:
                with _explained(endpoint):
                    link = self._link = _AsyncLink(Link(self._own_context(), address, self._keys))
        exchange.accept(await link.request(exchange.encode(), timeout_s, exchange.wait_s))

    def _usable_link(self) -> "_AsyncLink | None":
        if self._closed.is_set():
            raise ClientClosed
        return None if self._link is None or self._link.is_closed else self._link

    async def _subscribed(self, endpoint: str, topics: Sequence[bytes]) -> Socket:
        try:
            address = await self._address(endpoint, EVENTS_LOOKUP_S)
        except Unanswered as unknown:
            log_unknown(endpoint, unknown)
            address = None
        if self._closed.is_set():
            raise ClientClosed
        with _explained(endpoint):
            return subscribed(self._own_context(), address, topics, self._keys)

    async def _address(self, endpoint: str, timeout_s: float) -> str:
        """The address of an endpoint. Raises `Unanswered`, `ClientClosed`."""
        lookup = look_up(endpoint)
        if not lookup.done():
            found = asyncio.create_task(_done(lookup))
            closed = asyncio.create_task(self._closed.wait())
            try:
                await asyncio.wait((found, closed), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                found.cancel()
                closed.cancel()
            if self._closed.is_set():
                raise ClientClosed
        try:
            return lookup.take()
        except TimeoutError:
            raise too_slow(endpoint, timeout_s) from None

    def _own_context(self) -> Context:
        if self._context is None:
            self._context = zmq.Context()
        return self._context


@contextlib.contextmanager
def _explained(endpoint: str) -> Iterator[None]:
    try:
        yield
    except (zmq.ZMQError, OSError) as error:
        raise LocalFailure(endpoint, error.strerror or str(error)) from None


async def _done(lookup: Lookup) -> None:
    """Returns when a lookup is over, whatever its outcome."""
    with contextlib.suppress(Unanswered):
        await asyncio.wrap_future(lookup)


class _AsyncLink:
    """A link whose replies wake the tasks that wait for them. When it fails, all of them get the reason."""

    def __init__(self, link: Link) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._awaited: dict[bytes, asyncio.Future[bytes]] = {}
        self._replies_fd = int(self._link.dealer.get(zmq.FD))
        self._monitor_fd = int(self._link.monitor.get(zmq.FD))
        self.is_closed = False
        self._loop.add_reader(self._replies_fd, self._receive)
        self._loop.add_reader(self._monitor_fd, self._check)
        self._loop.call_soon(self._check)  # a descriptor signals nothing until its socket was found empty once

    async def request(self, body: bytes, timeout_s: float, wait_s: float) -> bytes:
        """The reply to a request. Raises `Unanswered`, `ClientClosed`."""
        if asyncio.get_running_loop() is not self._loop:
            raise TimerError("an asynchronous client belongs to the event loop of its first call")
        started_s = self._loop.time()
        token = self._link.send(body)
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._awaited[token] = reply
        self._loop.call_soon(self._receive)
        try:
            await asyncio.wait((reply,), timeout=timeout_s)
            if not reply.done() and wait_s and self._link.connected:
                # The server can hold a request back only if it has it.
                await asyncio.wait((reply,), timeout=wait_s)
            if not reply.done():
                self.close(Unanswered(f"no reply within {timeout_s:.3g} s"))
            return reply.result()
        except Unanswered as failure:
            parked_s = min(wait_s, self._loop.time() - started_s) if self._link.connected else 0
            raise Unanswered(str(failure), parked_s) from None
        finally:
            self._awaited.pop(token, None)

    def close(self, reason: TimerError | Unanswered) -> None:
        """Closes the sockets; tasks that wait for a reply get the reason."""
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.remove_reader(self._replies_fd)
        self._loop.remove_reader(self._monitor_fd)
        self._link.close()
        for reply in self._awaited.values():
            if not reply.done():
                reply.set_exception(reason)

    def _receive(self) -> None:
        """Takes all replies that have come in."""
        if self.is_closed or not self._link.has_replies:
            return
        for token, body in self._link.replies():
            reply = self._awaited.get(token)
            if reply is not None and not reply.done():
                reply.set_result(body)

    def _check(self) -> None:
        """Reads the monitor of the connection."""
        if not self.is_closed and self._link.check() is not None:
            self._receive()  # what came just before it was lost
            denial = self._link.denial
            self.close(Unanswered(str(self._link.failure)) if denial is None else AccessDenied(denial))


class AsyncSubscription:
    """A SUB socket. One task receives."""

    def __init__(self, socket: Socket, connect: Callable[[], Awaitable[Socket]]) -> None:
        self._socket = socket
        self._connect = connect
        self._is_closed = False
        self._stop_waiting: Callable[[], None] = _do_nothing

    async def receive(self, timeout_s: float) -> list[bytes] | None:
        """The frames of the next message; None if none comes in time. Raises `ClientClosed`."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_s
        while not self._is_closed:
            try:
                return self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                left_s = ends_s - loop.time()
            if left_s <= 0:
                return None
            await self._wait(loop, left_s)
        raise ClientClosed

    async def renew(self) -> None:
        """Connects with a new socket, which looks the server's name up again. Raises `ClientClosed`."""
        self._socket.close(0)
        self._socket = await self._connect()

    def close(self) -> None:
        """Closes the socket, and wakes the task that waits for it."""
        self._is_closed = True
        self._stop_waiting()
        self._socket.close(0)

    async def _wait(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Returns when there may be something to receive, or the socket is about to close, or after the time-out."""
        descriptor = int(self._socket.get(zmq.FD))
        woken = asyncio.Event()

        def stop_waiting() -> None:
            # Once the socket is closed another may have its descriptor, so this has to run before, and only once.
            self._stop_waiting = _do_nothing
            loop.remove_reader(descriptor)
            woken.set()

        self._stop_waiting = stop_waiting
        loop.add_reader(descriptor, stop_waiting)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await woken.wait()
        finally:
            self._stop_waiting()


def _do_nothing() -> None:
    pass
