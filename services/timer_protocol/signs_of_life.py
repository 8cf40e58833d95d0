"""Signs of life for the service manager, from an event loop that turns."""

import asyncio

from timer_protocol.service_manager import ServiceManager

_NS_PER_S = 1_000_000_000


async def give_signs_of_life(manager: ServiceManager, status: str) -> None:
    """Gives them until it is cancelled; none where nobody listens."""
    while manager.listens:
        await asyncio.sleep(manager.interval_ns / _NS_PER_S)
        manager.alive(status)
