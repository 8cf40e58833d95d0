"""Sockets for threads: carries exchanges and receives events by waiting for them."""

import socket
import threading
from collections.abc import Sequence
from concurrent import futures
from functools import partial
from typing import Any

import zmq

from timer_client.ending import PROCESS
from timer_client.errors import ClientClosed, LocalFailure, TimerError
from timer_client.keys import Keys
from timer_client.link import Context, Link, Socket, all_subscribed
from timer_client.lookup import EventsNames, look_up, too_slow
from timer_client.retry import Patience, Unanswered
from timer_client.rota import Rota
from timer_client.session import Exchange
from timer_client.shared_link import SharedLink
from timer_client.subscription import Subscription


class Transport:
    """Connections shared by any number of threads, and made anew in a forked process.

    All threads ask one server at a time, over one link, so there may be as many as the system bears. A link on which
    something has failed is used for nothing new, and closed when the last thread has left it.
    """

    def __init__(self, servers: Sequence[str], context: Context | None = None, keys: Keys | None = None) -> None:
        self._rota = Rota(servers)
        self._events_names = EventsNames()
        self._given_context = context
        self._keys = keys
        self._process = PROCESS
        self._is_inherited = False
        self._subscriptions: set[Subscription] = set()
        self._begin()
        self._process.heirs.add(self)

    def carry(self, exchanges: Sequence[Exchange], patience: Patience) -> str:
        """Sends the unsettled calls of the exchanges, and has each accept its reply. Returns the server's endpoint.

        Raises `Unanswered` for a connection that fails, or a reply that is not there after the time that `patience`
        has and, where the connection stands, the time for which the server may hold it back; the next server is asked
        after that. Raises `AccessDenied`, `ClientClosed`.
        """
        endpoint, timeout_s = self._rota.current, patience.attempt_timeout_s()
        try:
            link = self._usable_link() or self._connected(endpoint, patience.connect_timeout_s(timeout_s))
            endpoint = link.endpoint
            try:
                link.converse(exchanges, timeout_s)
            except BaseException:
                link.retire()
                raise
            finally:
                self._look_after(link)
        except (zmq.ZMQError, OSError) as error:
            raise self._explain(error, endpoint) from None
        except Unanswered as failure:
            failure.endpoint = endpoint
            self.leave(endpoint)
            raise
        return endpoint

    def leave(self, endpoint: str) -> None:
        """Asks the next server from now on, where there are several and none has left this one before."""
        with self._lock:
            self._rota.leave(endpoint)
            link = self._link
            if link is not None and link.endpoint != self._rota.current:
                link.retire()
                self._look_after(link)

    def subscribe(self, endpoints: Sequence[str], topics: Sequence[bytes]) -> Subscription:
        """Connections to the events sockets. Raises `ClientClosed`."""
        subscription = Subscription(endpoints, partial(self._subscribed, topics))
        with self._lock:
            self._subscriptions.add(subscription)
            closed = self._closed.is_set()
        if closed:
            self.unsubscribe(subscription)
            raise ClientClosed
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Closes a subscription."""
        if self._process.is_ending:
            return
        subscription.close()
        with self._lock:
            self._subscriptions.discard(subscription)
            closed = self._closed.is_set()
        if closed:
            self._terminate_if_unused()

    def sleep(self, pause_s: float) -> None:
        """Returns after a pause. Raises `ClientClosed` as soon as the client is closed."""
        if self._closed.wait(pause_s):
            raise ClientClosed

    def close(self) -> None:
        """Closes all connections; calls under way raise `ClientClosed`, and close what they use."""
        if self._process.is_ending:
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            self._ended.set_result(None)
            if self._closing is not None:
                self._closing[0].send(b"x")  # and nobody takes it out again
            links, subscriptions = [*self._links], [*self._subscriptions]
        for link in links:
            link.end()
        for subscription in subscriptions:
            subscription.close()
        self._terminate_if_unused()

    def after_fork(self) -> None:
        """Lets go of everything that is the parent's. Streams of events go on where they were."""
        subscriptions, closed = self._subscriptions, self._closed.is_set()
        self._begin()
        self._is_inherited = True
        if closed:
            self._closed.set()
            self._ended.set_result(None)
        for subscription in subscriptions:
            subscription.after_fork()
            self._subscriptions.add(subscription)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # for what follows; a destructor may close the client at any instant
        self._closed = threading.Event()
        self._ended: futures.Future[None] = futures.Future()
        """Done when the client is closed, for those who wait for another future."""
        self._closing: tuple[socket.socket, socket.socket] | None = None
        """The second becomes readable when the client is closed."""
        self._context: Context | None = None
        self._link: SharedLink | None = None
        """The one for new requests."""
        self._links: set[SharedLink] = set()
        self._subscriptions = set()

    def _usable_link(self) -> SharedLink | None:
        with self._lock:
            if self._closed.is_set():
                raise ClientClosed
            return self._link if self._link is not None and self._link.is_usable() else None

    def _connected(self, endpoint: str, connect_s: float) -> SharedLink:
        """A new link, or one that another thread has made meanwhile."""
        address = self._address(endpoint, connect_s)
        with self._lock:
            link = self._usable_link()
            if link is None:
                made = Link(self._own_context(), address, self._keys)
                before, link = self._link, SharedLink(made, endpoint, connect_s)
                self._links.add(link)
                self._link = link
                if before is not None:
                    before.retire()
                    self._look_after(before)
            return link

    def _subscribed(
        self, topics: Sequence[bytes], endpoints: Sequence[str], *, is_alone: bool
    ) -> tuple[list[Socket], int]:
        """A SUB socket for each endpoint; where an address is not found, it is connected to nothing."""
        limit_s = self._events_names.begin(endpoints, is_alone=is_alone)
        addresses = [self._events_address(endpoint, limit_s) for endpoint in endpoints]
        with self._lock:
            if self._closed.is_set():
                raise ClientClosed
            context = self._own_context()
            try:
                if self._closing is None:
                    self._closing = socket.socketpair()
                sockets = all_subscribed(context, addresses, topics, self._keys)
            except (zmq.ZMQError, OSError) as error:
                raise self._explain(error, ",".join(endpoints)) from None
            return sockets, self._closing[1].fileno()

    def _events_address(self, endpoint: str, limit_s: float) -> str | None:
        try:
            address = self._address(endpoint, limit_s)
        except Unanswered as unknown:
            self._events_names.note_unknown(endpoint, unknown)
            return None
        self._events_names.note_found(endpoint)
        return address

    def _own_context(self) -> Context:
        if self._given_context is not None and self._is_inherited:
            raise TimerError("a client with a given context cannot be used after a fork: make one in the child")
        if self._context is None:
            self._context = zmq.Context() if self._given_context is None else self._given_context
        return self._context

    def _look_after(self, link: SharedLink) -> None:
        """Forgets a link that is closed."""
        if link.is_closed:
            with self._lock:
                self._links.discard(link)
            if self._closed.is_set():
                self._terminate_if_unused()

    def _terminate_if_unused(self) -> None:
        """Ends the context of a closed client once all sockets are closed, and so without waiting."""
        with self._lock:
            self._links = {link for link in self._links if not link.is_closed}
            self._subscriptions = {one for one in self._subscriptions if not one.is_closed}
            if self._links or self._subscriptions:
                return
            context, self._context = self._context, None
            closing, self._closing = self._closing, None
        for end in closing or ():
            end.close()
        if context is not None and self._given_context is None:
            context.term()

    def _explain(self, error: zmq.ZMQError | OSError, endpoint: str) -> TimerError:
        return ClientClosed() if self._closed.is_set() else LocalFailure(endpoint, error.strerror or str(error))

    def _address(self, endpoint: str, timeout_s: float) -> str:
        """The address of an endpoint. Raises `Unanswered`, `ClientClosed`."""
        lookup = look_up(endpoint)
        if not lookup.done():
            either: tuple[futures.Future[Any], ...] = (lookup, self._ended)
            futures.wait(either, timeout_s, futures.FIRST_COMPLETED)
            if self._closed.is_set():
                raise ClientClosed
        try:
            return lookup.take()
        except TimeoutError:
            raise too_slow(endpoint, timeout_s) from None
