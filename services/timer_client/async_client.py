"""The client for asyncio, with the same methods as `TimerClient`."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from timer_client import calls, many, plan_calls, queue_calls
from timer_client.arguments import finite_seconds
from timer_client.async_transport import MESSAGES_IN_FLIGHT, AsyncTransport
from timer_client.async_work import AsyncCarrier, AsyncWork, Desk
from timer_client.calls import Call, Talk, TimerSpec
from timer_client.client import (
    WAIT_CHUNK_S,
    Endpoints,
    Outcomes,
    Timers,
    check_parts,
    chosen_settings,
    unwrapped,
)
from timer_client.cursor import After, cursor_after
from timer_client.errors import ServerUnreachable, TimerError
from timer_client.follower import Follower
from timer_client.holding import wish_for
from timer_client.keys import load_keys
from timer_client.link import Context
from timer_client.retry import OnPause, Patience, Postponed, Unanswered, Unfinished, log_pause, try_awaitable
from timer_client.session import Batches, Exchange
from timer_client.settings import Settings
from timer_client.signatures import awaitable, awaitable_talk
from timer_client.spans import Spans, spanned, spanned_starts
from timer_client.streams import AsyncEventStream
from timer_client.talks import carry_out_awaiting
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import Event, State, Timer

T = TypeVar("T")
Waiting = list[tuple[Call[Any], asyncio.Future[Any]]]


class AsyncTimerClient:
    """A client for the tasks of one event loop.

    Calls made in the same turn of the loop travel in one message. Otherwise it is like `TimerClient`.
    """

    start = awaitable(calls.start)
    get = awaitable(calls.get)
    list = awaitable(calls.list)
    pause = awaitable(calls.pause)
    resume = awaitable(calls.resume)
    cancel = awaitable(calls.cancel)
    extend = awaitable(calls.extend)
    restart = awaitable(calls.restart)
    start_columns = awaitable_talk(many.start_columns)
    change_many = awaitable_talk(many.change_many)
    read_events = awaitable(calls.read_events)
    info = awaitable(calls.info)
    discover = awaitable(calls.discover)
    put_plan = awaitable(plan_calls.put_plan)
    delete_plan = awaitable(plan_calls.delete_plan)
    get_plan = awaitable(plan_calls.get_plan)
    plans = awaitable_talk(plan_calls.plans)
    pause_plan = awaitable(plan_calls.pause_plan)
    resume_plan = awaitable(plan_calls.resume_plan)
    skip_plan = awaitable(plan_calls.skip_plan)
    run_plan = awaitable(plan_calls.run_plan)
    preview_plan = awaitable(plan_calls.preview_plan)
    put_queue = awaitable(queue_calls.put_queue)
    delete_queue = awaitable(queue_calls.delete_queue)
    get_queue = awaitable(queue_calls.get_queue)
    queues = awaitable_talk(queue_calls.queues)
    take = awaitable_talk(queue_calls.take)
    ack = awaitable_talk(queue_calls.ack)
    nack = awaitable_talk(queue_calls.nack)
    renew = awaitable_talk(queue_calls.renew)
    dead = awaitable(queue_calls.dead)
    revive = awaitable_talk(queue_calls.revive)
    drop = awaitable_talk(queue_calls.drop)

    def __init__(
        self,
        server: Endpoints | None = None,
        events: Endpoints | None = None,
        *,
        settings: Settings | None = None,
        context: Context | None = None,
        on_pause: OnPause = log_pause,
        tracing: Spans | None = None,
    ) -> None:
        self.settings = chosen_settings(server, events, settings)
        check_parts(context, on_pause, tracing)
        self._on_pause = on_pause
        self._spans = tracing
        self._batches = Batches()
        self._transport = AsyncTransport(self.settings.server_endpoints, context, load_keys(self.settings))
        self._desks: WeakSet[Desk] = WeakSet()
        """Those of its workers."""
        self._gathered: Waiting = []
        self._deliveries: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "AsyncTimerClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections, after workers have given back what they hold. Timers run on.

        Calls under way raise `ClientClosed`.
        """
        if not self._transport.is_inherited:
            for desk in [*self._desks]:
                await desk.close(interrupted=False)
        self._transport.close()
        if not self._transport.is_inherited:  # else their event loop is the parent's
            here = asyncio.get_running_loop()
            own = [delivering for delivering in self._deliveries if delivering.get_loop() is here]
            await asyncio.gather(*own, return_exceptions=True)  # one that was cancelled just now is no fault

    async def call(self, call: Call[T]) -> T:
        """The result of any call. Raises `TimerError`."""
        call = calls.below(call, self.settings.id_prefix)
        if self._spans is None:
            return await self._carried(call)
        with spanned(self._spans, call) as in_span:
            return await self._carried(in_span)

    def _carried(self, call: Call[T]) -> Awaitable[T]:
        """What comes of a call, which is sent with the others of this turn of the loop."""
        if call.wait_ms:  # its answer may take long, and would hold back the others in its message
            return self._tried(call, Patience(self.settings))
        self._transport.use()
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._send_gathered)
        delivery: asyncio.Future[T] = loop.create_future()
        self._gathered.append((call, delivery))
        return delivery

    async def talk(self, talk: Talk[T]) -> T:
        """The result of calls of which each follows from the results of those before. Raises `TimerError`."""
        return await carry_out_awaiting(talk, self.call)

    async def start_many(self, specs: Iterable[TimerSpec]) -> Timers:
        """Starts any number of timers, many in one message, and returns them in their order.

        Raises the first error. The timers before it may have been started; passing the same specs again starts
        nothing twice, as each has its id.
        """
        starts = calls.start_specs(specs)
        if self._spans is None:
            return await self._start_all(starts)
        with spanned_starts(self._spans, starts) as in_span:
            return await self._start_all(in_span)

    async def _start_all(self, starts: Iterable[Call[Timer]]) -> Timers:
        batches = enumerate(self._batches.cut(starts))
        outcomes: dict[int, Outcomes] = {}
        failed = False

        async def keep_sending() -> None:
            nonlocal failed
            for number, batch in batches:
                outcomes[number] = await self._carry(batch, Patience(self.settings))
                failed |= any(isinstance(outcome, TimerError) for outcome in outcomes[number])
                if failed:
                    return

        senders = [asyncio.create_task(keep_sending()) for _ in range(MESSAGES_IN_FLIGHT)]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
        return [unwrapped(outcome) for number in sorted(outcomes) for outcome in outcomes[number]]

    async def timers(
        self, prefix: str = "", state: State | None = None, *, states: Sequence[State] | None = None
    ) -> AsyncIterator[Timer]:
        """All timers whose id begins with `prefix`, in the order of their ids, page by page as they are asked for."""
        after = None
        while True:
            page = await self.list(prefix, state, after, PAGE_MAXIMUM, states=states)
            for timer in page.timers:
                yield timer
            if page.next is None:
                return
            after = page.next

    async def wait(self, timer: Timer | str, timeout_s: float | None = None) -> Timer:
        """The timer once it has ended, or as it stands after `timeout_s`. Raises `TimerNotFound`.

        Without `timeout_s` it waits without end.
        """
        ends_s = None if timeout_s is None else time.monotonic() + finite_seconds("timeout_s", timeout_s)
        while True:
            left_s = WAIT_CHUNK_S if ends_s is None else max(ends_s - time.monotonic(), 0)
            waited = await self.call(calls.wait_once(timer, round(min(left_s, WAIT_CHUNK_S) * 1000)))
            if waited.ended or (ends_s is not None and time.monotonic() >= ends_s):
                return waited

    def events(self, prefix: str = "", after: After = "now") -> AsyncEventStream:
        """Follows events without end: none missed, none twice, in the order of `seq` in each log, whatever happens.

        `prefix` is matched against `<id> <kind>`: `order/` is all ids below it, `order/42 ` one timer and
        `order/42 fired` its end. `after` is a `Cursor` or its text, such as the `cursor` of an earlier stream or of
        `info()`; "start" is all there is, and "now" begins at the first step of the iteration, and not at
        this call: `after=client.info().cursor` begins there.

        Raises `EventsTruncated`, after the events that are left, if some of what was asked for is gone; and
        `ServerUnreachable`.
        """
        follower = Follower(prefix, cursor_after(after), self.settings.events_endpoints)
        return AsyncEventStream(follower, self._follow(follower))

    def work(
        self,
        queue: str,
        prefix: str | None = None,
        *,
        concurrency: int = 1,
        lease_ms: int | None = None,
        max_deliveries: int | None = None,
        backoff_ms: Sequence[int] | None = None,
    ) -> AsyncWork:
        """Takes the deliveries of a queue, one after the other, without end, and renews their leases while they last.

        Each is to be settled by its `ack` or `nack`, or as a context manager: acknowledged at the end of its block,
        given back for another attempt where an exception leaves it. At most `concurrency` are held unsettled; the loop
        goes on once there are fewer. Only a loop of a `TimerClient` that holds 1 gives it back then, as nobody else
        settles it. Where there is no queue and a `prefix` is given, it is made, with what else is given, if this
        client's key may; one that is there is never changed.

        Raises `QueueNotFound`, `ServerUnreachable`, and `InvalidArgument` where the queue has another prefix.
        """
        wish = wish_for(queue, prefix, concurrency, lease_ms, max_deliveries, backoff_ms)
        work = AsyncWork(AsyncCarrier(self.settings, self._tried, self._transport.sleep, self._spans), wish)
        self._desks.add(work.desk)
        return work

    async def _tried(self, call: Call[Any], patience: Patience) -> Any:
        """The result of a call that travels alone, tried for as long as `patience` lasts. Raises `TimerError`."""
        (outcome,) = await self._carry([call], patience)
        return unwrapped(outcome)

    async def _follow(self, follower: Follower) -> AsyncGenerator[Event, None]:
        if not follower.has_begun:
            follower.begin(await self.info())
        subscription = await self._transport.subscribe(follower.roster.endpoints, follower.topics)
        try:
            while True:
                if follower.roster.is_outdated:
                    follower.roster.take(await self.info())
                    await subscription.listen_to(follower.roster.endpoints)
                while follower.behind:
                    page = await self.read_events(follower.cursor, follower.id_prefix, PAGE_MAXIMUM)
                    for event in follower.take(page):
                        yield event
                began_s = time.monotonic()
                frames = await subscription.receive(follower.listens_s)
                heard = None if frames is None else follower.hear(frames)
                follower.listen(time.monotonic() - began_s)
                if heard is not None:
                    yield heard
        finally:
            self._transport.unsubscribe(subscription)

    def _send_gathered(self) -> None:
        """Sends the calls that were made in this turn of the loop."""
        gathered, self._gathered = self._gathered, []
        deliveries = iter([delivery for _, delivery in gathered])
        for batch in self._batches.cut(call for call, _ in gathered):
            awaited = [*itertools.islice(deliveries, len(batch))]
            delivering = asyncio.create_task(self._deliver(batch, awaited))
            self._deliveries.add(delivering)
            delivering.add_done_callback(self._deliveries.discard)
            for delivery in awaited:
                delivery.add_done_callback(partial(_give_up_unawaited, delivering, awaited))

    async def _deliver(self, batch: Sequence[Call[Any]], deliveries: Sequence[asyncio.Future[Any]]) -> None:
        """Carries calls, and sets each outcome on its future unless that was cancelled."""
        try:
            outcomes = await self._carry(batch, Patience(self.settings))
        except Exception as error:  # the callers also get what `on_pause` raises
            outcomes = [error] * len(batch)
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            if delivery.done():
                continue
            if isinstance(outcome, Exception):
                delivery.set_exception(outcome)
            else:
                delivery.set_result(outcome)

    async def _carry(self, batch: Sequence[Call[Any]], patience: Patience) -> Outcomes:
        """The outcomes of calls that travel in one message, in their order."""
        exchange = Exchange(batch)
        try:
            attempt = partial(self._attempt, exchange, patience)
            await try_awaitable(attempt, self.settings, patience, self._on_pause, self._transport.sleep)
        except Unanswered:
            exchange.give_up(ServerUnreachable(self.settings.server, patience.tried_s, patience.tries, patience.reason))
        except Unfinished:
            pass  # the outcomes are the server's own errors
        if exchange.oversize is None:
            return exchange.outcomes
        return [
            outcome
            for part in self._batches.cut_smaller(exchange)
            for outcome in await self._carry(part, Patience(self.settings))
        ]

    async def _attempt(self, exchange: Exchange, patience: Patience) -> None:
        endpoint = await self._transport.carry(exchange, patience)
        if exchange.unsettled:
            if exchange.is_turned_away:
                self._transport.leave(endpoint)
            raise Postponed(exchange.reason, endpoint=endpoint)


def _give_up_unawaited(delivering: asyncio.Task[None], awaited: Sequence[asyncio.Future[Any]], _: object) -> None:
    """Ends the tries of calls once all who awaited them were cancelled: their event loop may be stopped next."""
    if all(delivery.cancelled() for delivery in awaited):
        delivering.cancel()
