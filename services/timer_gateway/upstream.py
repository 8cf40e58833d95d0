"""Sends requests to the timer server, in the name of a caller. All handlers use it.

What goes up is what the gateway has decoded and narrowed, encoded anew, never the bytes that came in. Requests of one
turn of the event loop travel in one message. An id or key that a request lacks is made here before the first try, so
that a try after a lost answer has no second effect.

Seams: `access.Caller` has `name`, by which what one caller uses at once is counted. Each request first passes
`narrowing.narrowed(caller, request, make_id, queue_prefix) -> Request`, which raises `timer_protocol.errors.Refusal`;
`queue_prefix` is asked for here, by `queue.get`, where the method's scope is "queue" and the caller is bound.
"""

from typing import Any, TypeVar

from msgspec import Raw

from timer_gateway.access import Caller
from timer_gateway.requests import Request

T = TypeVar("T")


class Upstream:
    """The way to the server, or to one of several."""

    async def send(self, caller: Caller, request: Request) -> Raw:
        """The result as JSON, as the server has written it.

        `wait_ms` is cut to 25 s. Raises `Refused` for what the caller may not do and for an error of the server's, and
        `Away` where no server answers in time.
        """
        raise NotImplementedError

    async def ask(self, caller: Caller, request: Request, result: type[T]) -> T:
        """The same, decoded: for handlers that look into the result."""
        raise NotImplementedError

    async def queue_prefix(self, queue: Any) -> str | None:
        """The prefix of a queue, None where there is no such queue: what `narrowing` needs for a bound caller."""
        raise NotImplementedError
