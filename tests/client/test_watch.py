"""The model of a countdown between two looks at the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.fake_server import timer
from timer_client import Countdown
from timer_client.watch import clock_face, next_milestone_ms


def test_time_to_go_falls_with_elapsed_time_and_stops_at_zero() -> None:
    countdown = Countdown(timer(remaining_ms=2500), told_at_s=100.0)
    assert [countdown.remaining_ms(now_s) for now_s in (100.0, 101.0, 102.4999, 102.5, 200.0)] == [2500, 1500, 0, 0, 0]


def test_a_paused_or_ended_timer_stands_still() -> None:
    assert Countdown(timer(state="paused", remaining_ms=700), 0.0).remaining_ms(50.0) == 700
    assert Countdown(timer(state="fired", remaining_ms=0), 0.0).remaining_ms(50.0) == 0


def test_the_part_that_is_over() -> None:
    countdown = Countdown(timer(duration_ms=10_000, remaining_ms=7_500), 0.0)
    assert [countdown.done(now_s) for now_s in (0.0, 2.5, 7.5, 99.0)] == [0.25, 0.5, 1.0, 1.0]
    assert Countdown(timer(state="cancelled", remaining_ms=0), 0.0).done(0.0) == 1.0
    assert Countdown(timer(duration_ms=10, remaining_ms=20), 0.0).done(0.0) == 0.0


@pytest.mark.parametrize(
    ("remaining_ms", "shown"),
    [
        (0, "0:00:00"),
        (1, "0:00:01"),
        (1000, "0:00:01"),
        (1001, "0:00:02"),
        (61_000, "0:01:01"),
        (3_600_000, "1:00:00"),
        (86_399_001, "1d 00:00:00"),
        (90_061_000, "1d 01:01:01"),
    ],
)
def test_the_clock_rounds_up(remaining_ms: int, shown: str) -> None:
    assert clock_face(remaining_ms) == shown


def test_lines_come_closer_towards_the_end() -> None:
    remaining_ms, shown = 130_000, []
    while remaining_ms := next_milestone_ms(remaining_ms):
        shown.append(remaining_ms // 1000)
    assert shown == [120, 60, 30, 20, 10, 5, 4, 3, 2, 1]


@given(st.integers(1, 10**12))
def test_the_next_line_is_always_ahead_and_there_are_few(remaining_ms: int) -> None:
    following = next_milestone_ms(remaining_ms)
    assert 0 <= following < remaining_ms
    assert remaining_ms <= 86_400_000 or remaining_ms - following <= 86_400_000
