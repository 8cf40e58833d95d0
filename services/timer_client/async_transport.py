"""Sockets for asyncio: carries exchanges and receives events on the event loop.

The loop watches the sockets' file descriptors, so the same `Link` serves threads and tasks; it has to be a loop that
can watch descriptors (not Windows' proactor). ZeroMQ signals a descriptor once for any number of messages, so a woken
task has to take all there are, and look again after sending.
"""

import asyncio
import contextlib
import functools
from collections.abc import Iterator, Sequence

import zmq

from timer_client.async_subscription import AsyncSubscription
from timer_client.ending import PROCESS
from timer_client.errors import AccessDenied, ClientClosed, LocalFailure, TimerError
from timer_client.keys import Keys
from timer_client.link import Context, Link, Socket, all_subscribed
from timer_client.lookup import EventsNames, Lookup, look_up, too_slow
from timer_client.retry import Patience, Unanswered
from timer_client.rota import Rota
from timer_client.session import Exchange

MESSAGES_IN_FLIGHT = 16
"""Messages that keep a server busy. More would wait in its queue, where their time-out already runs."""


class AsyncTransport:
    """Connections on the event loop of the first call, and in the process of that.

    All tasks ask one server at a time, over one link.
    """

    def __init__(self, servers: Sequence[str], context: Context | None = None, keys: Keys | None = None) -> None:
        self._rota = Rota(servers)
        self._events_names = EventsNames()
        self._given_context = context
        self._context = context
        self._keys = keys
        self._is_used = context is not None
        self._process = PROCESS
        self.is_inherited = False
        """Whether it is the copy of one that was used before a fork. An event loop does not survive that."""
        self._process.heirs.add(self)
        self._link: _AsyncLink | None = None
        """The one for new requests."""
        self._left: set[_AsyncLink] = set()
        """Those over which nothing new is asked."""
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

    async def carry(self, exchange: Exchange, patience: Patience) -> str:
        """Sends the unsettled calls of the exchange, and has it accept the reply. Returns the server's endpoint.

        Raises `Unanswered` for a connection that fails, or a reply that is not there after the time that `patience`
        has and, where the connection stands, the time for which the server may hold it back; the next server is asked
        after that. Raises `ClientClosed`.
        """
        self.use()
        if exchange.wait_s:  # the server may hold it back, so it takes none of the places
            return await self._carry(exchange, patience)
        if self._slots.locked():
            timeout_s = patience.attempt_timeout_s()
            try:
                await asyncio.wait_for(self._slots.acquire(), timeout_s)
            except TimeoutError:
                reason = f"no earlier request was answered within {timeout_s:.3g} s"
                raise Unanswered(reason, endpoint=self._rota.current) from None
        else:
            await self._slots.acquire()
        try:
            return await self._carry(exchange, patience)
        finally:
            self._slots.release()

    def leave(self, endpoint: str) -> None:
        """Asks the next server from now on, where there are several and none has left this one before."""
        self._rota.leave(endpoint)
        link = self._link
        if link is not None and link.endpoint != self._rota.current:
            self._link = None
            link.retire()
            if not link.is_closed:
                self._left.add(link)

    async def subscribe(self, endpoints: Sequence[str], topics: Sequence[bytes]) -> AsyncSubscription:
        """Connections to the events sockets. Raises `ClientClosed`."""
        self.use()
        subscription = AsyncSubscription(functools.partial(self._subscribed, topics))
        self._subscriptions.add(subscription)
        try:
            await subscription.listen_to(endpoints)
        except BaseException:
            self.unsubscribe(subscription)
            raise
        return subscription

    def unsubscribe(self, subscription: AsyncSubscription) -> None:
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
        for link in (self._link, *self._left):
            if link is not None:
                link.close(ClientClosed())
        while self._subscriptions:
            self._subscriptions.pop().close()
        if self._context is not None and self._given_context is None:
            self._context.term()  # returns at once, as all its sockets are closed and none lingers

    async def _carry(self, exchange: Exchange, patience: Patience) -> str:
        endpoint, timeout_s = self._rota.current, patience.attempt_timeout_s()
        try:
            link = self._usable_link() or await self._connected(endpoint, patience.connect_timeout_s(timeout_s))
            endpoint = link.endpoint
            exchange.accept(await link.request(exchange.encode(), timeout_s, exchange.wait_s))
        except Unanswered as failure:
            failure.endpoint = endpoint
            self.leave(endpoint)
            raise
        return endpoint

    async def _connected(self, endpoint: str, connect_s: float) -> "_AsyncLink":
        """A new link, or one that another task has made meanwhile."""
        address = await self._address(endpoint, connect_s)
        link = self._usable_link()
        if link is None:
            with _explained(endpoint):
                made = Link(self._own_context(), address, self._keys)
                link = self._link = _AsyncLink(made, endpoint, connect_s)
                self._left = {left for left in self._left if not left.is_closed}
        return link

    def _usable_link(self) -> "_AsyncLink | None":
        if self._closed.is_set():
            raise ClientClosed
        return None if self._link is None or self._link.is_closed else self._link

    async def _subscribed(self, topics: Sequence[bytes], endpoints: Sequence[str], *, is_alone: bool) -> list[Socket]:
        """A SUB socket for each endpoint; where an address is not found, it is connected to nothing."""
        limit_s = self._events_names.begin(endpoints, is_alone=is_alone)
        addresses = [await self._events_address(endpoint, limit_s) for endpoint in endpoints]
        if self._closed.is_set():
            raise ClientClosed
        with _explained(",".join(endpoints)):
            return all_subscribed(self._own_context(), addresses, topics, self._keys)

    async def _events_address(self, endpoint: str, limit_s: float) -> str | None:
        try:
            address = await self._address(endpoint, limit_s)
        except Unanswered as unknown:
            self._events_names.note_unknown(endpoint, unknown)
            return None
        self._events_names.note_found(endpoint)
        return address

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
    """A link whose replies wake the tasks that wait for them. When it fails, all of them get the reason.

    `connect_s` is how long a task waits for the connection.
    """

    def __init__(self, link: Link, endpoint: str, connect_s: float) -> None:
        self.endpoint = endpoint
        """The server's, as the settings have it."""
        self._connect_s = connect_s
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._awaited: dict[bytes, asyncio.Future[bytes]] = {}
        self._replies_fd = int(self._link.dealer.get(zmq.FD))
        self._monitor_fd = int(self._link.monitor.get(zmq.FD))
        self._is_retired = False
        self.is_closed = False
        self._loop.add_reader(self._replies_fd, self._receive)
        self._loop.add_reader(self._monitor_fd, self._check)
        self._loop.call_soon(self._check)  # a descriptor signals nothing until its socket was found empty once

    async def request(self, body: bytes, timeout_s: float, wait_s: float) -> bytes:
        """The reply to a request. Raises `Unanswered`, `ClientClosed`."""
        if asyncio.get_running_loop() is not self._loop:
            raise TimerError("an asynchronous client belongs to the event loop of its first call")
        started_s = self._loop.time()
        due_s = timeout_s if self._link.connected else min(timeout_s, self._connect_s)
        token = self._link.send(body)
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._awaited[token] = reply
        self._loop.call_soon(self._receive)
        try:
            await asyncio.wait((reply,), timeout=due_s)
            if not reply.done() and self._link.connected and (due_s < timeout_s or wait_s):
                # The server can hold a request back only if it has it.
                await asyncio.wait((reply,), timeout=timeout_s - due_s + wait_s)
                due_s = timeout_s
            if not reply.done():
                self.close(Unanswered(f"no reply within {due_s:.3g} s"))
            return reply.result()
        except Unanswered as failure:
            parked_s = min(wait_s, self._loop.time() - started_s) if self._link.connected else 0
            raise Unanswered(str(failure), parked_s) from None
        finally:
            self._awaited.pop(token, None)
            if reply.done() and not reply.cancelled():
                reply.exception()  # the task may have been cancelled just before the link failed
            if self._is_retired:
                self.retire()

    def retire(self) -> None:
        """Closes the sockets when nobody waits for a reply any more."""
        self._is_retired = True
        if not self._awaited:
            self.close(ClientClosed())

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
        while not self.is_closed and self._link.has_replies:
            received = self._link.receive()
            reply = None if received is None else self._awaited.get(received[0])
            if received is not None and reply is not None and not reply.done():
                reply.set_result(received[1])

    def _check(self) -> None:
        """Reads the monitor of the connection."""
        if not self.is_closed and self._link.check() is not None:
            self._receive()  # what came just before it was lost
            denial = self._link.denial
            self.close(Unanswered(str(self._link.failure)) if denial is None else AccessDenied(denial))
