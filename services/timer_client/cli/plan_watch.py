"""Watches a plan: the countdown of the timer that it waits for, one after the other, until the plan is over.

What happens to its timers is read from the log, from where the watch has begun or was left: no end is missed, however
long what is done at each end takes. The connection may be lost at any time.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from timer_client.async_client import AsyncTimerClient
from timer_client.cli.countdown import FRAME_S
from timer_client.cli.displays import Display
from timer_client.cli.steps import step_title
from timer_client.client import WAIT_CHUNK_S
from timer_client.cursor import Cursor
from timer_client.errors import PlanNotFound
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_client.watch import Countdown
from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.limits import PAGE_DEFAULT
from timer_protocol.messages import Event, Timer
from timer_protocol.plan_messages import Plan

_WAIT_MS = round(WAIT_CHUNK_S * MS_PER_SECOND)


class PlanWatch:
    """The watch of one plan, which may be left at an end and gone on with.

    It begins with the plan as it was told, `after` a cursor that was told before that: so no end in between is missed.
    With `has_titles`, the timer of a step is shown under the step's name and round alone. `tell` is given a sentence on
    what no countdown shows.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        after: Cursor,
        display: Display,
        tell: Callable[[str], None],
        *,
        has_titles: bool,
    ) -> None:
        self._settings = settings
        self._plan_id = plan.plan
        self._plan: Plan | None = plan
        self._after = after
        self._display = display
        self._tell = tell
        self._has_titles = has_titles
        self._titles: dict[str, str] = {}
        self._shown: str | None = None
        self._news: Event | None = None
        self._has_fired_last = False
        self._is_told_paused = False
        self._name(plan)

    @property
    def plan(self) -> Plan | None:
        """The plan as it stood last; None where it was deleted."""
        return self._plan

    @property
    def is_cut_off(self) -> bool:
        """Whether the plan was deleted before it was over. Who deletes one cancels the timer that it waits for."""
        return self._plan is None and not self._has_fired_last

    async def until_fired(self, *, stops: bool) -> Timer | None:
        """Shows countdowns until the plan is over; or, if it `stops`, until the next of its timers has fired.

        Returns that timer, None at the end. Raises `TimerError`.
        """
        self._out_of_reach = asyncio.Event()
        async with AsyncTimerClient(settings=self._settings, on_pause=self._wait) as client:
            beside = [asyncio.create_task(self._draw()), asyncio.create_task(self._return_into_reach(client))]
            following = asyncio.create_task(self._follow(client, stops=stops))
            try:
                # Those beside never end by themselves: one that has finished has failed.
                finished, _ = await asyncio.wait([following, *beside], return_when=asyncio.FIRST_COMPLETED)
                for task in finished - {following}:
                    task.result()
                return await following
            finally:
                for task in (following, *beside):
                    task.cancel()
                await asyncio.gather(following, *beside, return_exceptions=True)
                self._display.leave()
                self._shown = None

    async def _follow(self, client: AsyncTimerClient, *, stops: bool) -> Timer | None:
        while True:
            await self._ask(client)
            events = await self._take_events(client, 0, stops=stops)
            if not events:  # else it has gone on since it was asked for
                if self._plan is None or (self._plan.state == "finished" and self._plan.pending is None):
                    return None
                self._show(self._plan)
                events = await self._take_events(client, _WAIT_MS, stops=stops)
            if stops and events and events[-1].kind == "fired":
                return events[-1].timer

    async def _ask(self, client: AsyncTimerClient) -> None:
        try:
            self._plan = await client.get_plan(self._plan_id)
        except PlanNotFound:
            self._plan = None
        else:
            self._name(self._plan)

    async def _take_events(self, client: AsyncTimerClient, wait_ms: int, *, stops: bool) -> list[Event]:
        """Takes the events that come next, if it `stops` only up to a timer that has fired, and shows the ends."""
        taken: list[Event] = []
        while True:
            page = await client.read_events(self._after, f"{self._plan_id}~", PAGE_DEFAULT, wait_ms)
            if page.truncated:
                self._tell("Some of what happened is left out: the server keeps it no longer.")
            for event in page.events:
                taken.append(event)
                self._after = Cursor({**self._after, event.log: event.seq})
                if event.timer.ended:
                    self._end(event.timer)
                if stops and event.kind == "fired":
                    return taken
            self._after = Cursor(page.next)
            if taken:
                self._news = taken[-1]
            if taken or not page.more:
                return taken

    def _end(self, timer: Timer) -> None:
        self._has_fired_last = timer.state == "fired"
        if timer.id == self._shown:
            self._shown = None
        self._display.end(self._titled(timer))
        self._titles.pop(timer.id, None)

    def _show(self, plan: Plan) -> None:
        """Shows the timer that the plan waits for, and what has happened to it, if something has."""
        pending, news = plan.pending, self._news
        self._news = None
        if pending is None:
            self._tell_paused(plan)
            return
        self._is_told_paused = False
        countdown = Countdown(self._titled(pending), time.monotonic())
        if pending.id != self._shown:
            self._shown = pending.id
            self._display.begin(countdown)
        elif news is not None and news.timer.id == pending.id:
            self._display.change("the clock was set" if news.cause == "clock" else news.kind, countdown)

    def _name(self, plan: Plan) -> None:
        """Notes what the pending timer is called, where it is a step."""
        if self._has_titles and plan.pending is not None and (title := step_title(plan)):
            self._titles[plan.pending.id] = title

    def _tell_paused(self, plan: Plan) -> None:
        if plan.state == "paused" and not self._is_told_paused:
            self._is_told_paused = True
            self._tell(f"Plan {self._plan_id} is paused.")

    def _titled(self, timer: Timer) -> Timer:
        title = self._titles.get(timer.id)
        return timer if title is None else replace(timer, id="", label=title)

    def _wait(self, pause: Pause) -> None:
        self._out_of_reach.set()
        self._display.wait(pause)

    async def _return_into_reach(self, client: AsyncTimerClient) -> None:
        """Shows the countdown as it stands when the server was out of reach and is back."""
        while True:
            await self._out_of_reach.wait()
            await self._ask(client)
            self._out_of_reach.clear()
            pending = None if self._plan is None else self._plan.pending
            self._display.resume([] if pending is None else [Countdown(self._titled(pending), time.monotonic())])

    async def _draw(self) -> None:
        while True:
            self._display.draw(time.monotonic())
            await asyncio.sleep(FRAME_S)
