"""When a webhook is sent again, and when an endpoint is given up."""

from email.utils import formatdate
from math import inf

import pytest

from timer_webhooks.exchange import Answer
from timer_webhooks.schedule import delay_ms, retry_after_s
from timer_webhooks.standing import GIVEN_UP_AFTER_MS, Standing

HOUR_S = 3_600
FAILED, DELIVERED, GONE = Answer("server_error", "answered 500", 500), Answer("delivered", ""), Answer("gone", "")


def test_the_schedule_is_that_of_the_specification() -> None:
    delays_s = [delay_ms(attempt, 0, 0) / 1000 for attempt in range(1, 12)]
    assert delays_s == [
        5,
        300,
        *(hours * HOUR_S for hours in (0.5, 2, 5, 10, 14, 20, 24)),
        24 * HOUR_S,
        24 * HOUR_S,
    ]
    assert delay_ms(1, 0, 1) == 6_000


def test_chance_adds_up_to_a_fifth() -> None:
    assert [delay_ms(2, 0, chance) for chance in (0, 0.5, 1)] == [300_000, 330_000, 360_000]


def test_an_endpoint_may_ask_for_more_up_to_a_day() -> None:
    assert delay_ms(1, 60, 0) == 60_000
    assert delay_ms(3, 60, 0) == 1_800_000
    assert delay_ms(1, 30 * 86_400, 0) == delay_ms(1, inf, 0) == 86_400_000


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("120", 120),
        (" 120 ", 120),
        (formatdate(1_000_060, usegmt=True), 60),
        (formatdate(999_000, usegmt=True), 0),
        ("Mon, 12 Jan 1970 13:47:40", 60),
        ("-5", 0),
        ("1e9", 0),
        ("soon", 0),
        ("", 0),
        ("nan", 0),
        ("99999999999", 99_999_999_999),
        ("9" * 5_000, inf),
        ("²", 0),
        ("Fri, 99 Foo 99999 99:99:99 +9999", 0),
    ],
)
def test_retry_after_is_read(text: str, expected_s: float) -> None:
    assert retry_after_s(text, 1_000_000) == expected_s


def test_five_days_of_failures_disable_an_endpoint() -> None:
    standing = Standing().after(FAILED, 1_000)
    assert standing == Standing(failing_since_ms=1_000)
    assert standing.after(FAILED, 1_000 + GIVEN_UP_AFTER_MS - 1) == standing
    given_up = standing.after(FAILED, 1_000 + GIVEN_UP_AFTER_MS)
    assert given_up.is_disabled
    assert "five days" in given_up.disabled_reason
    assert GIVEN_UP_AFTER_MS == 5 * 24 * HOUR_S * 1000


def test_one_success_within_five_days_is_enough() -> None:
    standing = Standing().after(FAILED, 1_000).after(DELIVERED, 2_000)
    assert standing == Standing()
    assert not standing.after(FAILED, 1_000 + GIVEN_UP_AFTER_MS).is_disabled


def test_410_disables_at_once_and_nothing_but_an_operator_enables() -> None:
    gone = Standing().after(GONE, 1_000)
    assert gone.is_disabled
    assert gone.after(DELIVERED, 2_000) == gone.after(FAILED, 2_000) == gone
