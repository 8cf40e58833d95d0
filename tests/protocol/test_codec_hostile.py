"""Whatever bytes come in, the codec says something about them, and never raises."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.requests import CODEC, MAX_BATCH, request_texts
from timer_protocol.codec import Ignored, Malformed, MethodCall, Parsed, encode
from timer_protocol.errors import ErrorCode
from timer_protocol.limits import REQUEST_ID_CHARACTERS

DEEP = 100_000

PARSE_ERROR = ErrorCode.PARSE_ERROR
INVALID_REQUEST = ErrorCode.INVALID_REQUEST
INVALID_PARAMS = ErrorCode.INVALID_PARAMS


def decode(body: bytes) -> Parsed | list[Parsed]:
    return CODEC.decode(body, MAX_BATCH)


def start(payload: bytes = b"1", label: bytes = b'""', seconds: bytes = b"5", request_id: bytes = b"1") -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":'
        + request_id
        + b',"method":"timer.start","params":{"seconds":'
        + seconds
        # The rest of the request.
        + b',"label":'
        + label
        + b',"payload":'
        + payload
        + b"}}"
    )


def code_of(parsed: Parsed | list[Parsed]) -> ErrorCode:
    assert isinstance(parsed, Malformed), parsed
    return ErrorCode(parsed.error.code)


@given(st.binary(max_size=200))
@example(b"")
@example(b" ")
@example(b"\0")
@example(b"[")
@example(b"[" * DEEP)
@example(b'{"a":' * DEEP)
@example(b"\xff\xfe{\0}\0")
def test_any_bytes(body: bytes) -> None:
    parsed = decode(body)

    assert isinstance(parsed, MethodCall | Malformed | Ignored | list)
    if isinstance(parsed, Malformed):
        encode(parsed.error)


@given(request_texts(), st.data())
def test_any_request_cut_or_with_a_byte_changed(text: str, data: st.DataObject) -> None:
    body = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        if not body:
            break
        position = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            body[position] = data.draw(st.integers(0, 255))
        else:
            del body[position:]
    for whole in (bytes(body), b"[" + bytes(body) + b"]", b"[1," + bytes(body) + b"]"):
        decode(whole)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_gets_a_response(value: object) -> None:
    parsed = decode(json.dumps(value).encode())

    if isinstance(value, list) and 0 < len(value) <= MAX_BATCH:
        assert [code_of(item) for item in parsed] == [INVALID_REQUEST] * len(value)  # type: ignore[union-attr]
    elif not isinstance(value, list):
        assert code_of(parsed) is INVALID_REQUEST


BROKEN = {
    "nested too deep in the payload": start(payload=b"[" * DEEP + b"]" * DEEP),
    "nested too deep as a batch": b"[" * DEEP + b"]" * DEEP,
    "nested too deep and cut off": b"[" * DEEP,
    "objects nested too deep": b'{"params":' * DEEP,
    "NaN": start(payload=b"NaN"),
    "Infinity": start(payload=b"[-Infinity]"),
    "NaN for an id": start(request_id=b"NaN"),
    "a leading zero": start(payload=b"01"),
    "a bare fraction": start(payload=b".5"),
    "a bare exponent": start(payload=b"1e"),
    "invalid UTF-8 in the payload": start(payload=b'"\xff"'),
    "invalid UTF-8 in the label": start(label=b'"\xc3"'),
    "UTF-8 that is too long in the payload": start(payload=b'"\xc0\xaf"'),
    "a surrogate in UTF-8 in the payload": start(payload=b'"\xed\xa0\x80"'),
    "half a surrogate pair in the payload": start(payload=b'"\\ud800"'),
    "half a surrogate pair in a key": start(payload=b'{"\\ud800":1}'),
    "half a surrogate pair in the label": start(label=b'"\\udc00x"'),
    "a control character in the payload": start(payload=b'"\n"'),
    "an unknown escape in the payload": start(payload=b'"\\q"'),
    "a byte order mark": b"\xef\xbb\xbf" + start(),
    "UTF-16": start().decode().encode("utf-16"),
    "something after the end": start() + b"x",
    "two messages": start() + start(),
    "a single quote": start(payload=b"'x'"),
    "a comment": start(payload=b"1/**/"),
    "a trailing comma": b"[" + start() + b",]",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    assert code_of(decode(body)) is PARSE_ERROR


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_one_broken_request_makes_the_whole_batch_a_parse_error(body: bytes) -> None:
    assert code_of(decode(b"[1," + body + b"]")) is PARSE_ERROR


NUMBERS = [b"1" * 10_000, b"-" + b"9" * 10_000, b"1e999", b"-1e999", b"1" * 400 + b"." + b"1" * 10_000 + b"e99999"]


@pytest.mark.parametrize("number", NUMBERS, ids=["long", "long negative", "1e999", "-1e999", "all"])
def test_number_out_of_range_is_refused_where_a_number_is_read(number: bytes) -> None:
    assert code_of(decode(start(seconds=number))) is INVALID_PARAMS
    assert code_of(decode(start(request_id=number))) is INVALID_REQUEST


DUPLICATES = {
    "method": b'{"jsonrpc":"2.0","id":1,"method":"timer.get","method":"timer.pause","params":{"id":"x"}}',
    "id": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"timer.get","params":{"id":"x"}}',
    "params": b'{"jsonrpc":"2.0","id":1,"method":"timer.get","params":{"id":"x"},"params":{"id":"y"}}',
    "params of another method": b'{"jsonrpc":"2.0","id":1,"params":7,"method":"timer.get","params":{"id":"y"}}',
    "jsonrpc": b'{"jsonrpc":"2.0","jsonrpc":"1.0","id":1,"method":"timer.get","params":{"id":"x"}}',
    "a name in params": b'{"jsonrpc":"2.0","id":1,"method":"timer.get","params":{"id":"x","id":"y"}}',
    "a bad one first": b'{"jsonrpc":"2.0","id":1,"method":7,"method":"timer.get","params":{"id":"x"}}',
}


@pytest.mark.parametrize("body", DUPLICATES.values(), ids=DUPLICATES.keys())
def test_names_given_twice_are_read_the_same_alone_and_in_a_batch(body: bytes) -> None:
    alone = decode(body)

    assert decode(b"[" + body + b"]") == [alone]
    assert decode(b"[" + body + b",1]")[0] == alone  # type: ignore[index]


def test_of_names_given_twice_the_last_one_counts() -> None:
    parsed = decode(DUPLICATES["method"])

    assert isinstance(parsed, MethodCall)
    assert CODEC.method_of(parsed).name == "timer.pause"


@pytest.mark.parametrize("request_id", ['"line\\n"', '"Line"', '"line"', '"\\u0000"', "1e5", "-0", "1.0", "null"])
def test_ids_that_look_alike_are_told_apart(request_id: str) -> None:
    parsed = decode(start(request_id=request_id.encode()))

    assert isinstance(parsed, MethodCall)
    assert parsed.id == json.loads(request_id)
    assert type(parsed.id) is type(json.loads(request_id))


@pytest.mark.parametrize("request_id", [b"true", b"false", b"[]", b"{}", b"[1]", b'{"a":1}'])
def test_id_of_any_other_type_is_refused(request_id: bytes) -> None:
    parsed = decode(start(request_id=request_id))

    assert isinstance(parsed, Malformed)
    assert (parsed.id, parsed.error.code) == (None, INVALID_REQUEST)


def test_an_id_of_too_many_characters_is_refused() -> None:
    longest = "é" * REQUEST_ID_CHARACTERS
    at_the_limit = decode(start(request_id=json.dumps(longest).encode()))
    beyond = decode(start(request_id=json.dumps(longest + "x").encode()))

    assert isinstance(at_the_limit, MethodCall)
    assert at_the_limit.id == longest
    assert isinstance(beyond, Malformed)
    assert (beyond.id, beyond.error.code) == (None, INVALID_REQUEST)
    assert f"at most {REQUEST_ID_CHARACTERS} characters" in beyond.error.data["reason"]


def test_payload_is_passed_on_byte_for_byte() -> None:
    payload = b'{ "a" : 1.50, "a":[1e2 ,"\\u00e9\xc3\xa9"] }'
    parsed = decode(start(payload=payload))

    assert isinstance(parsed, MethodCall)
    assert bytes(parsed.params.payload) == payload


def test_reason_shows_only_the_beginning_of_a_long_method() -> None:
    parsed = decode(b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 100_000 + b'"}')

    assert isinstance(parsed, Malformed)
    assert len(parsed.error.data["reason"]) < 300
