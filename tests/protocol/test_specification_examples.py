"""The examples of the JSON-RPC 2.0 specification, section 7, get the specification's own answers."""

import json
from typing import Any

import pytest
from msgspec import Struct

from timer_protocol.codec import Codec
from timer_protocol.frames import Message
from timer_protocol.limits import Limits
from timer_protocol.methods import Method
from timer_protocol.sender import EVERYBODY
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.methods import Handler
from timer_server.requests.parked import Parked
from timer_server.requests.room import ReplyRoom

ENVELOPE = [b"peer", b""]


class Subtract(Struct, forbid_unknown_fields=True, frozen=True):
    minuend: int
    subtrahend: int


class Sum(Struct, forbid_unknown_fields=True, frozen=True):
    first: int
    second: int
    third: int


class Update(Struct, forbid_unknown_fields=True, frozen=True):
    first: int
    second: int
    third: int
    fourth: int
    fifth: int


class Greeting(Struct, forbid_unknown_fields=True, frozen=True):
    value: int


class Nothing(Struct, forbid_unknown_fields=True, frozen=True):
    pass


METHODS = (
    Method("subtract", Subtract, "change", "none", int, ""),
    Method("sum", Sum, "change", "none", int, ""),
    Method("update", Update, "change", "none", int, ""),
    Method("notify_hello", Greeting, "change", "none", int, ""),
    Method("notify_sum", Sum, "change", "none", int, ""),
    Method("get_data", Nothing, None, "none", list[Any], ""),
)

PARSE_ERROR = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}
INVALID_REQUEST = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": None}


def method_not_found(request_id: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": request_id}


EXAMPLES = {
    "positional parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        {"jsonrpc": "2.0", "result": 19, "id": 1},
    ),
    "positional parameters the other way round": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        {"jsonrpc": "2.0", "result": -19, "id": 2},
    ),
    "named parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        {"jsonrpc": "2.0", "result": 19, "id": 3},
    ),
    "named parameters in another order": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        {"jsonrpc": "2.0", "result": 19, "id": 4},
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    "a notification without parameters": ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    "a method that does not exist": (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        method_not_found("1"),
    ),
    "invalid JSON": ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE_ERROR),
    "an invalid request object": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID_REQUEST),
    "a batch of invalid JSON": (
        """[
          {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
          {"jsonrpc": "2.0", "method"
        ]""",
        PARSE_ERROR,
    ),
    "an empty array": ("[]", INVALID_REQUEST),
    "an invalid batch that is not empty": ("[1]", [INVALID_REQUEST]),
    "an invalid batch": ("[1,2,3]", [INVALID_REQUEST, INVALID_REQUEST, INVALID_REQUEST]),
    "a mixed batch": (
        """[
          {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
          {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
          {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
          {"foo": "boo"},
          {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
          {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            INVALID_REQUEST,
            method_not_found("5"),
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
        ],
    ),
    "a batch of notifications": (
        """[
          {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
          {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
}


class Example:
    """A dispatcher over the specification's methods; `applied` are the calls that came through, in order."""

    def __init__(self) -> None:
        self.applied: list[object] = []
        handlers: dict[str, Handler] = {
            "subtract": self._noted(lambda params: params.minuend - params.subtrahend),
            "sum": self._noted(lambda params: params.first + params.second + params.third),
            "update": self._noted(lambda _: None),
            "notify_hello": self._noted(lambda _: None),
            "notify_sum": self._noted(lambda _: None),
            "get_data": self._noted(lambda _: ["hello", 5]),
        }
        self._dispatcher = Dispatcher(
            Codec(METHODS), handlers, Parked(), Limits(), lambda *_: "no timer is started", lambda _: None
        )

    def answer(self, request: str) -> Any:
        answer = self._dispatcher.handle(Message([*ENVELOPE, request.encode()], EVERYBODY), 0)
        if answer is None:
            return None
        *envelope, body = answer.frames()
        assert envelope == ENVELOPE
        return json.loads(body)

    def _noted(self, compute: Any) -> Handler:
        def handler(params: Any, _: int, __: ReplyRoom) -> object:
            self.applied.append(params)
            return compute(params)

        return handler


def without_data(response: Any) -> Any:
    """A response with what the specification leaves to the server taken away: `error.data`, which has to be there."""
    if isinstance(response, list):
        return [without_data(one) for one in response]
    if response is not None and "error" in response:
        error = dict(response["error"])
        assert set(error.pop("data")) >= {"name", "retryable", "reason"}
        return {**response, "error": error}
    return response


@pytest.mark.parametrize(("request_text", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_answer_is_that_of_the_specification(request_text: str, expected: Any) -> None:
    assert without_data(Example().answer(request_text)) == expected


def test_notifications_are_applied_though_nobody_is_answered() -> None:
    example = Example()

    example.answer(EXAMPLES["a batch of notifications"][0])

    assert example.applied == [Sum(1, 2, 4), Greeting(7)]


def test_valid_requests_of_a_mixed_batch_are_applied_in_order() -> None:
    example = Example()

    example.answer(EXAMPLES["a mixed batch"][0])

    assert example.applied == [Sum(1, 2, 4), Greeting(7), Subtract(42, 23), Nothing()]


def test_nothing_of_a_batch_that_is_no_json_is_applied() -> None:
    example = Example()

    example.answer(EXAMPLES["a batch of invalid JSON"][0])

    assert example.applied == []
