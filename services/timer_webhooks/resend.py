"""Sends the ends of timers again on request: `timer-webhooks resend`.

The server is asked for the timer as it ended, and the webhook is made anew from that: it has the same id as before.
"""

import time
from collections.abc import Sequence

from timer_client.async_client import AsyncTimerClient
from timer_client.settings import Settings
from timer_protocol.messages import Timer
from timer_webhooks.config import Endpoint
from timer_webhooks.database import Database, Try
from timer_webhooks.exchange import Exchange
from timer_webhooks.webhook import webhook_of


class NothingToSend(Exception):
    """There is no end to send, or nobody to send it to. The text says why."""


async def resend(
    timer_ids: Sequence[str], endpoints: Sequence[Endpoint], settings: Settings, database: Database
) -> list[Try]:
    """Sends ends once to each endpoint that they are for, and takes that down.

    Nothing is sent unless all of them can be. Raises `NothingToSend`, `TimerError`, `ConfigError`, `DatabaseError`.
    """
    async with AsyncTimerClient(settings=settings) as client:
        timers = [_ended(await client.get(timer_id)) for timer_id in timer_ids]
        jobs = [(timer, endpoint) for timer in timers for endpoint in await _meant(timer, endpoints, client)]
    exchanges = {endpoint.name: Exchange(endpoint) for _, endpoint in jobs}
    return [await _send(timer, endpoint, exchanges[endpoint.name], database) for timer, endpoint in jobs]


def _ended(timer: Timer) -> Timer:
    if not timer.ended:
        raise NothingToSend(f"{timer.id} is {timer.state}: it has no end to send")
    return timer


async def _meant(timer: Timer, endpoints: Sequence[Endpoint], client: AsyncTimerClient) -> list[Endpoint]:
    """The endpoints whose queues read this end."""
    below = [endpoint for endpoint in endpoints if timer.id.startswith(endpoint.prefix)]
    if not below:
        prefixes = ", ".join(repr(endpoint.prefix) for endpoint in endpoints)
        raise NothingToSend(f"{timer.id} is for none of these endpoints, which are for ids that begin with {prefixes}")
    meant = [endpoint for endpoint in below if timer.state in (await client.get_queue(endpoint.queue)).states]
    if not meant:
        spoken = "has fired" if timer.state == "fired" else "was cancelled"
        raise NothingToSend(f"{timer.id}: no queue of these endpoints reads the end of what {spoken}")
    return meant


async def _send(timer: Timer, endpoint: Endpoint, exchange: Exchange, database: Database) -> Try:
    webhook = webhook_of(timer)
    begun_ns = time.monotonic_ns()
    answer = await exchange.post(webhook)
    took_ms = (time.monotonic_ns() - begun_ns) // 1_000_000
    now_ms = time.time_ns() // 1_000_000
    attempt = Try(now_ms, endpoint.name, webhook.id, timer.id, 0, answer.outcome, answer.reason, took_ms)
    database.note_try(attempt)
    return attempt
