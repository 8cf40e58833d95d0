"""The watch of a plan, beside a client that does as it is told."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from msgspec.structs import replace

from client.fake_server import LOG, timer
from client.test_steps import plan
from timer_client import Countdown, Cursor, EventPage, Pause, PlanNotFound, Settings
from timer_client.cli import plan_watch
from timer_client.cli.plan_watch import PlanWatch
from timer_client.errors import server_error
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import Event, Timer
from timer_protocol.plan_messages import Plan

LIMIT_S = 10.0
SETTINGS = Settings()

STEP = timer(id="pomodoro~1", label="work")
AT_WORK = plan(pending=STEP, count=2)
NEXT = timer(id="pomodoro~2", label="rest")
AT_REST = plan(pending=NEXT, count=2, step=2)
OVER = plan(state="finished", step=None, round=None, count=2)
REMOVED = server_error(Refusal(ErrorCode.PLAN_NOT_FOUND, "gone").to_error())


class Display:
    """Notes what it is to show."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, countdown: Countdown) -> None:
        self.told.append(f"begin {countdown.timer.label}")

    def change(self, what: str, countdown: Countdown) -> None:
        self.told.append(f"{what} {countdown.timer.label}")

    def draw(self, now_s: float) -> None:
        pass

    def wait(self, pause: Pause) -> None:
        self.told.append(f"wait {pause.tries}")

    def resume(self, countdowns: Collection[Countdown]) -> None:
        self.told.append(f"resume {[each.timer.label for each in countdowns]}")

    def end(self, timer: Timer) -> None:
        self.told.append(f"{timer.state} {timer.label}")

    def leave(self) -> None:
        self.told.append("leave")


class Client:
    """Answers with the plan as it stands, and with one event after the other; an event may change the plan."""

    def __init__(self, found: Plan | PlanNotFound, events: list[tuple[Event, Any]]) -> None:
        self.found: Any = found
        self.unread: list[Event] = []
        self.is_truncated = False
        self._is_asked = asyncio.Event()
        self._events = events

    def __call__(self, *, settings: Settings, on_pause: Any) -> "Client":
        assert settings == SETTINGS
        self._on_pause = on_pause
        return self

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get_plan(self, _plan_id: str) -> Plan:
        self._is_asked.set()
        if isinstance(self.found, Plan):
            return self.found
        raise self.found

    async def read_events(self, after: Cursor, prefix: str, _limit: int, wait_ms: int) -> EventPage:
        assert prefix == "pomodoro~"
        if wait_ms:
            event, self.found = self._events.pop(0)
            if event is None:
                self._is_asked = asyncio.Event()
                self._on_pause(Pause("tcp://127.0.0.1:1", 1, "no answer", 0.1))
                await self._is_asked.wait()
            else:
                self.unread.append(event)
        events = [replace(event, seq=seq) for seq, event in enumerate(self.unread, 1) if seq > after[LOG]]
        is_truncated, self.is_truncated = self.is_truncated, False
        return EventPage(events, {LOG: len(self.unread)}, more=False, truncated=is_truncated)


def event(of: Timer, kind: Any, **members: Any) -> Event:
    state = kind if kind in ("fired", "cancelled", "paused") else "running"
    return Event(LOG, 0, kind, 0, replace(of, state=state), **members)


class Watched:
    """A watch, and what it has shown and told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, begin: Plan, *events: tuple[Event | None, Any]) -> None:
        display = Display()
        self.told = display.told
        self.client = Client(begin, list(events))
        monkeypatch.setattr(plan_watch, "AsyncTimerClient", self.client)
        self.watch = PlanWatch(SETTINGS, begin, Cursor({LOG: 0}), display, display.told.append, has_titles=True)

    def until_fired(self, *, stops: bool) -> Timer | None:
        """Watches on, within a time."""
        return asyncio.run(asyncio.wait_for(self.watch.until_fired(stops=stops), LIMIT_S))


def test_one_step_after_the_other_until_the_plan_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, AT_WORK, (event(STEP, "fired"), AT_REST), (event(NEXT, "cancelled"), OVER))
    assert watched.until_fired(stops=False) is None
    assert watched.told == ["begin work 1/2", "fired work 1/2", "begin rest 1/2", "cancelled rest 1/2", "leave"]
    assert watched.watch.plan == OVER


def test_it_stops_where_one_has_fired_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, AT_WORK, (event(STEP, "fired"), AT_REST), (event(NEXT, "cancelled"), OVER))
    fired = watched.until_fired(stops=True)
    assert fired is not None
    assert (fired.id, fired.label) == (STEP.id, "work")
    assert watched.told == ["begin work 1/2", "fired work 1/2", "leave"]
    assert watched.until_fired(stops=True) is None
    assert watched.told[3:] == ["begin rest 1/2", "cancelled rest 1/2", "leave"]


def test_what_happens_before_the_end_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(
        monkeypatch,
        AT_WORK,
        (event(STEP, "paused"), AT_WORK),
        (event(STEP, "extended", cause="clock"), AT_WORK),
        (event(timer(id="pomodoro~0", label="other"), "fired"), AT_WORK),
        (event(STEP, "fired"), OVER),
    )
    watched.until_fired(stops=False)
    assert watched.told[1:-2] == ["paused work 1/2", "the clock was set work 1/2", "fired other"]


def test_a_plan_that_is_removed_or_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    resting = replace(AT_WORK, state="paused", pending=None)
    other = event(timer(id="pomodoro~0", label="other"), "started")
    watched = Watched(monkeypatch, AT_WORK, (event(STEP, "cancelled"), resting), (other, resting), (other, REMOVED))
    assert watched.until_fired(stops=False) is None
    assert watched.told == ["begin work 1/2", "cancelled work 1/2", "Plan pomodoro is paused.", "leave"]
    assert watched.watch.is_cut_off


def test_one_that_another_watcher_has_removed_at_its_end_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, AT_REST, (event(NEXT, "fired"), REMOVED))
    assert watched.until_fired(stops=False) is None
    assert (watched.watch.plan, watched.watch.is_cut_off) == (None, False)


def test_a_server_that_goes_away_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, AT_WORK, (None, AT_WORK), (event(STEP, "fired"), OVER))
    watched.until_fired(stops=False)
    assert watched.told[1:3] == ["wait 1", "resume ['work 1/2']"]


def test_ends_that_came_before_the_plan_was_asked_for_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a command takes longer than the next step."""
    watched = Watched(monkeypatch, AT_WORK)
    watched.client.found = OVER
    watched.client.is_truncated = True
    watched.client.unread = [event(STEP, "fired"), event(NEXT, "fired")]
    assert watched.until_fired(stops=True) is not None
    assert watched.until_fired(stops=True) is not None
    assert watched.until_fired(stops=True) is None
    assert watched.told[0] == "Some of what happened is left out: the server keeps it no longer."
    assert watched.told[1:] == ["fired work 1/2", "leave", "fired rest", "leave", "leave"]
