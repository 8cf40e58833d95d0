"""Asks every second how the logs stand: so their clocks are known, and it shows whether a server answers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from timer_client import AsyncTimerClient
from timer_client.errors import TimerError
from timer_gateway.streams.questions import STANDING, Standing
from timer_protocol.messages import LogStanding

EVERY_S: Final = 1.0
AWAY_AFTER_S: Final = 2.0
"""A server that has not answered for so long is away."""


class Pulse:
    """Whether the server is there, and what time it is in its logs."""

    def __init__(
        self,
        client: AsyncTimerClient,
        clock: Callable[[], float],
        news: Callable[[], None],
        answered: Callable[[], None],
    ) -> None:
        """`answered` is called with each answer, `news` with the first and when the server goes or comes back."""
        self._client = client
        self._clock = clock
        self._news = news
        self._answered = answered
        self.is_away = False
        self._logs: Mapping[str, LogStanding] | None = None
        self._heard_s: float | None = None

    @property
    def silent_ms(self) -> int | None:
        """How long ago the server was heard last; None if it never was."""
        return None if self._heard_s is None else round((self._clock() - self._heard_s) * 1000)

    def clocks_ms(self) -> dict[str, int] | None:
        """What the clocks of the logs show now, by the last answer; None before there was one."""
        if self._logs is None:
            return None
        passed_ms = self.silent_ms or 0
        return {log: standing.now_ms + passed_ms for log, standing in self._logs.items()}

    async def run(self) -> None:
        """Asks without end."""
        while True:
            asking = asyncio.create_task(self._client.call(STANDING))
            try:
                await asyncio.wait((asking,), timeout=AWAY_AFTER_S)
                if not asking.done():
                    self._note_silence()
                self._note(await asking)
            except TimerError:
                self._note_silence()
            finally:
                asking.cancel()
            await asyncio.sleep(EVERY_S)

    def _note(self, standing: Standing) -> None:
        self._answered()
        is_news = self.is_away or self._logs is None
        self._logs, self._heard_s, self.is_away = standing.logs, self._clock(), False
        if is_news:
            self._news()

    def _note_silence(self) -> None:
        if not self.is_away:
            self.is_away = True
            self._news()
