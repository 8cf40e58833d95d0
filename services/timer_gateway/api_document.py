"""The gateway described in OpenAPI 3.1, made of the types of the protocol, so that it cannot differ from what is read.

Params of a GET are query parameters; others are the body, but for the id, which is in the query, and the key, which is
in a header.
"""

from functools import cache
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from timer_gateway.limits import BATCH_REQUESTS, BODY_BYTES, WAIT_MS
from timer_gateway.problems import MEANINGS, MEDIA_TYPE
from timer_gateway.reading import KEY_HEADER, TRACE_HEADERS, takes_trace
from timer_gateway.session_route import Login, Who
from timer_gateway.timers import ACTIONS, NOT_REPEATABLE, ONE
from timer_protocol import PROTOCOL, __version__
from timer_protocol.errors import RpcError
from timer_protocol.messages import Event, TimerPage
from timer_protocol.methods import METHODS, Method

Document = dict[str, Any]


class ProblemDetails(Struct):
    """What was wrong (RFC 9457). `type` leads to what the kind of problem means; other members depend on that."""

    type: str
    title: str
    status: int
    detail: str


class CursorPage(TimerPage, frozen=True, omit_defaults=True, kw_only=True):
    """A page of timers, and the `cursor` from before it: /events?after=CURSOR goes on from there, without a gap."""

    cursor: str


class RpcAnswer(Struct, omit_defaults=True):
    """The answer to one request: `result` or `error`."""

    jsonrpc: Literal["2.0"]
    id: str | int | float | None
    result: Any = None
    error: RpcError | None = None


_TYPES: Final = (Event, ProblemDetails, CursorPage, RpcAnswer, Login, Who)
_SCHEMAS: Final = "#/components/schemas/"
_FOR_EVERYBODY: Final[list[Document]] = [{}]
_BY_METHOD = {method.name: method for method in METHODS}


@cache
def describe() -> Document:
    """The OpenAPI document. It is built once, so do not change it."""
    types = [*_TYPES, *(method.params for method in METHODS), *(method.result for method in METHODS)]
    _, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    components |= {_call_name(method): _call_schema(method) for method in METHODS}
    components["Call"] = _call_of_any()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Timer service",
            "version": __version__,
            "summary": f"Durable countdown timers over HTTP: {PROTOCOL} as JSON-RPC, paths for curl, and events",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {"cookie": []}, *_FOR_EVERYBODY],
        "paths": _paths(components),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "From `timer-gateway token`."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "timer_session"},
            },
            "responses": {
                "Problem": {"description": "It could not be done.", "content": {MEDIA_TYPE: _schema("ProblemDetails")}}
            },
        },
        "x-problems": MEANINGS,
    }


def _paths(components: Document) -> Document:
    return {
        "/rpc": {"post": _rpc()},
        "/timer": {verb.lower(): _one(verb, method, components) for verb, method in ONE.items()},
        "/timer/wait": {"get": _reading(_BY_METHOD["timer.wait"], "Timer", components)},
        **{f"/timer/{action}": {"post": _change(method, components)} for action, method in ACTIONS.items()},
        "/timers": {"get": _reading(_BY_METHOD["timer.list"], "CursorPage", components)},
        "/events": {"get": _events()},
        "/session": _session(),
        "/metrics": {"get": _operation("The gateway's metrics for Prometheus.", "text/plain", {"type": "string"})},
        "/healthz": {"get": _probe("Whether the gateway lives.")},
        "/readyz": {"get": _probe("Whether a timer server answers the gateway.")},
        "/openapi.json": {"get": _open(_operation("This document.", "application/json", {"type": "object"}))},
        "/api": {"get": _open(_operation("This document, for people.", "text/html", {"type": "string"}))},
    }


_TRACE_HEADER: Document = {"type": "string", "description": "As in W3C Trace Context, unless the body has a `trace`."}


def _one(verb: str, method: Method, components: Document) -> Document:
    return _reading(method, "Timer", components) if verb == "GET" else _change(method, components)


def _reading(method: Method, result: str, components: Document) -> Document:
    """A GET whose query has all params."""
    schema = components[method.params.__name__]
    required = schema.get("required", [])
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": member,
            **({"explode": False} if _is_several(member) else {}),
        }
        for name, member in schema["properties"].items()
    ]
    about = {"description": f"`wait_ms` is cut to {WAIT_MS}."} if "wait_ms" in schema["properties"] else {}
    return {**_operation(method.summary, "application/json", _ref(result)), **about, "parameters": parameters}


def _change(method: Method, components: Document) -> Document:
    """A change: its id is in the query, its key in a header, and what else there is in the body."""
    members = dict(components[method.params.__name__]["properties"])
    parameters = [{"name": "id", "in": "query", "required": True, "schema": members.pop("id")}]
    if "key" in members:
        is_needed = method.name.rpartition(".")[2] in NOT_REPEATABLE
        parameters.append({"name": KEY_HEADER, "in": "header", "required": is_needed, "schema": members.pop("key")})
    if takes_trace(method):
        parameters += [
            {"name": name, "in": "header", "required": False, "schema": _TRACE_HEADER} for name in TRACE_HEADERS
        ]
    operation = {**_operation(method.summary, "application/json", _ref("Timer")), "parameters": parameters}
    if members:
        body = {"type": "object", "properties": members, "additionalProperties": False}
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


def _rpc() -> Document:
    answers = {"oneOf": [_ref("RpcAnswer"), {"type": "array", "items": _ref("RpcAnswer")}]}
    calls = {"type": "array", "items": _ref("Call"), "minItems": 1, "maxItems": BATCH_REQUESTS}
    operation = _operation("One request or a batch of them, as JSON-RPC 2.0.", "application/json", answers)
    operation["requestBody"] = {
        "required": True,
        "description": f"At most {BODY_BYTES} bytes.",
        "content": {"application/json": {"schema": {"oneOf": [_ref("Call"), calls]}}},
    }
    operation["responses"]["204"] = {"description": "Applied: all were notifications, which have no answer."}
    return operation


def _events() -> Document:
    text = {"type": "string"}
    operation = _operation("Events as they happen (server-sent events).", "text/event-stream", text)
    operation["description"] = (
        "The data of a message is an event (the schema Event), and its id the cursor after it. Others are named: beat"
        " (every 5 s, with the clocks of the logs), away (no server answers), truncated (events are gone). It is"
        " answered with 200 also while the server is away, as any other status ends an EventSource for good."
    )
    operation["parameters"] = [
        {"name": name, "in": place, "required": False, "schema": {"type": "string", "description": about}}
        for name, place, about in (
            ("prefix", "query", "Only ids that begin so."),
            ("after", "query", "A cursor, such as that of GET /timers; what comes from now on without one."),
            ("Last-Event-ID", "header", "The same, as a browser sends it; it goes before `after`."),
        )
    ]
    return operation


def _session() -> Document:
    begin = _operation("Begin a session of the page: the answer sets its cookie.", "application/json", _ref("Who"))
    begin["requestBody"] = {"required": True, "content": {"application/json": _schema("Login")}}
    return {
        "get": _open(_operation("As whom the page acts.", "application/json", _ref("Who"))),
        "post": _open(begin),
        "delete": _open({"summary": "End it.", "responses": {"204": {"description": "It has ended."}, **_problems()}}),
    }


def _probe(summary: str) -> Document:
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    return _open(_operation(summary, "application/json", status))


def _operation(summary: str, media_type: str, schema: Document) -> Document:
    answer = {"description": "Done.", "content": {media_type: {"schema": schema}}}
    return {"summary": summary, "responses": {"200": answer, **_problems()}}


def _open(operation: Document) -> Document:
    """The operation, which needs no token."""
    return {**operation, "security": _FOR_EVERYBODY}


def _problems() -> Document:
    return {"default": {"$ref": "#/components/responses/Problem"}}


def _call_of_any() -> Document:
    mapping = {method.name: _SCHEMAS + _call_name(method) for method in METHODS}
    return {
        "oneOf": [_ref(_call_name(method)) for method in METHODS],
        "discriminator": {"propertyName": "method", "mapping": mapping},
    }


def _call_schema(method: Method) -> Document:
    required = ["jsonrpc", "method"]
    if any(field.required for field in msgspec.structs.fields(method.params)):
        required.append("params")
    return {
        "type": "object",
        "description": method.summary,
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["string", "number", "null"]},
            "method": {"const": method.name},
            "params": _ref(method.params.__name__),
        },
        "required": required,
    }


def _call_name(method: Method) -> str:
    return "".join(part.title().replace("_", "") for part in method.name.split(".")) + "Call"


def _is_several(schema: Document) -> bool:
    """Whether a query separates values of a parameter by commas."""
    return schema.get("type") == "array" or any(each.get("type") == "array" for each in schema.get("anyOf", ()))


def _ref(name: str) -> Document:
    return {"$ref": _SCHEMAS + name}


def _schema(name: str) -> Document:
    return {"schema": _ref(name)}
