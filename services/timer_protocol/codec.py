"""JSON-RPC 2.0 (jsonrpc.org/specification) over a table of methods: bodies to typed calls, results to bodies.

A message is decoded into typed requests in one step. Where that fails, each request is decoded by itself, to say what
is wrong with it and to save the others of its batch.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Union, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from timer_protocol.errors import ErrorCode, Refusal, RpcError, limit_reached
from timer_protocol.limits import REQUEST_ID_CHARACTERS
from timer_protocol.methods import Method
from timer_protocol.plurals import counted

RequestId = int | float | Annotated[str, Meta(max_length=REQUEST_ID_CHARACTERS)] | None


class MethodCall(Struct, gc=False):
    """A request for a method. Each method has a subclass with the type of its `params`; without an `id` it is a
    notification."""

    jsonrpc: Literal["2.0"]
    id: RequestId | UnsetType = UNSET
    params: Any = None


class Malformed(Struct):
    """A request that is answered with an error instead of being applied.

    `method` is the one that it calls, empty where that cannot be read or there is no such method.
    """

    id: RequestId
    error: RpcError
    method: str = ""


class Ignored(Struct):
    """A notification that cannot be applied, and so gets no answer."""


class Result(Struct, tag_field="jsonrpc", tag="2.0", gc=False):
    """A response that succeeded."""

    result: Any
    id: RequestId


class Failure(Struct, tag_field="jsonrpc", tag="2.0", gc=False):
    """A response that failed."""

    error: RpcError
    id: RequestId


class Response(Struct, gc=False):
    """A response as a client reads it: one of `result` and `error` is set."""

    id: RequestId
    result: Raw | UnsetType = UNSET
    error: RpcError | UnsetType = UNSET


Parsed = MethodCall | Malformed | Ignored


class _Outline(Struct):
    """A request of which only is known that it is an object."""

    jsonrpc: Any = None
    method: Any = None
    params: Raw = Raw(b"{}")
    id: Any = UNSET


encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
"""A message as JSON."""

_outline = msgspec.json.Decoder(_Outline)
_raw_list = msgspec.json.Decoder(list[Raw])
_PARAMETER = re.compile(r"`params\.(\w+)")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class Codec:
    """Decodes request bodies for a table of methods."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._methods = {method.name: method for method in methods}
        self._params = {name: msgspec.json.Decoder(method.params) for name, method in self._methods.items()}
        self._calls = {name: _call_type(method) for name, method in self._methods.items()}
        self._method_of = {call: self._methods[name] for name, call in self._calls.items()}
        one: Any = Union[tuple(self._calls.values())]  # noqa: UP007 - built at run time
        self._one = msgspec.json.Decoder(one)
        self._batch: msgspec.json.Decoder[list[MethodCall]] = msgspec.json.Decoder(list[one])

    def method_of(self, call: MethodCall) -> Method:
        """The method that is called."""
        return self._method_of[type(call)]

    def call_type(self, method: str) -> type[MethodCall]:
        """The type of the calls of a method."""
        return self._calls[method]

    def params_of(self, method: str, params: bytes) -> Any:
        """The params of a method from JSON that a server has written. Raises an error of msgspec's."""
        return self._params[method].decode(params)

    def decode(self, body: bytes, max_batch: int) -> Parsed | list[Parsed]:
        """A single request as one item, a batch as a list of at least one.

        Never raises for what a peer sent: a request that cannot be read becomes `Malformed`.
        """
        try:
            if not body.isascii():
                body.decode()  # parts that are passed through undecoded must be UTF-8 as well
            if body.lstrip()[:1] == b"[":
                calls = self._batch.decode(body)
                if not calls or len(calls) > max_batch:
                    return _refused_batch(len(calls), max_batch)
                return calls  # type: ignore[return-value]  # list[MethodCall] is read, never written
            return self._one.decode(body)  # type: ignore[no-any-return]
        except _UNREADABLE:
            return self._diagnose(body, max_batch)

    def _diagnose(self, body: bytes, max_batch: int) -> Parsed | list[Parsed]:
        """Says what is wrong with a body that did not decode, request by request."""
        try:
            body.decode()
            if body.lstrip()[:1] != b"[":
                return self._diagnose_one(body)
            elements = _raw_list.decode(body)
        except _UNREADABLE as error:
            return _malformed(None, ErrorCode.PARSE_ERROR, f"the body is not JSON in UTF-8: {error}")
        if not elements or len(elements) > max_batch:
            return _refused_batch(len(elements), max_batch)
        return [self._diagnose_one(bytes(element)) for element in elements]

    def _diagnose_one(self, raw: bytes) -> Parsed:
        """Decodes one request by itself. Raises an error of msgspec's where `raw` is not JSON."""
        try:
            outline = _outline.decode(raw)
        except msgspec.ValidationError as error:
            return _malformed(None, ErrorCode.INVALID_REQUEST, f"a request is an object with an id: {error}")
        request_id, reason = _examine(outline)
        if reason is not None:
            return _malformed(request_id, ErrorCode.INVALID_REQUEST, reason)
        try:
            call = self._read(outline.method, bytes(outline.params))
        except Refusal as refusal:
            method = outline.method if outline.method in self._methods else ""
            return Ignored() if outline.id is UNSET else Malformed(request_id, refusal.to_error(), method)
        call.id = outline.id
        return call

    def _read(self, name: str, params: bytes) -> MethodCall:
        """The call of a method by name, given its params as JSON. Raises `Refusal`."""
        method = self._methods.get(name)
        if method is None:
            raise Refusal(
                ErrorCode.METHOD_NOT_FOUND,
                f"there is no method {name[:64]!r}; rpc.discover describes those there are",
                methods=sorted(self._methods),
            )
        if params[:1] == b"[":
            params = _name_positions(params, method)
        try:
            return self._calls[name]("2.0", params=self._params[name].decode(params))
        except _UNREADABLE as error:
            where = str(error).replace("`$.", "`params.").replace("`$`", "`params`")
            where += _meaning(where, method)
            raise Refusal(ErrorCode.INVALID_PARAMS, f"{where} ({name} takes {_names(method)})") from None


def _call_type(method: Method) -> type[MethodCall]:
    """The subclass of `MethodCall` for a method. Params may be left out where none of them is required."""
    default = msgspec.NODEFAULT if _required(method.params) else method.params()
    params = msgspec.field(default_factory=lambda: default) if default is not msgspec.NODEFAULT else msgspec.NODEFAULT
    call: Any = msgspec.defstruct(
        "".join(part.title() for part in method.name.split(".")) + "MethodCall",
        [("params", method.params, params)],
        bases=(MethodCall,),
        tag_field="method",
        tag=method.name,
        kw_only=True,
        gc=False,
    )
    return call  # type: ignore[no-any-return]


def _required(params: type[Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(params) if field.required]


def _names(method: Method) -> str:
    names = [
        field.encode_name if field.required else f"{field.encode_name}?"
        for field in msgspec.structs.fields(method.params)
    ]
    return ", ".join(names) if names else "no parameters"


def _meaning(where: str, method: Method) -> str:
    """The description of the parameter that an error is about, if its type has one."""
    named = _PARAMETER.search(where)
    kind = get_type_hints(method.params, include_extras=True).get(named[1]) if named else None
    return "".join(f": {meta.description}" for meta in getattr(kind, "__metadata__", ()) if meta.description)


def _examine(outline: _Outline) -> tuple[RequestId, str | None]:
    """The id of a request, if it can be read, and what is wrong with the request, if anything is."""
    request_id = None if outline.id is UNSET else outline.id
    if isinstance(request_id, bool) or not isinstance(request_id, int | float | str | None):
        return None, "id must be a string, a number or null"
    if isinstance(request_id, str) and len(request_id) > REQUEST_ID_CHARACTERS:
        return None, f"id may have at most {REQUEST_ID_CHARACTERS} characters, this one has {len(request_id)}"
    if outline.jsonrpc != "2.0":
        return request_id, 'jsonrpc must be "2.0"'
    if not isinstance(outline.method, str):
        return request_id, "method must be a string"
    if bytes(outline.params)[:1] not in (b"{", b"["):
        return request_id, "params must be an object or an array"
    return request_id, None


def _name_positions(params: bytes, method: Method) -> bytes:
    """Positional params as named ones, in the order in which the method declares them. Raises `Refusal`."""
    values = _raw_list.decode(params)
    names = [field.encode_name for field in msgspec.structs.fields(method.params)]
    if len(values) > len(names):
        most = counted(len(names), "parameter")
        raise Refusal(ErrorCode.INVALID_PARAMS, f"{method.name} takes at most {most}, got {len(values)}")
    return encode(dict(zip(names, values, strict=False)))


def _malformed(request_id: RequestId, code: ErrorCode, reason: str) -> Malformed:
    return Malformed(request_id, Refusal(code, reason).to_error())


def _refused_batch(length: int, max_batch: int) -> Malformed:
    if length == 0:
        return _malformed(None, ErrorCode.INVALID_REQUEST, "a batch needs at least one request")
    refusal = limit_reached("max_batch", max_batch, f"the batch has {counted(length, 'request')}")
    return Malformed(None, refusal.to_error())
