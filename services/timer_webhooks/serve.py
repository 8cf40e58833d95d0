"""The process that sends: one sender for each endpoint, over one connection to the server, until SIGTERM or Ctrl-C."""

import asyncio
import signal
import time
from collections.abc import Mapping

from timer_client.async_client import AsyncTimerClient
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_protocol.service_manager import ServiceManager
from timer_protocol.signs_of_life import give_signs_of_life
from timer_webhooks.config import Config
from timer_webhooks.counts import Counts
from timer_webhooks.database import Database
from timer_webhooks.logs import fields, log
from timer_webhooks.sender import Sender

_SENDING = "sending"
"""What the service manager is told of a process that is not about to stop."""

_QUIET_S = 10.0
"""The least time between two lines about one outage: it holds up many calls."""


async def serve(
    config: Config, settings: Settings, database: Database, counts: Mapping[str, Counts], manager: ServiceManager
) -> signal.Signals:
    """Sends until a signal, which it returns. `counts` are kept by endpoint, and `manager` is told how it stands.

    Raises `ConfigError`, `DatabaseError`.
    """
    stopped_by: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    async with AsyncTimerClient(settings=settings, on_pause=_Outages()) as client:
        senders = [Sender(endpoint, client, database, counts[endpoint.name]) for endpoint in config.endpoints]

        def stop(by: signal.Signals) -> None:
            if not stopped_by.done():
                stopped_by.set_result(by)
                manager.stopping()
            for sender in senders:
                sender.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it for its background jobs
                loop.add_signal_handler(number, stop, number)
        log.info("sending", extra=fields(endpoints=len(senders), server=settings.server))
        manager.ready(_SENDING)
        living = asyncio.create_task(give_signs_of_life(manager, _SENDING))
        try:
            async with asyncio.TaskGroup() as tasks:
                for sender in senders:
                    tasks.create_task(sender.run())
        finally:
            living.cancel()
    return stopped_by.result()


class _Outages:
    """Logs that the server does not answer, once in a while."""

    def __init__(self) -> None:
        self._told_at_s = -_QUIET_S

    def __call__(self, pause: Pause) -> None:
        now_s = time.monotonic()
        if now_s - self._told_at_s >= _QUIET_S:
            self._told_at_s = now_s
            log.warning("waiting for the server", extra=fields(server=pause.endpoint, reason=pause.reason))
