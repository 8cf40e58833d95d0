"""What a stream is asked for, and what of that its caller may have."""

from typing import Final, NamedTuple, get_args

from starlette.requests import Request

from timer_client.cursor import NOW
from timer_gateway.callers import Caller
from timer_gateway.narrowing import narrowed_prefix
from timer_gateway.reading import invalid
from timer_gateway.requests import Refused
from timer_gateway.streams.cursors import Positions, read_cursor
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import ID_CHARACTERS
from timer_protocol.messages import EventKind

_KINDS: Final = get_args(EventKind)
_QUERY: Final = frozenset({"prefix", "after"})


class StreamRequest(NamedTuple):
    """The events whose topics begin with `prefix`, after a cursor; None is the end of the logs.

    `is_lost` says that a cursor was given which cannot be read.
    """

    prefix: str
    after: Positions | None = None
    is_lost: bool = False


def stream_request(http: Request, caller: Caller) -> StreamRequest:
    """What a request for a stream asks for, as far as its caller may have it. Raises `Refused`.

    A browser that comes back has the old address, but says in `Last-Event-ID` how far it was: that counts.
    """
    items = http.query_params.multi_items()
    given = dict(items)
    if len(given) < len(items) or not given.keys() <= _QUERY:
        raise invalid("the query of a stream takes prefix? and after?, each once")
    try:
        prefix = _allowed(caller, given.get("prefix", ""))
    except Refusal as refusal:
        raise Refused.by(refusal) from None
    text = http.headers.get("last-event-id") or given.get("after") or NOW
    after = None if text == NOW else read_cursor(text)
    return StreamRequest(prefix, after, is_lost=after is None and text != NOW)


def _allowed(caller: Caller, prefix: str) -> str:
    """The part of a prefix of topics that a caller may have. Raises `Refusal`."""
    id_prefix, space, kind = prefix.partition(" ")
    if len(id_prefix) > ID_CHARACTERS:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"the prefix of an id has at most {ID_CHARACTERS} characters")
    if not any(known.startswith(kind) for known in _KINDS):
        reason = f"after an id and a space the prefix has a kind of event, one of {', '.join(_KINDS)}; not {kind!r}"
        raise Refusal(ErrorCode.INVALID_PARAMS, reason)
    allowed = narrowed_prefix(caller, id_prefix)
    if not space:
        return allowed
    if allowed != id_prefix:
        reason = f"{id_prefix!r} does not begin with {allowed!r}, which is all that {caller.credential} is good for"
        raise Refusal(ErrorCode.NOT_PERMITTED, reason, prefix=allowed)
    return prefix
