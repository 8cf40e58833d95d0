"""The numbers and names of the errors: they are the API, so they stand here as facts."""

import pytest

from timer_protocol.errors import TITLES, ErrorCode, Refusal

ERRORS = [
    (-32700, "parse_error", False),
    (-32600, "invalid_request", False),
    (-32601, "method_not_found", False),
    (-32602, "invalid_params", False),
    (-32603, "internal_error", False),
    (-32001, "timer_not_found", False),
    (-32002, "id_conflict", False),
    (-32003, "wrong_state", False),
    (-32004, "limit_reached", False),
    (-32005, "shutting_down", True),
    (-32006, "storage_failed", True),
    (-32007, "not_permitted", False),
    (-32008, "queue_not_found", False),
    (-32009, "plan_not_found", False),
]


@pytest.mark.parametrize(("number", "name", "retryable"), ERRORS)
def test_number_has_its_name_and_tells_whether_a_retry_helps(number: int, name: str, retryable: bool) -> None:
    code = ErrorCode(number)

    assert (code.wire_name, code.retryable) == (name, retryable)


def test_there_are_no_other_errors() -> None:
    assert {int(code) for code in ErrorCode} == {number for number, _, _ in ERRORS}
    assert set(TITLES) == set(ErrorCode)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (-32700, "Parse error"),
        (-32600, "Invalid Request"),
        (-32601, "Method not found"),
        (-32602, "Invalid params"),
        (-32603, "Internal error"),
    ],
)
def test_messages_of_the_specification_are_its_own(number: int, message: str) -> None:
    assert TITLES[ErrorCode(number)] == message


def test_refusal_carries_what_helps_into_the_error() -> None:
    error = Refusal(ErrorCode.LIMIT_REACHED, "too many", limit="max_timers", maximum=3).to_error()

    assert (error.code, error.message) == (-32004, "Limit reached")
    assert error.data == {
        "name": "limit_reached",
        "retryable": False,
        "reason": "too many",
        "limit": "max_timers",
        "maximum": 3,
    }
