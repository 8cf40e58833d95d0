"""What one request, and all requests of one caller, may take of the gateway."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from starlette.requests import ClientDisconnect, Request

from timer_gateway.problems import Problem
from timer_protocol.errors import limit_reached

BODY_BYTES: Final = 1_048_576
"""A request's body: as much as a server takes in one message by default."""

HEAD_BYTES: Final = 16_384
"""The lines of a request before its body."""

SENDING_LIMIT_S: Final = 10.0
"""How long a peer may take to send a request's head, and its body: slower ones hold a connection for nothing."""

TAKING_LIMIT_S: Final = 60.0
"""How long a peer may take nothing of an answer that waits for it. Streams are cut earlier, and told to come again."""

CONNECTIONS: Final = 4_000
"""Connections at once, streams among them, or as many as the limit of open files has room for. More are closed."""

RESERVED_DESCRIPTORS: Final = 100
"""Open files besides connections: those to several servers, and what libraries open for a moment."""

BATCH_REQUESTS: Final = 1_000
"""Requests in one body: as many as a server takes by default."""

REQUESTS_A_SECOND: Final = 1_000
"""Of one caller; each of a batch counts."""

REQUESTS_AT_ONCE: Final = 2_000
"""Of one caller after a pause. At least a full batch, which could never be answered otherwise."""

WAITS: Final = 64
"""Requests of one caller that the server holds back until something happens."""

WAIT_MS: Final = 25_000
"""The longest that a request is held back: proxies cut those off that say nothing for half a minute."""

ANSWER_LIMIT_S: Final = 5.0
"""How long the server is tried before it counts as away, beside the time that a request is held back."""


class Rate:
    """Requests a second of each caller: a bucket that fills evenly, and is emptied by requests."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at_s: dict[str, float] = {}
        """When each caller's bucket is full again. There are no more callers than tokens."""

    def spend(self, caller: str, requests: int = 1) -> None:
        """Counts requests of a caller. Raises `Problem` (429), and counts none, where they are too many."""
        now_s = self._clock()
        full_at_s = max(self._full_at_s.get(caller, now_s), now_s) + requests / REQUESTS_A_SECOND
        over_s = full_at_s - now_s - REQUESTS_AT_ONCE / REQUESTS_A_SECOND
        if over_s > 0:
            raise Problem(
                429,
                "too_many_requests",
                "Too many requests",
                f"one caller may make {REQUESTS_A_SECOND} requests a second, and {REQUESTS_AT_ONCE} after a pause",
                headers={"Retry-After": str(ceil(over_s))},
                maximum=REQUESTS_A_SECOND,
            )
        self._full_at_s[caller] = full_at_s


class Waits:
    """Requests that are held back, by caller."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def one_of(self, caller: str) -> Iterator[None]:
        """Counts one while the block runs. Raises `Refusal` (limit_reached) where there are too many."""
        if self._held[caller] >= WAITS:
            what = f"{WAITS} requests of this caller wait already, each for {WAIT_MS // 1000} s at most"
            raise limit_reached("waits", WAITS, what, scope="key", later=True)
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]


async def body_of(request: Request, most_bytes: int = BODY_BYTES) -> bytes:
    """The body of a request. Raises `Problem`: 413 for one that is too large, at once where its head says so; 408."""
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told) > most_bytes:
        raise _too_large(most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(SENDING_LIMIT_S):
            async for part in request.stream():
                body += part
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise Problem(
            408,
            "too_slow",
            "Request time-out",
            f"the body was not there after {SENDING_LIMIT_S:g} s",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Problem(400, "incomplete", "Incomplete request", "the body ended before its end") from None
    return bytes(body)


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413,
        "too_large",
        "Request too large",
        f"a body may have at most {most_bytes} bytes",
        headers={"Connection": "close"},  # what is left of it is not read
        maximum=most_bytes,
    )
