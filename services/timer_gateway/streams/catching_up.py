"""Reads events from the server for streams that come back with an older cursor, few at a time.

A page that looks at ten thousand events takes the server ten milliseconds, so that many streams which come back at once
must not ask at once. One caller reads one page at a time, so that its streams do not keep those of others waiting.
"""

import asyncio
import contextlib
from typing import Final
from weakref import WeakValueDictionary

from timer_client import AsyncTimerClient
from timer_client.errors import TimerError
from timer_gateway.streams.cursors import Positions
from timer_gateway.streams.log_ends import LogEnds
from timer_gateway.streams.pages import Page
from timer_gateway.streams.questions import page_after

READS_AT_ONCE: Final = 2

RETRY_S: Final = 0.5
"""The pause after a page that could not be read."""


class CatchingUp:
    """Reads pages, two at a time."""

    def __init__(self, client: AsyncTimerClient) -> None:
        self._client = client
        self._ends = LogEnds(client)
        self._places = asyncio.Semaphore(READS_AT_ONCE)
        self._of_callers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def page_after(self, cursor: Positions | None, topic_prefix: str, caller: str) -> Page:
        """The page after a cursor, once the server has given it; without one an empty page at the end of the logs."""
        mine = self._of_callers.setdefault(caller, asyncio.Lock())
        while True:
            with contextlib.suppress(TimerError):
                if cursor is None:
                    return Page([], await self._ends.cursor())
                async with mine, self._places:
                    return (await self._client.call(page_after(cursor, topic_prefix))).read()
            await asyncio.sleep(RETRY_S)
