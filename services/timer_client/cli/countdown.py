"""Watches timers to their ends.

An end comes by `wait`, other changes come by events, and the countdown in between is drawn from the time to go that
the server last told. The connection may be lost at any time.
"""

import asyncio
import time
from collections.abc import Sequence

from timer_client.async_client import AsyncTimerClient
from timer_client.cli.displays import Display
from timer_client.cursor import Cursor
from timer_client.errors import EventsTruncated
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_client.watch import Countdown
from timer_protocol.messages import Timer

FRAME_S = 0.1
"""The time between two frames: ten a second, so that the end of a countdown does not look late."""


async def watch(settings: Settings, timer_ids: Sequence[str], display: Display) -> list[Timer]:
    """Shows timers until all have ended, and returns them. Raises `TimerError`."""
    out_of_reach = asyncio.Event()

    def wait(pause: Pause) -> None:
        out_of_reach.set()
        display.wait(pause)

    async with AsyncTimerClient(settings=settings, on_pause=wait) as client:
        try:
            return await _Watch(client, timer_ids, display, out_of_reach).run()
        finally:
            display.leave()


class _Watch:
    def __init__(
        self, client: AsyncTimerClient, timer_ids: Sequence[str], display: Display, out_of_reach: asyncio.Event
    ) -> None:
        self._client = client
        self._timer_ids = timer_ids
        self._display = display
        self._out_of_reach = out_of_reach
        self._pending: set[str] = set()

    async def run(self) -> list[Timer]:
        # In one message and in this order: an event between the two is read again, and none is missed.
        asking = asyncio.ensure_future(self._client.info())
        info, timers = await asyncio.gather(asking, asyncio.gather(*map(self._client.get, self._timer_ids)))
        self._pending = {timer.id for timer in timers if not timer.ended}
        self._out_of_reach.clear()
        for timer in timers:
            if timer.ended:
                self._display.end(timer)
            else:
                self._display.begin(_told_now(timer))
        ended = await self._until_all_ended(Cursor(info.cursor)) if self._pending else {}
        return [ended.get(timer.id, timer) for timer in timers]

    async def _until_all_ended(self, after: Cursor) -> dict[str, Timer]:
        endings = [asyncio.create_task(self._until_the_end(timer_id)) for timer_id in self._pending]
        others = [
            self._draw(),
            self._return_into_reach(),
            *(self._follow(timer_id, after) for timer_id in self._pending),
        ]
        beside = [asyncio.create_task(other) for other in others]
        left = set(endings)
        try:
            while left:
                # Those beside never end by themselves: one that has finished has failed.
                finished, _ = await asyncio.wait([*left, *beside], return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()
                left -= finished
            return {timer.id: timer for timer in (ending.result() for ending in endings)}
        finally:
            for task in (*endings, *beside):
                task.cancel()
            await asyncio.gather(*endings, *beside, return_exceptions=True)

    async def _until_the_end(self, timer_id: str) -> Timer:
        timer = await self._client.wait(timer_id)
        self._pending.discard(timer_id)
        self._display.end(timer)
        return timer

    async def _follow(self, timer_id: str, after: Cursor) -> None:
        """Shows what happens to a timer before its end."""
        while True:
            try:
                async for event in self._client.events(f"{timer_id} ", after):
                    timer = event.timer if event.timer.ended else await self._client.get(timer_id)
                    if not timer.ended and timer_id in self._pending:
                        what = "the clock was set" if event.cause == "clock" else event.kind
                        self._display.change(what, _told_now(timer))
            except EventsTruncated as truncated:
                after = truncated.resume_after

    async def _return_into_reach(self) -> None:
        """Shows the timers as they stand when the server was out of reach and is back."""
        while True:
            await self._out_of_reach.wait()
            timers = await asyncio.gather(*map(self._client.get, self._pending))
            self._out_of_reach.clear()
            self._display.resume([_told_now(timer) for timer in timers if not timer.ended])

    async def _draw(self) -> None:
        while True:
            self._display.draw(time.monotonic())
            await asyncio.sleep(FRAME_S)


def _told_now(timer: Timer) -> Countdown:
    return Countdown(timer, time.monotonic())
