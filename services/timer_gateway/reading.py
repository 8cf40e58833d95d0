"""Reads params of the protocol from query parameters, headers and bodies. What is wrong is told as the server would."""

from typing import Final

import msgspec
from msgspec import Raw
from starlette.requests import Request as HttpRequest

from timer_gateway.limits import body_of
from timer_gateway.requests import Refused, Request
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.methods import Method
from timer_protocol.traces import Trace, fault_in

KEY_HEADER: Final = "Idempotency-Key"

TRACE_HEADERS: Final = ("traceparent", "tracestate")
"""The headers of W3C Trace Context, in place of a start's `trace`."""

_SEQUENCES = frozenset({"states", "omit"})
"""Params with several values, which a query separates by commas."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_members = msgspec.json.Decoder(dict[str, Raw])


def invalid(reason: str) -> Refused:
    """The error for params that cannot be used."""
    return Refused.by(Refusal(ErrorCode.INVALID_PARAMS, reason))


def from_query(method: Method, http: HttpRequest) -> Request:
    """A request whose params are all in the query. Raises `Refused`."""
    given: dict[str, object] = dict(_query_of(http))
    for name in _SEQUENCES.intersection(given):
        given[name] = str(given[name]).split(",")
    try:
        return Request(method, msgspec.convert(given, method.params, strict=False))
    except msgspec.ValidationError as error:
        raise invalid(_told(error, method)) from None


async def from_body(method: Method, http: HttpRequest) -> Request:
    """A request whose id is in the query, whose key or trace is in headers, and whose other params are in the body.

    Raises `Refused` and `Problem`.
    """
    members = await _body_of(http)
    _put(members, "id", id_of(http))
    key = http.headers.get(KEY_HEADER)
    if key is not None and _takes_key(method):
        _put(members, "key", key.removeprefix('"').removesuffix('"'))
    if "trace" not in members and takes_trace(method) and (trace := _trace_of(http)) is not None:
        members["trace"] = Raw(msgspec.json.encode(trace))
    try:
        return Request(method, msgspec.json.decode(msgspec.json.encode(members), type=method.params))
    except _UNREADABLE as error:
        raise invalid(_told(error, method)) from None


def id_of(http: HttpRequest) -> str:
    """The id in the query, which has nothing else. Raises `Refused`."""
    given = _query_of(http)
    timer_id = given.pop("id", None)
    if timer_id is None:
        raise invalid("the query has to name the timer, such as ?id=order/42")
    if given:
        raise invalid(f"the query takes id alone, not {min(given)}: what else there is to say stands in the body")
    return timer_id


def _query_of(http: HttpRequest) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, text in http.query_params.multi_items():
        if name in given:
            raise invalid(f"the query names {name} twice")
        given[name] = text
    return given


async def _body_of(http: HttpRequest) -> dict[str, Raw]:
    body = await body_of(http)
    if not body.strip():
        return {}
    try:
        if not body.isascii():
            body.decode()  # a payload is passed on undecoded
        return _members.decode(body)
    except _UNREADABLE as error:
        raise invalid(f"the body has to be a JSON object in UTF-8, or empty: {error}") from None


def _put(members: dict[str, Raw], name: str, value: str) -> None:
    """Puts a member from outside the body. Raises `Refused` where the body has another."""
    encoded = msgspec.json.encode(value)
    if name in members and bytes(members[name]) != encoded:
        place = "the query" if name == "id" else KEY_HEADER
        raise invalid(f"the body has another {name} than {place}: leave it out there")
    members[name] = Raw(encoded)


def takes_trace(method: Method) -> bool:
    """Whether the trace of a request may come in headers."""
    return "trace" in method.params.__struct_fields__


def _trace_of(http: HttpRequest) -> Trace | None:
    """The trace in the headers. A bad one counts as none: proxies put them there, so the caller could not mend it."""
    parents, states = map(http.headers.getlist, TRACE_HEADERS)
    if len(parents) != 1:
        return None
    parent_only = Trace(parents[0].strip())
    if fault_in(parent_only) is not None:
        return None
    trace = Trace(parent_only.traceparent, ",".join(states))
    return trace if fault_in(trace) is None else parent_only


def _takes_key(method: Method) -> bool:
    return "key" in method.params.__struct_fields__


def _told(error: Exception, method: Method) -> str:
    """What is wrong with params, and which ones there are."""
    names = ", ".join(
        field.encode_name if field.required else f"{field.encode_name}?"
        for field in msgspec.structs.fields(method.params)
    )
    where = str(error).replace("`$.", "`").replace(" - at `$`", "")
    return f"{where} ({method.name} takes {names})"
