"""SIGTERM while asyncio runs."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from timer_client.cli.interrupts import Terminated

T = TypeVar("T")


async def until_sigterm(watching: Coroutine[Any, Any, T]) -> T:
    """Watches until SIGTERM, which ends the task: an exception from a signal may be lost in a callback.

    Raises `Terminated`, as elsewhere.
    """
    task = asyncio.ensure_future(watching)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel, "SIGTERM")
    try:
        return await task
    except asyncio.CancelledError as ended:
        if ended.args == ("SIGTERM",):
            raise Terminated from None
        raise
