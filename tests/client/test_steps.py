"""Countdowns that follow one another: how they are written, written out, and called."""

import re
from typing import Any

import pytest

from timer_client import Step
from timer_client.cli.steps import parse_step, spoken_steps, step_title, written_out
from timer_protocol.plan_messages import Plan, PlanCounts

WORK, REST, LONG = Step(minutes=25, label="work"), Step(minutes=5, label="rest"), Step(minutes=15, label="long")


def plan(**members: Any) -> Plan:
    """A plan with steps, at its first unless told otherwise."""
    return Plan(
        **{
            "plan": "pomodoro",
            "version": 1,
            "state": "active",
            "every": None,
            "cron": None,
            "zone": None,
            "steps": (WORK, REST),
            "from_ms": None,
            "until_ms": None,
            "count": 1,
            "missed": "last",
            "missed_window_ms": 86_400_000,
            "overlap": "allow",
            "label": "",
            "payload": None,
            "counts": PlanCounts(0, 0, 0, 0),
            "pending": None,
            "step": 1,
            "round": 1,
            "waiting": 0,
            "last_skipped": None,
            **members,
        }
    )


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("work=25m", WORK),
        ("work=PT25M", WORK),
        ("25m", Step(minutes=25)),
        ("a=b=1.5h", Step(hours=1.5, label="a=b")),
        ("bake=1 hour 5", Step(hours=1, minutes=5, label="bake")),
        ("egg=1", Step(seconds=1, label="egg")),
        ("tea=0 3 0", Step(minutes=3, label="tea")),
    ],
)
def test_a_step_is_a_name_and_a_duration(text: str, step: Step) -> None:
    assert parse_step(text) == step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("work", "'work' is no step such as work=25m: 'work' is no duration; write 90 (seconds), 25m"),
        ("work=", "'work=' is no step such as work=25m: '' is no duration"),
        ("=25m", "'=25m' has no name before the ="),
        ("work=0.5", "'work=0.5' is too short: a step takes at least 1 second"),
        ("work=-25m", "'work=-25m' is too short"),
        ("work=999999999d", "is longer than any timer may run"),
    ],
)
def test_what_is_no_step_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_step(text)


def test_rounds_are_written_out_where_the_last_step_is_another() -> None:
    assert written_out([WORK, REST], 4, None) == ([WORK, REST], 4)
    assert written_out([WORK, REST], 2, LONG) == ([WORK, REST, WORK, LONG], 1)
    assert written_out([WORK], 1, LONG) == ([LONG], 1)
    with pytest.raises(ValueError, match="these are 102 steps, written out for --times 51 with --last, and a plan"):
        written_out([WORK, REST], 51, LONG)
    with pytest.raises(ValueError, match="these are 101 steps, and a plan takes at most 100"):
        written_out([WORK] * 101, 1, None)


@pytest.mark.parametrize(
    ("members", "title"),
    [
        ({}, "work"),
        ({"count": 4, "step": 2, "round": 3}, "rest 3/4"),
        ({"count": None, "step": 2, "round": 3}, "rest 3"),
        ({"steps": (WORK, REST, WORK, LONG), "step": 3}, "work 2/2"),
        ({"steps": (WORK, REST, WORK, LONG), "step": 4}, "long 2/2"),
        ({"steps": (WORK, REST, WORK, LONG), "step": 2, "round": 2, "count": 3}, "rest 3/6"),
        ({"steps": (Step(minutes=1), REST)}, "step 1"),
        ({"steps": (Step(minutes=1), REST), "label": "eggs"}, "eggs"),
        ({"steps": None, "step": None, "round": None, "cron": "0 9 * * *", "zone": "UTC"}, None),
        ({"step": None, "round": None}, None),
    ],
)
def test_a_step_is_called_by_its_name_and_round(members: dict[str, Any], title: str | None) -> None:
    assert step_title(plan(**members)) == title


def test_steps_in_words() -> None:
    assert spoken_steps([WORK, Step(hours=1, seconds=30)]) == "work 25 minutes, 1 hour 30 seconds"
