"""Sends the ends of one endpoint's queue: makes an attempt for each, and acknowledges it or gives it back."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator

from timer_client.async_client import AsyncTimerClient
from timer_client.async_work import AsyncHeldDelivery, AsyncWork
from timer_client.errors import QueueNotFound, TimerError
from timer_protocol.queue_messages import Queue
from timer_webhooks.config import Endpoint
from timer_webhooks.counts import Counts
from timer_webhooks.database import Database, DatabaseError, Try
from timer_webhooks.exchange import Answer, Exchange
from timer_webhooks.fitness import UnfitQueue, check_fitness, put_command
from timer_webhooks.logs import fields, log
from timer_webhooks.schedule import delay_ms
from timer_webhooks.standing import Standing
from timer_webhooks.webhook import Webhook, webhook_of

LOOK_S = 5.0
"""How often a disabled endpoint is looked at, which `timer-webhooks enable` may have changed."""

AGAIN_S = 15.0
"""How long to wait where the queue is missing, unfit or refused, before it is asked for again."""

ASK_AGAIN_S = 1.0
"""How long to wait where the server has not answered, before it is asked the same again."""

WATCH_S = 30.0
"""How often the queue is looked at for the metrics, and for ends that it has given up."""

QUIET_S = 60.0
"""The least time between two lines that say that an endpoint fails: one may fail and succeed in turns."""

STOP_S = 6.0
"""How long attempts under way are waited for at the end. Then they are given back, for the next sender."""

GIVE_BACK_S = 2.0
"""How long that may take. What is not given back by then, as where the server is away, is ready when its lease ends."""


class Sender:
    """Sends to one endpoint. What happens to others does not hold it up."""

    def __init__(self, endpoint: Endpoint, client: AsyncTimerClient, database: Database, counts: Counts) -> None:
        """Raises `ConfigError` and `DatabaseError`."""
        self._endpoint = endpoint
        self._client = client
        self._database = database
        self._counts = counts
        self._exchange = Exchange(endpoint)
        self._fields = fields(endpoint=endpoint.name)
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._work: AsyncWork | None = None
        """The worker, while ends are taken or attempts are under way."""

        self._fault = ""
        self._database_fault = ""
        self._has_told_failure = False
        self._told_failure_s = -QUIET_S
        counts.standing = database.standing(endpoint.name)

    def stop(self) -> None:
        """Has `run` return, after the attempts under way have ended or been given back."""
        self._stopping.set()
        if self._work is not None:
            self._work.stop()
        elif self._running is not None:  # it waits, perhaps for a server that is away
            self._running.cancel()

    async def run(self) -> None:
        """Sends until it is stopped. What keeps it from that is logged once, and tried again."""
        self._running = asyncio.current_task()
        watching = asyncio.create_task(self._watch())
        try:
            while not self._stopping.is_set():
                await self._send_until_disabled()
                await self._wait_while_disabled()
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        finally:
            watching.cancel()

    async def _send_until_disabled(self) -> None:
        while not (self._counts.standing.is_disabled or self._stopping.is_set()):
            try:
                self._note_queue(await self._client.get_queue(self._endpoint.queue))
                await self._take_and_send()
            except QueueNotFound as error:
                await self._rest(f"{error}: {put_command(self._endpoint)}")
            except (TimerError, UnfitQueue) as error:
                await self._rest(str(error))

    async def _wait_while_disabled(self) -> None:
        while self._counts.standing.is_disabled and not self._stopping.is_set():
            await self._pause(LOOK_S)
            with contextlib.suppress(DatabaseError):
                standing = self._database.standing(self._endpoint.name)
                if not standing.is_disabled:
                    self._counts.standing = standing
                    log.warning("endpoint enabled", extra=self._fields)

    async def _take_and_send(self) -> None:
        """Works on the queue until it is stopped. Raises `TimerError` for what trying again does not mend."""
        await self._withdraw_last_take()
        sending: set[asyncio.Task[None]] = set()
        async with self._client.work(self._endpoint.queue, concurrency=self._endpoint.concurrency) as work:
            work.on_take(self._note_take)
            self._work = work
            if self._stopping.is_set():
                return
            self._counts.is_working, self._fault = True, ""
            log.info("working", extra=fields(endpoint=self._endpoint.name, queue=self._endpoint.queue))
            try:
                while (delivery := await self._next(work)) is not None:
                    task = asyncio.create_task(self._handle(delivery))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
            finally:
                self._counts.is_working = False
                await _end(sending)
                self._work = None

    async def _withdraw_last_take(self) -> None:
        """Gives back what the last take has got, in case the sender that made it was killed.

        The server cannot see that nobody waits for its answer any more: the next end would go to that take, and come
        again only when its lease is over.
        """
        key: str | None = None
        with self._noting():
            key = self._database.last_take(self._endpoint.name)
        if key is None:
            return
        if taken := await self._client.take(self._endpoint.queue, key=key):
            await self._client.nack(self._endpoint.queue, [one.receipt for one in taken], then="return")

    async def _next(self, work: AsyncWork) -> AsyncHeldDelivery | None:
        """The next delivery, however long the server is away; None once the work was stopped."""
        is_told = False
        while True:
            try:
                return await anext(work, None)
            except TimerError as error:
                if not error.retryable:
                    raise
                if not is_told:
                    log.warning("the server is away", extra=fields(endpoint=self._endpoint.name, reason=str(error)))
                is_told = True
                await self._pause(ASK_AGAIN_S)

    async def _handle(self, delivery: AsyncHeldDelivery) -> None:
        """Makes an attempt, and settles the delivery. What goes wrong is logged, and the end comes again."""
        try:
            async with delivery:
                await self._send(delivery)
        except TimerError as error:
            log.warning("not settled", extra=fields(endpoint=self._endpoint.name, reason=str(error)))
        except Exception:
            log.exception("an attempt failed here", extra=self._fields)

    async def _send(self, delivery: AsyncHeldDelivery) -> None:
        webhook = webhook_of(delivery.timer)
        begun_ns = time.monotonic_ns()
        answer = await self._exchange.post(webhook, delivery.trace)
        self._note(delivery, webhook, answer, time.monotonic_ns() - begun_ns)
        while True:
            try:
                return await self._settle(delivery, answer)
            except TimerError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(ASK_AGAIN_S)

    async def _settle(self, delivery: AsyncHeldDelivery, answer: Answer) -> None:
        if answer.is_delivered:
            await delivery.ack()
        elif self._counts.standing.is_disabled:
            await delivery.nack(answer.reason, then="return")
        else:
            # Not for secrets: it keeps attempts out of step.
            after_ms = delay_ms(delivery.attempt, answer.retry_after_s, random.random())  # noqa: S311
            await delivery.nack(answer.reason, delay_ms=after_ms)

    def _note(self, delivery: AsyncHeldDelivery, webhook: Webhook, answer: Answer, took_ns: int) -> None:
        """Takes down an attempt, and what it says of the endpoint."""
        self._counts.tried(answer.outcome, took_ns / 1e9)
        now_ms, name = time.time_ns() // 1_000_000, self._endpoint.name
        took_ms = took_ns // 1_000_000
        attempt = Try(now_ms, name, webhook.id, delivery.id, delivery.attempt, answer.outcome, answer.reason, took_ms)
        before, after = self._counts.standing, self._counts.standing.after(answer, now_ms)
        self._counts.standing = after
        with self._noting():
            self._database.note_try(attempt)
            if after != before:
                self._database.note_standing(name, after)
        self._tell(before, after, answer.reason)
        if after.is_disabled and self._work is not None:
            self._work.stop()

    def _note_take(self, key: str) -> None:
        with self._noting():
            self._database.note_take(self._endpoint.name, key)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """What is done to the database in a block. Where that fails it is told once, and sending goes on without it."""
        try:
            yield
            self._database_fault = ""
        except DatabaseError as error:
            if not self._database_fault:
                self._database_fault = str(error)
                log.warning("not taken down", extra=fields(endpoint=self._endpoint.name, reason=self._database_fault))

    def _tell(self, before: Standing, after: Standing, reason: str) -> None:
        """Logs how the endpoint stands where that has changed, and not more often than somebody wants to read it."""
        now_s, about = time.monotonic(), self._endpoint.name
        if after.is_disabled and not before.is_disabled:
            log.error("endpoint disabled", extra=fields(endpoint=about, reason=after.disabled_reason))
        elif after.failing_since_ms is None:
            if self._has_told_failure:
                self._has_told_failure = False
                log.warning("endpoint delivers again", extra=fields(endpoint=about))
        elif before.failing_since_ms is None and now_s - self._told_failure_s >= QUIET_S:
            self._has_told_failure, self._told_failure_s = True, now_s
            log.warning("endpoint fails", extra=fields(endpoint=about, reason=reason))

    async def _watch(self) -> None:
        """Looks at the queue now and then. Where it is not fit any more, nothing is taken from it."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self._note_queue(await self._client.get_queue(self._endpoint.queue))
            except TimerError:  # whoever works on it is told
                pass
            except UnfitQueue:
                if self._work is not None:
                    self._work.stop()

    def _note_queue(self, queue: Queue) -> None:
        """Takes down how the queue stands, and tells of ends that it has given up. Raises `UnfitQueue`."""
        before, self._counts.queue = self._counts.queue, queue
        if before is not None and (queue.dead > before.dead or queue.dropped > before.dropped):
            lost = fields(endpoint=self._endpoint.name, dead=queue.dead, dropped=queue.dropped)
            log.error("the queue has given ends up", extra=lost)
        check_fitness(queue, self._endpoint)

    async def _rest(self, fault: str) -> None:
        """Tells once what keeps it from sending, and waits a while."""
        if fault != self._fault:
            self._fault = fault
            log.error("not working", extra=fields(endpoint=self._endpoint.name, reason=fault))
        await self._pause(AGAIN_S)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()


async def _end(sending: set[asyncio.Task[None]]) -> None:
    """Waits for attempts under way; those that take too long are given back."""
    left = set(sending)
    for limit_s in (STOP_S, GIVE_BACK_S):
        if not left:
            return
        _, left = await asyncio.wait(left, timeout=limit_s)
        for task in left:
            task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
