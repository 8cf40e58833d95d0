"""Watches one timer to its end.

The end comes by `wait`, other changes come by events, and the countdown in between is drawn from the time to go that
the server last told. The connection may be lost at any time.
"""

import asyncio
import time

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


async def watch(settings: Settings, timer_id: str, display: Display) -> Timer:
    """Shows a timer until it has ended, and returns it. Raises `TimerError`."""
    out_of_reach = asyncio.Event()

    def wait(pause: Pause) -> None:
        out_of_reach.set()
        display.wait(pause)

    async with AsyncTimerClient(settings=settings, on_pause=wait) as client:
        try:
            return await _Watch(client, timer_id, display, out_of_reach).run()
        finally:
            display.leave()


class _Watch:
    def __init__(self, client: AsyncTimerClient, timer_id: str, display: Display, out_of_reach: asyncio.Event) -> None:
        self._client = client
        self._timer_id = timer_id
        self._display = display
        self._out_of_reach = out_of_reach

    async def run(self) -> Timer:
        # In one message and in this order: an event between the two is read again, and none is missed.
        info, timer = await asyncio.gather(self._client.info(), self._client.get(self._timer_id))
        if not timer.ended:
            self._out_of_reach.clear()
            self._display.begin(_told_now(timer))
            timer = await self._until_the_end(Cursor(info.cursor))
        self._display.end(timer)
        return timer

    async def _until_the_end(self, after: Cursor) -> Timer:
        ending: asyncio.Task[Timer] = asyncio.create_task(self._client.wait(self._timer_id))
        others = [asyncio.create_task(task) for task in (self._follow(after), self._return_into_reach(), self._draw())]
        try:
            # The others never end by themselves: the first task to finish is the end, or has failed.
            await asyncio.wait([ending, *others], return_when=asyncio.FIRST_COMPLETED)
            for failed in (task for task in others if task.done()):
                failed.result()
            return await ending
        finally:
            for task in (ending, *others):
                task.cancel()
            await asyncio.gather(ending, *others, return_exceptions=True)

    async def _follow(self, after: Cursor) -> None:
        """Shows what happens to the timer before its end."""
        while True:
            try:
                async for event in self._client.events(f"{self._timer_id} ", after):
                    timer = event.timer if event.timer.ended else await self._client.get(self._timer_id)
                    if not timer.ended:
                        self._display.change(event.kind, _told_now(timer))
            except EventsTruncated as truncated:
                after = truncated.resume_after

    async def _return_into_reach(self) -> None:
        """Shows the timer as it stands when the server was out of reach and is back."""
        while True:
            await self._out_of_reach.wait()
            timer = await self._client.get(self._timer_id)
            self._out_of_reach.clear()
            self._display.resume(_told_now(timer))

    async def _draw(self) -> None:
        while True:
            self._display.draw(time.monotonic())
            await asyncio.sleep(FRAME_S)


def _told_now(timer: Timer) -> Countdown:
    return Countdown(timer, time.monotonic())
