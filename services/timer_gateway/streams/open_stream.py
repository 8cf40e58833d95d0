"""One open stream: sends what its reader gets, beats in between, and whether the server is there."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.types import Receive, Send

from timer_gateway.streams import event_text
from timer_gateway.streams.catching_up import RETRY_S
from timer_gateway.streams.following import Following
from timer_gateway.streams.pages import Page
from timer_gateway.streams.request import StreamRequest

BEAT_S: Final = 5.0
"""How often a stream says something: so the reader knows the clock, and proxies see that it is in use."""

STALLED_S: Final = 30.0
"""A reader that takes nothing for so long, though there is something for it, is cut off."""


class Stalled(Exception):
    """The reader takes nothing."""


class OpenStream:
    """What is sent over a stream after its head.

    All of it comes from one loop, so that messages have the order of their cursors. The loop looks at what there is to
    tell, and sleeps until there may be more: events, a page of the server, a change of the pulse, or a beat is due.
    """

    def __init__(
        self, following: Following, caller: str, request: StreamRequest, count_sent: Callable[[float], None]
    ) -> None:
        """`count_sent` is told how many events are sent."""
        self._following = following
        self._count_sent = count_sent
        self._feed = following.feed
        self._caller = caller
        self._is_lost = request.is_lost
        """Whether it is still to be told that its cursor could not be read."""
        self._woken = asyncio.Event()
        self._is_over = False
        self._asked: asyncio.Task[Page] | None = None
        """The page that it needs of the server before it can go on."""
        self._is_beat_due = True
        self._beat: asyncio.TimerHandle | None = None
        """What lets the next one be due."""
        self._told_away = False
        self._reader = following.open(request.prefix, request.after, self._woken.set)

    def end(self) -> None:
        """Has it end after the message that is being sent."""
        self._is_over = True
        self._woken.set()

    def close(self) -> None:
        """Gives everything back."""
        self._following.close(self._reader)
        if self._beat is not None:
            self._beat.cancel()
        if self._asked is not None:
            self._asked.cancel()

    async def send_all(self, send: Send, receive: Receive, may_go_on: Callable[[], bool]) -> None:
        """Sends until the reader has gone, `end` was called, or `may_go_on`, which is asked each time, says no.

        Raises `Stalled`.
        """
        leaving = asyncio.create_task(self._watch(receive))
        try:
            while not self._is_over and self._following.is_running and may_go_on():
                self._woken.clear()
                if text := self._next_text():
                    await _send_in_time(send, text)
                elif self._reader.block is not None:
                    await asyncio.sleep(0)
                else:
                    await self._woken.wait()
        finally:
            leaving.cancel()

    async def _watch(self, receive: Receive) -> None:
        """Ends the stream once its reader has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end()

    def _let_beat(self) -> None:
        self._is_beat_due = True
        self._woken.set()

    def _next_text(self) -> bytes:
        """What there is to tell now."""
        given = self._reader.events_given
        lines = self._asked_lines() if self._reader.is_behind else []
        if not self._reader.is_behind:
            lines += self._feed.next_lines(self._reader)
            if self._reader.is_behind:  # what it was to read is kept no longer
                self._woken.set()
        if self._reader.events_given > given:
            self._count_sent(self._reader.events_given - given)
        if self._is_beat_due or self._following.pulse.is_away != self._told_away:
            lines += self._state_lines()
        return b"".join(lines)

    def _asked_lines(self) -> list[bytes]:
        """What a page of the server gives a reader that is behind, if it is there. Asks for one if it is needed."""
        lines: list[bytes] = []
        is_idle = False
        if self._asked is not None and self._asked.done():
            page, self._asked = self._asked.result(), None
            lines = self._feed.take_page(self._reader, page)
            is_idle = not page.more
        if self._feed.cursor is None or self._feed.place(self._reader) or self._asked is not None:
            return lines
        self._asked = asyncio.create_task(self._page(RETRY_S if is_idle else 0))
        self._asked.add_done_callback(lambda _: self._woken.set())
        return lines

    async def _page(self, pause_s: float) -> Page:
        """The page after the reader's cursor."""
        await asyncio.sleep(pause_s)
        reader = self._reader
        page = await self._following.catching_up.page_after(reader.cursor, reader.prefix, self._caller)
        is_lost, self._is_lost = self._is_lost, False
        return replace(page, truncated=True) if is_lost else page

    def _state_lines(self) -> list[bytes]:
        """Whether the server is there, and if so a beat; nothing yet where what it tells is not known."""
        if self._beat is not None:
            self._beat.cancel()
        self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._let_beat)
        pulse, reader, text = self._following.pulse, self._reader, self._reader.cursor_text
        clocks_ms = pulse.clocks_ms()
        if pulse.is_away:
            message = event_text.named("away", text, {"silent_ms": pulse.silent_ms})
        elif clocks_ms is not None and text is not None and (reader.is_vouched_for or not reader.is_behind):
            seqs = (self._feed.cursor if reader.cursor is None else reader.cursor) or {}
            logs = {log: {"seq": seqs.get(log, 0), "now_ms": now_ms} for log, now_ms in clocks_ms.items()}
            message = event_text.named("beat", text, {"logs": logs})
        else:
            return []
        self._told_away = pulse.is_away
        self._is_beat_due = False
        return [message]


async def _send_in_time(send: Send, text: bytes) -> None:
    """Sends a part of the body. Raises `Stalled`."""
    try:
        async with asyncio.timeout(STALLED_S):
            await send({"type": "http.response.body", "body": text, "more_body": True})
    except TimeoutError:
        raise Stalled from None
