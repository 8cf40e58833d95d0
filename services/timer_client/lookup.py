"""Finds the address to connect to, in a thread of its own: a name service may take its time, and cannot be stopped."""

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from timer_client.ending import PROCESS
from timer_client.retry import Unanswered
from timer_protocol.addresses import UnknownHost, has_name, numbered

_log = logging.getLogger("timer_client")

EVENTS_LOOKUP_S = 5.0
"""How long the name of the events socket may take to be found; after that, events are read without being heard of."""

_ACCEPTS_WITHIN_S = 1.0
"""How long one of several addresses is given to accept a connection before the next one is tried."""


def look_up(endpoint: str) -> "Future[str]":
    """The endpoint with a number in place of a name; done at once where there is no name.

    Of several addresses it is the first that accepts a connection, or the first of all where none does. The future may
    raise `Unanswered`: a name that is unknown now may be known later, as in a network of containers.
    """
    found: Future[str] = Future()
    if not has_name(endpoint):
        found.set_result(endpoint)
        return found
    found.set_running_or_notify_cancel()  # so that nobody can cancel it
    find = partial(_find, endpoint, found)
    if PROCESS.is_ending:  # a thread might never begin
        find()
        return found
    try:
        threading.Thread(target=find, name="timer-client-lookup", daemon=True).start()
    except RuntimeError:  # Python 3.12 and later start none any more when the main thread has ended
        find()
    return found


def log_unknown(endpoint: str, unknown: Unanswered) -> None:
    """Logs that the events socket cannot be found: a stream goes on by reading events, and so is slower."""
    _log.warning("events are read every few seconds, not heard, as %s is out of reach: %s", endpoint, unknown)


def too_slow(endpoint: str, timeout_s: float) -> Unanswered:
    """The failure of a lookup that is not done in time."""
    return Unanswered(f"the name service did not answer within {timeout_s:.3g} s for {endpoint}")


def _find(endpoint: str, found: "Future[str]") -> None:
    try:
        found.set_result(_accepting(numbered(endpoint)))
    except UnknownHost as unknown:
        found.set_exception(Unanswered(str(unknown)))


def _accepting(endpoints: Sequence[str]) -> str:
    """The first endpoint that accepts a connection, or the first of all."""
    for endpoint in endpoints if len(endpoints) > 1 else ():
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]"), int(port)), _ACCEPTS_WITHIN_S).close()
            return endpoint
    return endpoints[0]
