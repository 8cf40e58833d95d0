"""Narrows a request to what its caller may do, by the protocol's own table of rights and prefixes."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from timer_gateway.callers import Caller
from timer_gateway.requests import METHOD_BY_NAME, Request
from timer_protocol.messages import ReadEventsParams
from timer_protocol.rights import narrow


class _Unasked(Enum):
    UNASKED = 0


UNASKED: Final = _Unasked.UNASKED
"""In place of a queue's prefix: nobody has looked it up, so that a bound caller may not touch the queue."""

_READ_EVENTS: Final = METHOD_BY_NAME["events.read"]


def needs_queue_prefix(caller: Caller, request: Request) -> bool:
    """Whether the prefix of the queue that a request names has to be looked up before the request is narrowed."""
    return bool(caller.prefix) and request.method.scope == "queue"


def narrowed(
    caller: Caller,
    request: Request,
    make_id: Callable[[str], str],
    queue_prefix: str | _Unasked | None = UNASKED,
) -> Request:
    """The request as its caller may make it. Raises `Refusal` (not_permitted).

    `make_id` makes an id that begins with a prefix. `queue_prefix` is that of the queue that the request names, None
    where there is no such queue: to name one that is not there touches nothing. A method that is not in the table is
    refused.
    """
    method = request.method
    declared = method if METHOD_BY_NAME.get(method.name) is method else None
    known = None if queue_prefix is UNASKED else caller.prefix if queue_prefix is None else queue_prefix
    params = narrow(declared, request.params, caller, make_id, known)
    return request if params is request.params else Request(method, params)


def narrowed_prefix(caller: Caller, prefix: str) -> str:
    """What the ids begin with whose events a caller gets who asked for those below `prefix`. Raises `Refusal`."""
    asked = ReadEventsParams({}, prefix)
    return narrow(_READ_EVENTS, asked, caller, str, None).prefix
