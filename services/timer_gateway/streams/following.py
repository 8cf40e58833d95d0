"""Follows the events of the server while there are streams, once for all of them.

It reads `events.read` again and again: the server holds the request back until there is an event that somebody wants,
or for a while. So there is one request up there whatever happens; what comes in a burst comes in one page; nothing is
missed, as each page goes on where the one before has ended; and it is the same for one server and for several,
whichever of them has which logs.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from timer_client import AsyncTimerClient
from timer_client.errors import ServerUnreachable, TimerError
from timer_gateway.logs import log
from timer_gateway.streams.catching_up import RETRY_S, CatchingUp
from timer_gateway.streams.cursors import Positions
from timer_gateway.streams.feed import Feed
from timer_gateway.streams.pages import Page
from timer_gateway.streams.pulse import Pulse
from timer_gateway.streams.questions import STANDING, page_after
from timer_gateway.streams.reader import Reader
from timer_protocol.log_lines import fields

READ_EVERY_S: Final = 0.01
"""How often pages are read while one event follows another: what happens meanwhile comes together."""

WAIT_MS: Final = 5_000
WAIT_LEAST_MS: Final = 50
PASSED_BY: Final = 1_000
"""How long the server holds a request back at most: until about so many events that nobody wants have happened. Several
servers look through them when the time is up, which takes a millisecond: so much at a time delays no end noticeably."""


class Following:
    """The feed of the server's events, which it follows while anybody reads."""

    def __init__(self, client: AsyncTimerClient, clock: Callable[[], float], answered: Callable[[], None]) -> None:
        """`answered` is called every second in which the server answers."""
        self._client = client
        self._clock = clock
        self._answered = answered
        self.feed: Final = Feed()
        self.catching_up: Final = CatchingUp(client)
        self.pulse = self._new_pulse()
        """Whether the server is there; of the present run."""
        self._running: asyncio.Task[None] | None = None
        self._ended: set[asyncio.Task[None]] = set()
        """Runs that are being cancelled."""
        self._reading: asyncio.Task[Page] | None = None
        self._read_for = ""
        """The prefix for which a page is being read."""
        self._is_failing = False

    @property
    def is_running(self) -> bool:
        """Whether it follows. Where a fault of its own has ended it, streams are to end as well, and may begin anew."""
        return self._running is not None and not self._running.done()

    def open(self, prefix: str, cursor: Positions | None, news: Callable[[], None]) -> Reader:
        """A new reader of the feed."""
        reader = self.feed.open(prefix, cursor, news)
        if not self.is_running:
            self.pulse = self._new_pulse()
            self._running = asyncio.create_task(self._run(self.pulse))
        elif self._reading is not None and not prefix.startswith(self._read_for):
            self._reading.cancel()  # it is read for more from now on
        return reader

    def close(self, reader: Reader) -> None:
        """Ends a reader. After the last one nothing is followed, and nothing kept."""
        self.feed.close(reader)
        if not self.feed.has_readers and self._running is not None:
            self._ended.add(self._running)
            self._running.add_done_callback(self._ended.discard)
            self._running.cancel()
            self._running = None
            self.feed.end()

    async def _run(self, pulse: Pulse) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pulse.run())
                group.create_task(self._follow())
        except Exception:
            log.exception("following failed")
            self.feed.end()
            asyncio.get_running_loop().call_soon(self.feed.tell_all)  # once this has ended

    async def _follow(self) -> None:
        await self._begin()
        wait_ms = WAIT_LEAST_MS
        while True:
            began_s = self._clock()
            prefix, before = self.feed.prefix, sum((self.feed.cursor or {}).values())
            page = await self._read(prefix, wait_ms)
            if page is None or not self.feed.prefix.startswith(prefix):
                continue  # others have come who want more
            self.feed.take(page, prefix)
            took_s = max(self._clock() - began_s, READ_EVERY_S)
            passed = max(sum(page.next.values()) - before, 1)
            wait_ms = min(max(round(PASSED_BY * took_s / passed * 1000), WAIT_LEAST_MS), WAIT_MS)
            await asyncio.sleep(began_s + READ_EVERY_S - self._clock())

    async def _begin(self) -> None:
        """Begins at the end of the logs."""
        while self.feed.cursor is None:
            try:
                self.feed.begin((await self._client.call(STANDING)).cursor)
            except TimerError as error:
                await self._pause(error)

    async def _read(self, prefix: str, wait_ms: int) -> Page | None:
        """The next page; None where there is none now."""
        self._read_for = prefix
        self._reading = asyncio.create_task(self._page_after(self.feed.cursor or {}, prefix, wait_ms))
        try:
            page = await self._reading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return None
        except TimerError as error:
            await self._pause(error)
            return None
        self._is_failing = False
        return page

    async def _page_after(self, cursor: Positions, prefix: str, wait_ms: int) -> Page:
        return (await self._client.call(page_after(cursor, prefix, wait_ms))).read()

    async def _pause(self, error: TimerError) -> None:
        """Lets some time pass after an error, and logs the first of several."""
        if not self._is_failing and not isinstance(error, ServerUnreachable):  # that is logged by `upstream`
            self._is_failing = True
            log.warning("events not read", extra=fields(reason=str(error)))
        await asyncio.sleep(RETRY_S)

    def _new_pulse(self) -> Pulse:
        return Pulse(self._client, self._clock, self.feed.tell_all, self._answered)
