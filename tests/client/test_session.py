"""Exchanges and batches: which calls are done, and which are to be sent again. No sockets."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.fake_server import LOG, answered, refusing, refusing_some, timer
from timer_client import BadReply, IdConflict, LimitReached, ServerError, TimerNotFound, calls
from timer_client.session import BYTES_PER_MESSAGE, CALLS_PER_MESSAGE, Batches, Exchange
from timer_protocol.errors import ErrorCode
from timer_protocol.messages import ServerInfo, Timer


def _gets(count: int) -> list[Any]:
    return [calls.get(f"t{number}") for number in range(count)]


def _requests(exchange: Exchange) -> Any:
    return msgspec.json.decode(exchange.encode())


def test_one_call_is_a_request() -> None:
    assert _requests(Exchange([calls.get("a")])) == {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "timer.get",
        "params": {"id": "a"},
    }


def test_several_calls_are_a_batch_in_their_order() -> None:
    requests = _requests(Exchange(_gets(3)))
    assert [(request["id"], request["params"]["id"]) for request in requests] == [(0, "t0"), (1, "t1"), (2, "t2")]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_results_come_in_the_order_of_the_calls(count: int) -> None:
    exchange = Exchange(_gets(count))
    exchange.accept(answered(exchange.encode()))
    assert [outcome.id for outcome in exchange.outcomes] == [f"t{number}" for number in range(count)]
    assert not exchange.unsettled


def test_results_of_several_types_are_told_apart() -> None:
    exchange = Exchange([calls.info(), calls.get("a"), calls.read_events({LOG: 7})])
    exchange.accept(answered(exchange.encode()))
    info, got, page = exchange.outcomes
    assert isinstance(info, ServerInfo)
    assert isinstance(got, Timer)
    assert page.next == {LOG: 7}


def test_responses_may_come_in_any_order() -> None:
    exchange = Exchange(_gets(4))
    responses = msgspec.json.decode(answered(exchange.encode()))
    exchange.accept(msgspec.json.encode(responses[::-1]))
    assert [outcome.id for outcome in exchange.outcomes] == ["t0", "t1", "t2", "t3"]


def test_an_error_is_the_outcome_of_its_call_alone() -> None:
    exchange = Exchange(_gets(3))
    exchange.accept(refusing_some({1}, ErrorCode.TIMER_NOT_FOUND)(exchange.encode()))
    assert [type(outcome) for outcome in exchange.outcomes] == [Timer, TimerNotFound, Timer]
    assert not exchange.unsettled


def test_only_what_may_pass_is_sent_again() -> None:
    exchange = Exchange(_gets(4))
    exchange.accept(refusing_some({1, 3}, ErrorCode.SHUTTING_DOWN)(exchange.encode()))
    assert exchange.unsettled
    assert "SHUTTING_DOWN" in exchange.reason
    assert [request["id"] for request in _requests(exchange)] == [1, 3]
    exchange.accept(answered(exchange.encode()))
    assert [outcome.id for outcome in exchange.outcomes] == ["t0", "t1", "t2", "t3"]
    assert not exchange.unsettled


def test_what_found_no_room_in_the_reply_is_sent_again() -> None:
    exchange = Exchange(_gets(3))
    exchange.accept(refusing_some({1, 2}, ErrorCode.LIMIT_REACHED, limit="reply_bytes")(exchange.encode()))
    assert [request["id"] for request in _requests(exchange)] == [1, 2]
    exchange.accept(refusing_some({1}, ErrorCode.LIMIT_REACHED, limit="reply_bytes")(exchange.encode()))
    exchange.accept(refusing(ErrorCode.LIMIT_REACHED, limit="reply_bytes")(exchange.encode()))
    assert [type(outcome) for outcome in exchange.outcomes] == [Timer, Timer, LimitReached]
    assert not exchange.unsettled


def test_given_up_calls_get_the_error_and_others_keep_their_outcome() -> None:
    exchange = Exchange(_gets(2))
    exchange.accept(refusing_some({1}, ErrorCode.SHUTTING_DOWN)(exchange.encode()))
    error = BadReply("enough")
    exchange.give_up(error)
    assert isinstance(exchange.outcomes[0], Timer)
    assert exchange.outcomes[1] is error
    assert not exchange.unsettled


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[" * 5000,
        b"7",
        b'{"id":0}',
        b'{"id":0,"result":{"id":7}}',
        b'{"id":0,"error":{"code":"x"}}',
        b'{"id":5,"result":null}',
        b"[]",
    ],
)
def test_what_is_no_reply_is_a_bad_reply(body: bytes) -> None:
    exchange = Exchange([calls.get("a")])
    exchange.accept(body)
    assert isinstance(exchange.outcomes[0], BadReply)
    assert not exchange.unsettled


def test_a_call_that_the_reply_leaves_out_has_a_bad_reply() -> None:
    exchange = Exchange(_gets(2))
    exchange.accept(msgspec.json.encode([{"jsonrpc": "2.0", "id": 0, "result": timer()}]))
    assert [type(outcome) for outcome in exchange.outcomes] == [Timer, BadReply]


def test_an_error_without_id_answers_all_calls() -> None:
    exchange = Exchange(_gets(2))
    exchange.accept(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request","data":{}}}')
    assert [outcome.code for outcome in exchange.outcomes] == [-32600, -32600]


def test_a_retryable_error_without_id_leaves_all_calls_outstanding() -> None:
    exchange = Exchange(_gets(2))
    exchange.accept(
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"m","data":{"retryable":true,"reason":"soon"}}}'
    )
    assert exchange.unsettled
    assert exchange.reason == "soon"
    assert len(_requests(exchange)) == 2


def test_errors_tell_what_the_server_told() -> None:
    exchange = Exchange([calls.get("a")])
    exchange.accept(refusing(ErrorCode.ID_CONFLICT, state="fired")(exchange.encode()))
    (error,) = exchange.outcomes
    assert isinstance(error, IdConflict)
    assert (error.code, error.name, error.retryable, error.data["state"]) == (-32002, "id_conflict", False, "fired")
    assert str(error) == "refused: ID_CONFLICT"


def test_an_error_that_is_not_known_is_still_a_server_error() -> None:
    exchange = Exchange([calls.get("a")])
    exchange.accept(b'{"jsonrpc":"2.0","id":0,"error":{"code":-32099,"message":"new","data":{}}}')
    (error,) = exchange.outcomes
    assert type(error) is ServerError
    assert (error.name, error.retryable, str(error)) == ("unknown", False, "new")


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_a_call_is_sent_until_its_first_lasting_answer(postponed: list[int]) -> None:
    """Each call is refused for a while so and so many times, and then answered: it is sent once more than that."""
    exchange = Exchange(_gets(len(postponed)))
    sent = [0] * len(postponed)
    while exchange.unsettled:
        decoded = _requests(exchange)
        places = [request["id"] for request in (decoded if isinstance(decoded, list) else [decoded])]
        later = {position for position, place in enumerate(places) if sent[place] < postponed[place]}
        for place in places:
            sent[place] += 1
        exchange.accept(refusing_some(later, ErrorCode.SHUTTING_DOWN)(exchange.encode()))
    assert sent == [times + 1 for times in postponed]
    assert all(isinstance(outcome, Timer) for outcome in exchange.outcomes)


def test_batches_are_cut_by_number() -> None:
    batches = list(Batches().cut(_gets(2 * CALLS_PER_MESSAGE + 1)))
    assert [len(batch) for batch in batches] == [CALLS_PER_MESSAGE, CALLS_PER_MESSAGE, 1]
    assert [call for batch in batches for call in batch] == _gets(2 * CALLS_PER_MESSAGE + 1)


def test_batches_are_cut_by_size() -> None:
    large = calls.start(1, id="a", payload="x" * (BYTES_PER_MESSAGE // 2))
    too_large = calls.start(1, id="b", payload="x" * (2 * BYTES_PER_MESSAGE))
    batches = list(Batches().cut([large, large, too_large, large]))
    assert [len(batch) for batch in batches] == [1, 1, 1, 1]
    small = calls.start(1, id="c")
    assert [len(batch) for batch in Batches().cut([large, small, small, large])] == [3, 1]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=300))
def test_the_size_of_a_message_is_never_underestimated(sizes: list[int]) -> None:
    for batch in Batches().cut([calls.start(1, id="x" * 128, payload="x" * (size * 100)) for size in sizes[:40]]):
        assert len(batch) == 1 or len(Exchange(batch).encode()) <= BYTES_PER_MESSAGE


def _too_large(exchange: Exchange, limit: str, maximum: object) -> None:
    reason = {"name": "limit_reached", "retryable": False, "reason": "too much", "limit": limit, "maximum": maximum}
    error = {"code": int(ErrorCode.LIMIT_REACHED), "message": "Limit reached", "data": reason}
    exchange.accept(msgspec.json.encode({"jsonrpc": "2.0", "error": error, "id": None}))


def test_a_server_that_takes_fewer_calls_gets_fewer() -> None:
    batches = Batches()
    exchange = Exchange(_gets(50))
    _too_large(exchange, "max_batch", 20)
    assert not exchange.unsettled
    assert [len(batch) for batch in batches.cut_smaller(exchange)] == [20, 20, 10]
    assert [len(batch) for batch in batches.cut(_gets(30))] == [20, 10]


@pytest.mark.parametrize("maximum", [50, 1000, "many", None])
def test_a_limit_that_makes_no_sense_still_makes_messages_smaller(maximum: object) -> None:
    exchange = Exchange(_gets(50))
    _too_large(exchange, "max_batch", maximum)
    assert max(len(batch) for batch in Batches().cut_smaller(exchange)) == 25


def test_a_server_that_takes_shorter_messages_gets_shorter_ones() -> None:
    exchange = Exchange([calls.start(1, id="a", payload="x" * 1000)] * 20)
    _too_large(exchange, "max_message_bytes", 5000)
    for batch in Batches().cut_smaller(exchange):
        assert len(Exchange(batch).encode()) <= 5000


def test_a_single_call_that_is_too_large_fails() -> None:
    exchange = Exchange([calls.start(1, payload="x" * 100)])
    _too_large(exchange, "max_message_bytes", 50)
    assert isinstance(exchange.outcomes[0], LimitReached)
    assert exchange.oversize is None


def test_a_call_that_waits_says_for_how_long() -> None:
    assert Exchange([calls.wait_once("a", 1500)]).wait_s == 1.5
    assert Exchange(_gets(2)).wait_s == 0
