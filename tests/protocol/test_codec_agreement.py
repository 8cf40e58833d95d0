"""The codec decodes in one step what is well formed, and request by request what is not: both say the same."""

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from protocol.requests import CODEC, MAX_BATCH, request_texts, valid_texts
from timer_protocol.codec import Failure, Ignored, Malformed, MethodCall, Parsed, Response, Result, encode

A_BROKEN_ONE = "1"
"""Beside it, every request of a batch is looked at on its own."""


def decode(text: str) -> Parsed | list[Parsed]:
    return CODEC.decode(text.encode(), MAX_BATCH)


def batch(texts: list[str]) -> list[Parsed]:
    parsed = decode("[" + ",".join(texts) + "]")
    assert isinstance(parsed, list)
    return parsed


@given(st.lists(request_texts(), min_size=1, max_size=6))
def test_batch_is_the_same_as_each_request_alone(texts: list[str]) -> None:
    assert batch(texts) == [decode(text) if not text.startswith("[") else batch([text])[0] for text in texts]


@given(st.lists(valid_texts(), min_size=1, max_size=6))
def test_valid_requests_are_read_the_same_beside_a_broken_one(texts: list[str]) -> None:
    alone = batch(texts)

    assert all(isinstance(call, MethodCall) for call in alone)
    assert batch([*texts, A_BROKEN_ONE])[:-1] == alone
    assert batch([A_BROKEN_ONE, *texts])[1:] == alone


@given(valid_texts(), st.sampled_from([" ", "\n", "\t\r\n  "]))
def test_white_space_around_a_message_changes_nothing(text: str, space: str) -> None:
    assert decode(space + text + space) == decode(text)
    assert decode(f"{space}[{space}{text}{space}]{space}") == [decode(text)]


@given(request_texts())
def test_order_of_the_members_changes_nothing(text: str) -> None:
    request = json.loads(text)
    if not isinstance(request, dict) or isinstance(request.get("params"), list | str):
        return
    backwards = dict(reversed(request.items()))

    assert decode(json.dumps(backwards)) == decode(text)


@given(request_texts())
def test_whoever_sends_an_id_can_be_answered_and_nobody_else_is_told_of_params(text: str) -> None:
    request = json.loads(text)
    parsed = batch([text])[0]
    if not isinstance(request, dict):
        assert isinstance(parsed, Malformed)
        assert parsed.id is None
    elif isinstance(parsed, MethodCall | Ignored):
        assert isinstance(parsed, Ignored) <= ("id" not in request)
        if isinstance(parsed, MethodCall):
            assert parsed.id == request.get("id", UNSET)
    elif isinstance(request.get("id"), bool | list | dict):
        assert parsed.id is None
        assert parsed.error.code == -32600
    else:
        assert parsed.id == request.get("id")


ids = st.none() | st.text() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)


@given(ids)
def test_id_goes_through_unchanged(request_id: str | float | None) -> None:
    text = json.dumps({"jsonrpc": "2.0", "method": "server.info", "id": request_id})
    parsed = decode(text)
    assert isinstance(parsed, MethodCall)
    assert parsed.id is not UNSET

    answered = json.loads(encode(Result({}, parsed.id)))

    assert (answered["id"], type(answered["id"])) == (request_id, type(request_id))


@given(request_texts())
def test_every_error_can_be_encoded_and_read_by_a_client(text: str) -> None:
    parsed = batch([text])[0]
    if isinstance(parsed, Malformed):
        response = json.loads(encode(Failure(parsed.error, parsed.id)))

        assert set(response) == {"jsonrpc", "error", "id"}
        assert response["jsonrpc"] == "2.0"
        assert Response(parsed.id, error=parsed.error).error == parsed.error
