"""Examples with timers and plans print what they say, and leave what they say."""

import re
import signal
from unittest import mock

import pytest

from examples.running import Printed, functions, run, run_until
from local_server import LocalServer
from timer_client import TimerClient
from timer_testing import TimerServer


def test_tea(server: LocalServer) -> None:
    first, last = run("tea.py", 0.05)
    assert re.fullmatch(r"tea takes 0\.05 s, until \d\d:\d\d:\d\d", first)
    assert last == "tea has fired"


def test_pomodoro(standing_server: TimerServer) -> None:
    def meanwhile(printed: Printed) -> None:
        for rounds in range(1, 5):
            printed.until(rf"(?s)(work for.*){{{rounds}}}")
            standing_server.advance(minutes=25)
            printed.until(rf"(?s)(rest for.*){{{rounds}}}")
            standing_server.advance(minutes=5)

    told = run_until("pomodoro.py", meanwhile=meanwhile)
    assert told == [
        "work for 25 min",
        *["work is over, rest for 5 min", "rest is over, work for 25 min"] * 3,
        "work is over, rest for 5 min",
        "rest is over, 4 rounds done",
    ]


def test_pomodoro_is_taken_away_by_ctrl_c(standing_server: TimerServer) -> None:
    told = run_until("pomodoro.py", meanwhile=lambda printed: printed.until("work for"), end_by=signal.SIGINT)
    assert told == ["work for 25 min", "", "stopped"]
    with standing_server.client() as client:
        assert client.plans() == []
        assert [timer.state for timer in client.timers()] == ["cancelled"]


def test_pomodoro_leaves_quietly_while_it_waits_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimerClient, "info", mock.Mock(side_effect=KeyboardInterrupt))
    assert run("pomodoro.py") == []


def test_debounce(server: LocalServer) -> None:
    *changes, saved = run("debounce.py", "--quiet", 0.3, "--every", 0.01)
    assert [line[: len("change 1")] for line in changes] == ["change 1", "change 2", "change 3"]
    assert re.fullmatch(r"saved 0\.[3-9] s after the first change", saved)


def test_debounce_waits_for_quiet_but_not_for_ever(standing_server: TimerServer) -> None:
    changed = functions("debounce.py")["changed"]
    with standing_server.client() as client:
        left_ms = []
        for _ in range(6):
            left_ms.append(changed(client, "save/a", 2, 5).remaining_ms)
            standing_server.advance(seconds=0.75)
        assert left_ms == [2000, 2000, 2000, 2000, 2000, 1250]
        standing_server.advance(seconds=0.5)
        saved = client.get("save/a")
        assert (saved.state, saved.duration_ms) == ("fired", 5000)
        assert changed(client, "save/a", 2, 5).remaining_ms == 2000
        standing_server.advance(seconds=2)
        assert client.get("save/a").ended


def test_seat_holds(server: LocalServer) -> None:
    assert run("seat_holds.py", "--seconds", 0.2) == [
        "holds 6 seats for 0.2 s",
        "sold 1, 4",
        "free again 2, 3, 5, 6",
    ]
