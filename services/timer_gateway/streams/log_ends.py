"""Asks where the logs end, for streams that begin there. Those that ask at the same time share the answer."""

import asyncio

from timer_client import AsyncTimerClient
from timer_gateway.streams.questions import STANDING


class LogEnds:
    """One question at a time, however many streams begin: who comes while one is under way shares the next."""

    def __init__(self, client: AsyncTimerClient) -> None:
        self._client = client
        self._latest: asyncio.Task[dict[str, int]] | None = None
        self._can_be_shared = False
        """Whether the latest question has not been asked yet."""

    async def cursor(self) -> dict[str, int]:
        """A cursor at the end of the logs, not from before this call. Raises `TimerError`."""
        if self._latest is None or not self._can_be_shared:
            self._latest = asyncio.create_task(self._ask_after(self._latest))
            self._can_be_shared = True
        return await asyncio.shield(self._latest)

    async def _ask_after(self, earlier: "asyncio.Task[dict[str, int]] | None") -> dict[str, int]:
        if earlier is not None:
            await asyncio.wait((earlier,))
        self._can_be_shared = False
        return (await self._client.call(STANDING)).cursor
