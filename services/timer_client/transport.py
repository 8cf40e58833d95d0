"""Sockets for threads: carries exchanges and receives events by waiting for them."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import zmq

from timer_client.errors import AccessDenied, ClientClosed, TimerError
from timer_client.keys import Keys
from timer_client.link import Context, Link, Socket, subscribed, terminate
from timer_client.retry import Unanswered
from timer_client.session import Exchange


class Transport:
    """Connections to one server, shared by any number of threads.

    Each call borrows a link of its own, so threads share no socket, and a long wait holds no other call up.
    """

    def __init__(self, context: Context | None = None, keys: Keys | None = None) -> None:
        self._context: Context = zmq.Context() if context is None else context
        self._owns_context = context is None
        self._keys = keys
        self._lock = threading.Lock()  # for the next three; never held while waiting for a socket
        self._idle: list[Link] = []
        self._subscriptions: set[Subscription] = set()
        self._closed = threading.Event()

    def carry(self, exchanges: Sequence[Exchange], endpoint: str, timeout_s: float) -> None:
        """Sends the unsettled calls of the exchanges, and has each accept its reply.

        Raises `Unanswered` for a connection that fails, or a reply that is not there after `timeout_s` and, where
        the connection stands, the time for which the server may hold it back. Raises `AccessDenied`, `ClientClosed`.
        """
        try:
            link = self._idle_link() or Link(self._context, endpoint, self._keys)
            try:
                if link.check() is not None:  # lost since it was used last
                    link.close()
                    link = Link(self._context, endpoint, self._keys)
                _converse(link, exchanges, timeout_s)
            except BaseException:
                link.close()
                raise
        except zmq.ZMQError as error:
            raise self._explain(error, endpoint) from None
        self._give_back(link)

    def subscribe(self, endpoint: str, topics: Sequence[bytes]) -> "Subscription":
        """A connection to the events socket. Raises `ClientClosed`."""
        try:
            subscription = Subscription(partial(subscribed, self._context, endpoint, topics, self._keys))
        except zmq.ZMQError as error:
            raise self._explain(error, endpoint) from None
        with self._lock:
            closed = self._closed.is_set()
            self._subscriptions.add(subscription)
        if closed:
            self.unsubscribe(subscription)
            raise ClientClosed
        return subscription

    def unsubscribe(self, subscription: "Subscription") -> None:
        """Closes a subscription."""
        with self._lock:
            self._subscriptions.discard(subscription)
        subscription.close()

    def sleep(self, pause_s: float) -> None:
        """Returns after a pause. Raises `ClientClosed` as soon as the client is closed."""
        if self._closed.wait(pause_s):
            raise ClientClosed

    def close(self) -> None:
        """Closes all connections; calls under way raise `ClientClosed`."""
        with self._lock:
            if self._closed.is_set():
                return  # ending a context in two threads at once crashes
            self._closed.set()
            idle, self._idle = self._idle, []
            subscriptions, self._subscriptions = self._subscriptions, set()
        for link in idle:
            link.close()
        for subscription in subscriptions:
            subscription.close()
        if self._owns_context:
            terminate(self._context)

    def _idle_link(self) -> Link | None:
        with self._lock:
            if self._closed.is_set():
                raise ClientClosed
            return self._idle.pop() if self._idle else None

    def _give_back(self, link: Link) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._idle.append(link)
                return
        link.close()

    def _explain(self, error: zmq.ZMQError, endpoint: str) -> TimerError:
        return ClientClosed() if self._closed.is_set() else TimerError(f"{endpoint} cannot be used: {error}")


def _converse(link: Link, exchanges: Sequence[Exchange], timeout_s: float) -> None:
    """Sends the messages of exchanges together, then waits for all the replies. Raises `Unanswered`."""
    poller = zmq.Poller()
    poller.register(link.dealer, zmq.POLLIN)
    poller.register(link.monitor, zmq.POLLIN)
    wait_s = max(exchange.wait_s for exchange in exchanges)
    started_s = time.monotonic()
    awaited = {link.send(exchange.encode()): exchange for exchange in exchanges}
    while awaited:
        elapsed_s = time.monotonic() - started_s
        # The server can hold a request back only if it has it.
        left_s = timeout_s - elapsed_s + (wait_s if link.connected else 0)
        if left_s <= 0:
            raise Unanswered(f"no reply within {timeout_s:.3g} s", wait_s if link.connected else 0)
        ready = dict(poller.poll(int(left_s * 1000) + 1))
        if link.dealer in ready:
            _accept_replies(link, awaited)
        if link.monitor in ready and link.check() is not None and awaited:
            _accept_replies(link, awaited)  # those that came just before the connection was lost
            if awaited and link.denial is not None:
                raise AccessDenied(link.denial)
            if awaited:
                raise Unanswered(str(link.failure), min(wait_s, elapsed_s) if link.connected else 0)


def _accept_replies(link: Link, awaited: dict[bytes, Exchange]) -> None:
    for token, body in link.replies():
        exchange = awaited.pop(token, None)
        if exchange is not None:
            exchange.accept(body)
        if not awaited:
            return


class Subscription:
    """A SUB socket. One thread receives; any may close it."""

    def __init__(self, connect: Callable[[], Socket]) -> None:
        self._connect = connect
        self._lock = threading.Lock()  # held while the socket is in use
        self._closing = threading.Event()
        self._socket = connect()

    def receive(self, timeout_s: float) -> list[bytes] | None:
        """The frames of the next message; None if none comes in time. Raises `ClientClosed`."""
        with self._lock:
            try:
                there_is_one = not self._closing.is_set() and self._socket.poll(int(timeout_s * 1000) + 1)
                frames = self._socket.recv_multipart() if there_is_one else None
            except zmq.ContextTerminated:
                frames = None
            if self._closing.is_set():
                self._socket.close(0)
                raise ClientClosed
            return frames

    def renew(self) -> None:
        """Connects with a new socket, which looks the server's name up again. Raises `ClientClosed`."""
        with self._lock:
            self._socket.close(0)
            try:
                self._socket = self._connect()
            except zmq.ZMQError:
                if self._closing.is_set():
                    raise ClientClosed from None
                raise

    def close(self) -> None:
        """Closes the socket now, or as soon as the thread that waits in it returns."""
        self._closing.set()
        if self._lock.acquire(blocking=False):
            self._socket.close(0)
            self._lock.release()
