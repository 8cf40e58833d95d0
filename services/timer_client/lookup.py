"""Finds the address to connect to, in a thread of its own: a name service may take its time, and cannot be stopped."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from timer_client.ending import PROCESS
from timer_client.retry import Unanswered
from timer_protocol.addresses import UnknownHost, has_name, numbered

_log = logging.getLogger("timer_client")

_EVENTS_LOOKUP_S = 5.0
"""How long the name of the events socket may take to be found; after that, events are read without being heard of."""

_ONE_OF_SEVERAL_S = 1.0
"""How long the names of several of them may take, as the others are not heard meanwhile. What is found later is taken
when a connection is tried again."""

_KEPT_S = 10.0
"""How long an outcome that nobody has waited for is kept: a server may move, and a try comes again within this."""

_ACCEPTS_WITHIN_S = 1.0
"""How long one of several addresses is given to accept a connection before the next one is tried."""


class Lookup(Future[str]):
    """The lookup of one endpoint's name. Its outcome is for all who wait for it, or else for the next who asks."""

    def __init__(self) -> None:
        super().__init__()
        self._ended_s: float | None = None
        self._is_taken = False

    @property
    def is_of_use(self) -> bool:
        """Whether somebody who asks now is to wait for it, or to take what nobody has waited for."""
        if self._ended_s is None:
            return True
        return not self._is_taken and time.monotonic() - self._ended_s < _KEPT_S

    def take(self, timeout_s: float = 0) -> str:
        """The address, at the latest after `timeout_s`. Raises `Unanswered`, `TimeoutError`."""
        self.exception(timeout_s)
        self._is_taken = True
        return self.result()

    def end(self, outcome: str | Unanswered) -> None:
        """Sets the outcome."""
        self._ended_s = time.monotonic()
        if isinstance(outcome, str):
            self.set_result(outcome)
        else:
            self.set_exception(outcome)


def look_up(endpoint: str) -> Lookup:
    """The endpoint with a number in place of a name; done at once where there is no name.

    Of several addresses it is the first that accepts a connection, or the first of all where none does. It may raise
    `Unanswered`: a name that is unknown now may be known later, as in a network of containers. A lookup that takes
    longer than a try waits for it is not begun anew by the next try, as then its outcome would never be heard.
    """
    mine = Lookup()
    if not has_name(endpoint):
        mine.end(endpoint)
        return mine
    before = _lookups.latest.get(endpoint)
    if before is not None and not before.is_of_use:
        _lookups.latest.pop(endpoint, None)
    found = _lookups.latest.setdefault(endpoint, mine)
    if found is mine:
        mine.set_running_or_notify_cancel()  # so that nobody can cancel it
        _begin(endpoint, mine)
    return found


def too_slow(endpoint: str, timeout_s: float) -> Unanswered:
    """The failure of a lookup that is not done in time."""
    return Unanswered(f"the name service did not answer within {timeout_s:.3g} s for {endpoint}")


class EventsNames:
    """Finds the addresses of events sockets. One that cannot be found is told once: streams try it again and again."""

    def __init__(self) -> None:
        self._unknown: set[str] = set()

    def begin(self, endpoints: Sequence[str], *, is_alone: bool) -> float:
        """Looks up endpoints, all at the same time. Returns how long each may take."""
        for endpoint in endpoints:
            look_up(endpoint)
        return _EVENTS_LOOKUP_S if is_alone else _ONE_OF_SEVERAL_S

    def note_found(self, endpoint: str) -> None:
        """Notes that an endpoint has an address."""
        self._unknown.discard(endpoint)

    def note_unknown(self, endpoint: str, unknown: Unanswered) -> None:
        """Notes that one has none: a stream goes on by reading events, and so is slower."""
        if endpoint not in self._unknown:
            self._unknown.add(endpoint)
            _log.warning("events are read every few seconds, not heard, as %s is out of reach: %s", endpoint, unknown)


class _Lookups:
    """The latest lookup of each endpoint."""

    def __init__(self) -> None:
        self.latest: dict[str, Lookup] = {}
        PROCESS.heirs.add(self)

    def after_fork(self) -> None:
        """Forgets those of the parent, whose threads are not here."""
        self.latest = {}


_lookups = _Lookups()


def _begin(endpoint: str, lookup: Lookup) -> None:
    find = partial(_find, endpoint, lookup)
    if PROCESS.is_ending:  # a thread might never begin
        find()
        return
    try:
        threading.Thread(target=find, name="timer-client-lookup", daemon=True).start()
    except RuntimeError as error:
        if threading.main_thread().is_alive():  # waiting here would hold an event loop up
            lookup.end(Unanswered(f"{endpoint} cannot be looked up: {error}"))
        else:  # Python 3.12 and later start none any more
            find()


def _find(endpoint: str, lookup: Lookup) -> None:
    try:
        lookup.end(_accepting(numbered(endpoint)))
    except UnknownHost as unknown:
        lookup.end(Unanswered(str(unknown)))


def _accepting(endpoints: Sequence[str]) -> str:
    """The first endpoint that accepts a connection, or the first of all."""
    for endpoint in endpoints if len(endpoints) > 1 else ():
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]"), int(port)), _ACCEPTS_WITHIN_S).close()
            return endpoint
    return endpoints[0]
