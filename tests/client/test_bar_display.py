"""The countdown on a terminal of any width, with any letters."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from client.fake_server import timer
from client.screen import Screen
from timer_client.cli import bar_display
from timer_client.cli.bar_display import BarDisplay, cells, room, shortened
from timer_client.watch import Countdown

LABELS = ["tea", "紅茶を淹れる" * 4, "👩‍👩‍👧‍👦❤️" * 9, "e\u0301" * 60, "x" * 100, "\x1b[31m" * 9]

NOW_S = 100.0


@pytest.fixture(autouse=True)
def _time_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take a second for what is drawn here."""
    monkeypatch.setattr(bar_display, "time", SimpleNamespace(monotonic=lambda: NOW_S))


class Terminal:
    """A console that writes to a screen."""

    def __init__(self, width: int) -> None:
        self._output = io.StringIO()
        self.console = Console(file=self._output, force_terminal=True, width=width, highlight=False, _environ={})
        self.screen = Screen(width)

    @property
    def rows(self) -> list[str]:
        """The rows that are not empty, once all output was obeyed."""
        self.screen.write(self._output.getvalue())
        self._output.seek(0)
        self._output.truncate()
        return [row.rstrip() for row in self.screen.rows if row.strip()]

    def resize(self, width: int) -> None:
        assert self.rows
        self.screen.resize(width)
        self.console.width = width


def _countdown(label: str = "", **members: object) -> Countdown:
    state = {"state": "running", "remaining_ms": 9_000, "duration_ms": 10_000, "ended_at_ms": None, **members}
    return Countdown(timer(label=label, **state), NOW_S)


@pytest.mark.parametrize("label", LABELS)
def test_the_clock_is_never_cut(label: str) -> None:
    for width in (7, 8, 9, 10, 11, 20, 29, 30, 31, 39, 40, 41, 44, 60, 79, 200):
        terminal = Terminal(width)
        display = BarDisplay(terminal.console)
        display.begin(_countdown(label))
        (row,) = terminal.rows
        assert row.endswith("0:00:09")
        assert cells(row) <= width
        display.leave()
        assert terminal.rows == []


def test_what_has_room() -> None:
    assert room(80, name=3, clock=7) == (3, 68)
    assert room(40, name=48, clock=7) == (19, 12)
    assert room(31, name=48, clock=7) == (10, 12)
    assert room(30, name=48, clock=7) == (22, 0)
    assert room(10, name=48, clock=7) == (2, 0)
    assert room(8, name=48, clock=7) == (0, 0)
    assert room(5, name=48, clock=7) == (0, 0)
    assert shortened("紅茶を淹れる", 7) == "紅茶を."
    assert shortened("tea", 3) == "tea"


@pytest.mark.parametrize("width", [7, 9, 20, 39, 40, 41, 60])
@pytest.mark.parametrize("timers", [1, 3])
def test_a_terminal_made_narrower_keeps_no_debris(width: int, timers: int) -> None:
    terminal = Terminal(80)
    terminal.console.print("before")
    display = BarDisplay(terminal.console)
    for number in range(timers):
        display.begin(_countdown(f"tea {number}", id=f"t{number}"))
    assert len(terminal.rows) == 1 + timers
    terminal.resize(width)
    display.draw(NOW_S)
    rows = terminal.rows
    assert "".join(rows).startswith("before")
    assert "".join(rows).count("0:00:09") == timers
    assert len(rows) == len(range(0, 6, width)) + timers
    display.leave()
    assert "".join(terminal.rows) == "before"


def test_each_of_several_timers_has_its_line_until_it_ends() -> None:
    terminal = Terminal(60)
    display = BarDisplay(terminal.console)
    display.begin(_countdown("eggs", id="a"))
    display.begin(_countdown("a cake in the oven", id="b", remaining_ms=7_200_000, duration_ms=7_200_000))
    eggs, cake = terminal.rows
    assert eggs.startswith("eggs ")
    assert cake.startswith("a cake in the oven ")
    assert eggs.index("━") == cake.index("━")
    display.end(timer(id="a", label="eggs", state="fired"))
    sentence, cake = terminal.rows
    assert sentence.startswith("eggs (a) has fired")
    assert cake.endswith("2:00:00")
    display.end(timer(id="b", state="cancelled"))
    assert terminal.rows == ["eggs (a) has fired.", "Timer b was cancelled."]
