"""Ids that the server makes, for timers whose request has none, for logs, and for itself."""

import secrets
from collections.abc import Callable
from itertools import count
from uuid import UUID, uuid4

from timer_protocol.ids import ENTROPY_BITS, uuid7

_LOG_ID_BYTES = 8

_KEY_BYTES = 12


def new_id(now_ms: int) -> str:
    """A unique id for a timer, which sorts by the time it was made."""
    return uuid7(now_ms, secrets.randbits(ENTROPY_BITS))


def new_log_id() -> str:
    """An id for a log: 64 random bits as 11 characters of URL-safe base64.

    None begins with a dash: receipts and cursors begin with it, and a command line would take them for options.
    """
    while (log_id := secrets.token_urlsafe(_LOG_ID_BYTES)).startswith("-"):
        pass
    return log_id


def key_maker() -> Callable[[], str]:
    """What makes keys for changes and takes whose requests have none: 96 random bits of this run, and a number each."""
    run, numbers = secrets.token_urlsafe(_KEY_BYTES), count()
    return lambda: f"{run}{next(numbers)}"


def new_incarnation() -> UUID:
    """An id for this run of the server, by which it owns shards."""
    return uuid4()
