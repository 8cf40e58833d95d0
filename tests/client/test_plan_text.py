"""Plans as text, without a server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from client.fake_server import timer
from client.test_steps import plan
from timer_client import Every, NextMoment
from timer_client.cli import plan_text
from timer_client.cli.plan_text import moment_line, sentence, show_details, show_plan, show_plans
from timer_protocol.plan_messages import PlanCounts, SkippedMoments

NINE = NextMoment(1_922_083_200_000, "2030-11-28T09:00:00+01:00")
DAY_MS = 86_400_000
NO_STEPS: dict[str, Any] = {"steps": None, "step": None, "round": None, "count": None}
STANDUP: dict[str, Any] = {**NO_STEPS, "plan": "standup", "cron": "0 9 * * 1-5", "zone": "Europe/Rome"}
DRINK: dict[str, Any] = {**NO_STEPS, "plan": "drink", "every": Every(hours=1, seconds=30)}


@pytest.fixture(autouse=True)
def _in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (DRINK, "Plan drink is active: every 1 hour 30 seconds."),
        (STANDUP, "Plan standup is active: 0 9 * * 1-5 in Europe/Rome."),
        (
            {**DRINK, "every": Every(1), "count": 1, "label": "up\x1b[2J"},
            r"up\x1b[2J (plan drink) is active: every 1 hour, 1 time.",
        ),
        ({"count": 4, "state": "paused"}, "Plan pomodoro is paused: work 25 minutes, rest 5 minutes, 4 rounds."),
        (
            {**STANDUP, "from_ms": NINE.at_ms, "until_ms": NINE.at_ms + DAY_MS},
            "Plan standup is active: 0 9 * * 1-5 in Europe/Rome, from 2030-11-28 13:30:00, until 2030-11-29 13:30:00.",
        ),
    ],
)  # fmt: skip
def test_a_plan_in_words(members: dict[str, Any], told: str) -> None:
    assert sentence(plan(**members)) == told


def test_a_moment_has_its_day_and_offset() -> None:
    assert moment_line(NINE, "Europe/Rome") == "Thu 2030-11-28 09:00:00 +01:00"
    assert moment_line(NINE, None) == "Thu 2030-11-28 13:30:00 +05:30"
    assert moment_line(NextMoment(5, "1969-12-31T19:00:00.005-05:00"), "EST") == "Wed 1969-12-31 19:00:00 -05:00"


@pytest.mark.parametrize(
    ("members", "last"),
    [
        ({"next": [NINE]}, ["Next:", "  Thu 2030-11-28 09:00:00 +01:00"]),
        ({"next": [], "state": "paused"}, ["Next: nothing until it is resumed."]),
        ({"next": [], "state": "finished"}, ["Next: nothing any more."]),
        ({}, []),
    ],
)
def test_what_comes_next_is_told(capsys: pytest.CaptureFixture[str], members: dict[str, Any], last: list[str]) -> None:
    show_plan(plan(**{**STANDUP, **members}), as_json=False)
    assert capsys.readouterr().out.splitlines()[1:] == last


def test_all_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    known = {
        "counts": PlanCounts(3, 1, 2, 1),
        "pending": timer(id="standup~20301128T080000Z", due_at_ms=NINE.at_ms, remaining_ms=3_600_000),
        "waiting": 2,
        "last_skipped": SkippedMoments(NINE.at_ms, NINE.at_ms, 1, "skip"),
        "payload": {"a": "\x1b"},
        "next": [],
    }
    show_details(plan(**STANDUP, **known), as_json=False)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "pending   standup~20301128T080000Z is running: 1:00:00 to go, until 2030-11-28 13:30:00",
        "counts    3 fired, 1 cancelled, 2 skipped, 1 missed",
        "waiting   2 runs for room among the server's timers",
        "skipped   last 1 moment, 2030-11-28T13:30:00.000+05:30 (skip)",
        "missed    last, within 24 hours",
        "overlap   allow",
        'payload   {"a":"\\u001b"}',
    ]
    show_details(plan(step=2, round=3, count=4), as_json=False)
    assert capsys.readouterr().out.splitlines()[1] == "step      rest 3/4"


def test_plans_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    pending = timer(id="drink~20301128T080000Z", due_at_ms=NINE.at_ms)
    plans = [plan(**DRINK, pending=pending, label="a\tb"), plan(**{**STANDUP, "state": "paused"})]
    show_plans(plans, as_json=False)
    assert capsys.readouterr().out == (
        "drink\tactive\t2030-11-28T13:30:00.000+05:30\tevery 1 hour 30 seconds\ta\\x09b\n"
        "standup\tpaused\t\t0 9 * * 1-5 in Europe/Rome\n"
    )
    show_plans(plans, as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["plan"], second["cron"], "next" in first) == ("drink", "0 9 * * 1-5", False)


def test_a_table_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_text, "on_terminal", lambda: True)
    show_plans([plan(**DRINK, label="up\x1b"), plan(**{**STANDUP, "state": "paused"})], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "plan     state   next  rule                        label",
        "drink    active        every 1 hour 30 seconds     up\\x1b",
        "standup  paused        0 9 * * 1-5 in Europe/Rome",
    ]
    show_plans([], as_json=False)
    assert capsys.readouterr().out == "No plans.\n"
