"""The service described in OpenRPC (spec.open-rpc.org), generated from the message types."""

from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from timer_protocol import PROTOCOL, __version__
from timer_protocol.errors import TITLES, ErrorCode
from timer_protocol.messages import Event
from timer_protocol.methods import METHODS, Method

_COMMON = (
    ErrorCode.PARSE_ERROR,
    ErrorCode.INVALID_REQUEST,
    ErrorCode.INVALID_PARAMS,
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.SHUTTING_DOWN,
    ErrorCode.STORAGE_FAILED,
    ErrorCode.NOT_PERMITTED,
)


@cache
def describe() -> dict[str, Any]:
    """The OpenRPC document. It is built once, so do not change it."""
    types = [Event, *(method.params for method in METHODS), *(method.result for method in METHODS)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    results = dict(zip((method.name for method in METHODS), schemas[1 + len(METHODS) :], strict=True))
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "Timer service",
            "version": __version__,
            "description": f"Durable countdown timers over ZeroMQ, protocol {PROTOCOL}: JSON-RPC 2.0 on a ROUTER.",
            "license": {"name": "Apache-2.0"},
        },
        "methods": [
            _describe_method(method, components[method.params.__name__], results[method.name]) for method in METHODS
        ],
        "components": {"schemas": components},
    }


def _describe_method(method: Method, params: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    required = params.get("required", [])
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "either",
        "params": [
            {"name": name, "required": name in required, "schema": schema}
            for name, schema in params["properties"].items()
        ],
        "result": {"name": _result_name(method.result), "schema": result},
        "errors": [
            {"code": int(code), "message": TITLES[code], "data": {"name": code.wire_name, "retryable": code.retryable}}
            for code in (*method.errors, *(code for code in _COMMON if code not in method.errors))
        ],
    }


def _result_name(result: Any) -> str:
    return result.__name__ if isinstance(result, type) and issubclass(result, Struct) else "document"
