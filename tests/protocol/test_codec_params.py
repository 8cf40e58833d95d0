"""Parameters by name and by position, left out, null, and wrong; and the size of batches."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from protocol.requests import CODEC, MAX_BATCH
from timer_protocol.codec import Ignored, Malformed, MethodCall, Parsed
from timer_protocol.errors import ErrorCode
from timer_protocol.limits import LOG_ID_CHARACTERS, LOGS_MAXIMUM
from timer_protocol.messages import NULL

ABSENT = object()


def decode(method: str, params: Any = ABSENT, **members: Any) -> Parsed:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, **members}
    if params is not ABSENT:
        request["params"] = params
    parsed = CODEC.decode(json.dumps(request).encode(), MAX_BATCH)
    assert not isinstance(parsed, list)
    return parsed


def read(method: str, params: Any = ABSENT) -> dict[str, Any]:
    """The params of a call, by name."""
    parsed = decode(method, params)
    assert isinstance(parsed, MethodCall), parsed
    assert CODEC.method_of(parsed).name == method
    return {name: getattr(parsed.params, name) for name in parsed.params.__struct_fields__}


def refuse(method: str, params: Any = ABSENT) -> str:
    """The reason why the params are invalid."""
    parsed = decode(method, params)
    assert isinstance(parsed, Malformed), parsed
    assert (parsed.id, parsed.error.code) == (1, ErrorCode.INVALID_PARAMS)
    return str(parsed.error.data["reason"])


@pytest.mark.parametrize("params", [ABSENT, {}, []])
@pytest.mark.parametrize("method", ["timer.list", "server.info", "rpc.discover"])
def test_params_may_be_left_out_where_none_is_required(method: str, params: Any) -> None:
    read(method, params)


@pytest.mark.parametrize("params", [ABSENT, {}, []])
@pytest.mark.parametrize("method", ["timer.get", "timer.wait", "events.read", "timer.extend"])
def test_a_required_parameter_may_not_be_left_out(method: str, params: Any) -> None:
    assert "takes" in refuse(method, params)


def test_defaults_of_start() -> None:
    assert read("timer.start") == {
        "id": None,
        "hours": 0,
        "minutes": 0,
        "seconds": 0,
        "label": "",
        "payload": NULL,
        "at": None,
        "zone": None,
        "past": "refuse",
        "trace": UNSET,
    }


def test_defaults_of_list_and_read() -> None:
    assert read("timer.list") == {
        "prefix": "",
        "state": None,
        "after": None,
        "limit": 100,
        "states": None,
        "due_before_ms": None,
        "order": "id",
        "omit": (),
    }
    assert read("events.read", [{}]) == {"after": {}, "prefix": "", "limit": 100, "wait_ms": 0}


@pytest.mark.parametrize(
    ("method", "by_position", "by_name"),
    [
        ("timer.get", ["a"], {"id": "a"}),
        ("timer.start", ["a", 1, 2, 3], {"id": "a", "hours": 1, "minutes": 2, "seconds": 3}),
        ("timer.start", [None, 0, 0, 5, "tea"], {"seconds": 5, "label": "tea"}),
        ("timer.list", ["p", "running", "a", 7], {"prefix": "p", "state": "running", "after": "a", "limit": 7}),
        ("timer.list", ["p", None], {"prefix": "p"}),
        ("timer.extend", ["a", 0, -1, 0.5, "k"], {"id": "a", "minutes": -1, "seconds": 0.5, "key": "k"}),
        ("timer.restart", ["a"], {"id": "a"}),
        ("timer.wait", ["a", 10], {"id": "a", "wait_ms": 10}),
        ("events.read", [{"log": 3}, "p", 7, 10], {"after": {"log": 3}, "prefix": "p", "limit": 7, "wait_ms": 10}),
    ],
)
def test_position_says_the_same_as_name(method: str, by_position: list[Any], by_name: dict[str, Any]) -> None:
    assert read(method, by_position) == read(method, by_name)


def test_payload_by_position_is_passed_on_as_it_is() -> None:
    assert bytes(read("timer.start", [None, 0, 0, 5, "", {"a": [1]}])["payload"]) == b'{"a": [1]}'


@pytest.mark.parametrize(
    ("method", "params", "hint"),
    [
        ("timer.get", ["a", "b"], "at most 1 parameter, got 2"),
        ("rpc.discover", [1], "at most 0 parameters, got 1"),
        ("timer.get", [7], "params.id"),
        ("timer.get", {"id": 7}, "params.id"),
        ("timer.get", {"id": None}, "params.id"),
        ("timer.get", {"id": ""}, "params.id"),
        ("timer.get", {"id": "x" * 129}, "params.id"),
        ("timer.get", {"id": "a", "surprise": 1}, "surprise"),
        ("server.info", {"surprise": 1}, "surprise"),
        ("timer.start", {"seconds": "5"}, "params.seconds"),
        ("timer.start", {"seconds": True}, "params.seconds"),
        ("timer.start", {"seconds": None}, "params.seconds"),
        ("timer.start", {"hours": -1}, "params.hours"),
        ("timer.start", {"hours": -0.5}, "params.hours"),
        ("timer.start", {"label": "x" * 257}, "params.label"),
        ("timer.list", {"state": "ended"}, "params.state"),
        ("timer.list", {"limit": 0}, "params.limit"),
        ("timer.list", {"limit": 1001}, "params.limit"),
        ("timer.list", {"limit": 1.5}, "params.limit"),
        ("timer.list", {"prefix": "x" * 129}, "params.prefix"),
        ("timer.extend", {"id": "a", "key": ""}, "params.key"),
        ("timer.extend", {"id": "a", "key": "x" * 129}, "params.key"),
        ("timer.wait", {"id": "a"}, "wait_ms"),
        ("timer.wait", {"id": "a", "wait_ms": -1}, "params.wait_ms"),
        ("timer.wait", {"id": "a", "wait_ms": 3_600_001}, "params.wait_ms"),
        ("events.read", {"after": 17}, '{"<log>": 17}'),
        ("events.read", {"after": {"log": -1}}, "params.after"),
        ("events.read", {"after": {"log": 2**63}}, "params.after"),
        ("events.read", {"after": {"log": None}}, "params.after"),
        ("events.read", {"after": {"": 1}}, "params.after"),
        ("events.read", {"after": {"x" * (LOG_ID_CHARACTERS + 1): 1}}, "params.after"),
        ("events.read", {"after": {str(number): 1 for number in range(LOGS_MAXIMUM + 1)}}, "params.after"),
    ],
)
def test_wrong_params_are_refused_with_a_hint_where(method: str, params: Any, hint: str) -> None:
    assert hint in refuse(method, params)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("timer.start", {"id": "x" * 128, "label": "é" * 256, "seconds": 0.001}),
        ("timer.extend", {"id": "a", "hours": -1, "key": "x" * 128}),
        ("timer.list", {"limit": 1000, "after": None, "state": None}),
        ("timer.list", {"limit": 1}),
        ("timer.wait", {"id": "a", "wait_ms": 3_600_000}),
        ("events.read", {"after": {"x" * LOG_ID_CHARACTERS: 2**63 - 1}}),
        ("events.read", {"after": {str(number): 0 for number in range(LOGS_MAXIMUM)}}),
    ],
)
def test_params_at_their_limits_are_taken(method: str, params: dict[str, Any]) -> None:
    assert params.items() <= read(method, params).items()


@pytest.mark.parametrize("params", [None, 7, "bar", True])
def test_params_that_are_no_list_and_no_object_make_no_request(params: Any) -> None:
    parsed = decode("timer.list", params)

    assert isinstance(parsed, Malformed)
    assert (parsed.id, parsed.error.code) == (1, ErrorCode.INVALID_REQUEST)


@pytest.mark.parametrize("members", [{"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None}, {"method": None}])
def test_request_of_another_version_or_without_a_method_is_refused_with_its_id(members: dict[str, Any]) -> None:
    parsed = CODEC.decode(
        json.dumps({"jsonrpc": "2.0", "id": "mine", "method": "server.info", **members}).encode(), MAX_BATCH
    )

    assert isinstance(parsed, Malformed)
    assert (parsed.id, parsed.error.code) == ("mine", ErrorCode.INVALID_REQUEST)


def test_unknown_method_is_told_which_there_are() -> None:
    parsed = decode("timer.stop")

    assert isinstance(parsed, Malformed)
    assert parsed.error.code == ErrorCode.METHOD_NOT_FOUND
    assert "timer.cancel" in parsed.error.data["methods"]


@pytest.mark.parametrize(("method", "params"), [("timer.stop", {}), ("timer.get", {"id": 7}), ("timer.get", ["a", 1])])
def test_a_notification_that_cannot_be_applied_is_ignored(method: str, params: Any) -> None:
    request = json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()

    assert CODEC.decode(request, MAX_BATCH) == Ignored()


def test_a_request_without_an_id_is_a_notification_and_one_with_null_is_not() -> None:
    without = CODEC.decode(b'{"jsonrpc":"2.0","method":"server.info"}', MAX_BATCH)
    null = CODEC.decode(b'{"jsonrpc":"2.0","method":"server.info","id":null}', MAX_BATCH)

    assert isinstance(without, MethodCall)
    assert isinstance(null, MethodCall)
    assert (without.id, null.id) == (UNSET, None)


INFO = '{"jsonrpc":"2.0","method":"server.info","id":1}'


@pytest.mark.parametrize("element", [INFO, "1"], ids=["valid", "invalid"])
def test_batch_of_as_many_as_allowed_is_read(element: str) -> None:
    parsed = CODEC.decode(f"[{','.join([element] * MAX_BATCH)}]".encode(), MAX_BATCH)

    assert isinstance(parsed, list)
    assert len(parsed) == MAX_BATCH


@pytest.mark.parametrize("element", [INFO, "1"], ids=["valid", "invalid"])
def test_batch_of_one_more_is_refused_as_a_whole(element: str) -> None:
    parsed = CODEC.decode(f"[{','.join([element] * (MAX_BATCH + 1))}]".encode(), MAX_BATCH)

    assert isinstance(parsed, Malformed)
    assert (parsed.id, parsed.error.code) == (None, ErrorCode.LIMIT_REACHED)
    assert parsed.error.data["limit"] == "max_batch"
    assert parsed.error.data["maximum"] == MAX_BATCH


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"[\n]"])
def test_empty_batch_is_an_invalid_request(body: bytes) -> None:
    parsed = CODEC.decode(body, MAX_BATCH)

    assert isinstance(parsed, Malformed)
    assert (parsed.id, parsed.error.code) == (None, ErrorCode.INVALID_REQUEST)
