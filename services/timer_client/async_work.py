"""A worker of a queue, for tasks: takes deliveries, renews their leases, and settles them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from timer_client.calls import Call
from timer_client.errors import ClientClosed, LimitReached, QueueNotFound, TimerError
from timer_client.holding import (
    CLOSING_S,
    STUCK_S,
    Held,
    Holding,
    OnTake,
    Wish,
    for_closing,
    log,
    open_queue,
    reason_of,
)
from timer_client.leases import Leases
from timer_client.queue_calls import Then, ack_page, nack_page, renew_page
from timer_client.retry import Patience
from timer_client.settings import Settings
from timer_client.spans import Spans
from timer_client.talks import carry_out_awaiting
from timer_protocol.queue_messages import RECEIPTS_MAXIMUM, Delivery, NackParams, Settled


@dataclass(frozen=True)
class AsyncCarrier:
    """A client as its workers use it."""

    settings: Settings
    tried: Callable[[Call[Any], Patience], Awaitable[Any]]
    """Gives the result of a call; the patience tells how often it was tried. Raises `TimerError`."""
    sleep: Callable[[float], Awaitable[None]]
    """Returns after a pause. Raises `ClientClosed`."""
    spans: Spans | None = None
    """Makes the spans of blocks that handle deliveries."""


class AsyncHeldDelivery(Held):
    """A delivery that this worker holds; its lease renews itself until it is settled.

    As an asynchronous context manager it is acknowledged at the end of the block, and given back for another attempt
    where an exception leaves the block. Where the lease is lost the block is cancelled, and raises `LeaseLost`.
    """

    def __init__(self, delivery: Delivery, desk: "Desk") -> None:
        super().__init__(desk.queue, delivery, desk.spans)
        self._desk = desk
        self._handler: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self._cancelled_before = 0

    async def ack(self) -> None:
        """Is done with it: its end never comes again. Settling it a second time does nothing.

        Raises `LeaseLost` where its lease was over, and `ServerUnreachable`, after which it may be called again.
        Acknowledgements that are made at the same time travel together.
        """
        await self._desk.ack(self)

    async def nack(self, reason: str | None = None, *, then: Then = "retry", delay_ms: int | None = None) -> None:
        """Gives it back: for another attempt, to "return" it as if it had not been taken, or up ("dead").

        Otherwise as `ack`; `reason` and `delay_ms` are as in `AsyncTimerClient.nack`.
        """
        call = nack_page(NackParams(self.queue, [self.receipt], then, delay_ms, reason))
        await self._desk.nack(self, call)

    async def __aenter__(self) -> "AsyncHeldDelivery":
        if self.is_lost:
            raise self.lost()
        self.begin_block()
        self._handler = asyncio.current_task()
        self._cancelled_before = self._handler.cancelling() if self._handler is not None else 0
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        try:
            await self._leave_block(error)
        except BaseException as failure:
            self.end_block(failure)
            raise
        self.end_block(error)

    async def _leave_block(self, error: BaseException | None) -> None:
        handler, self._handler = self._handler, None
        if (
            self._is_cancelled
            and handler is not None
            and handler.uncancel() <= self._cancelled_before
            and isinstance(error, asyncio.CancelledError)
        ):
            raise self.lost() from error
        if error is None:
            await self.ack()
            return
        try:
            if isinstance(error, Exception):
                await self.nack(reason_of(error))
            else:
                await self.nack(then="return")
        except TimerError as failure:  # the first error is the one to be told
            log.info("%s could not be given back: %s", self.id, failure)

    def cancel_handler(self) -> None:
        """Cancels the block that handles it, if there is one, as its lease is lost."""
        if self._handler is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._handler.cancel()


class AsyncWork(AsyncIterator[AsyncHeldDelivery]):
    """The deliveries of a queue, one after the other, without end. `AsyncTimerClient.work` makes it.

    Tasks may share it. `async with`, `aclose` or the close of its client gives back what it holds.
    """

    def __init__(self, carrier: AsyncCarrier, wish: Wish) -> None:
        self.desk = Desk(carrier, wish)
        self._turn = asyncio.Lock()
        """Held by the task that takes."""

    async def __anext__(self) -> AsyncHeldDelivery:
        """The next delivery, once there is one."""
        async with self._turn:
            held = await self.desk.next()
        if held is None:
            raise StopAsyncIteration
        return held

    async def __aenter__(self) -> "AsyncWork":
        await self.desk.open()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        await self.desk.close(interrupted=error is not None and not isinstance(error, Exception))

    def __del__(self) -> None:
        self.desk.abandon()

    def on_take(self, tell: OnTake) -> None:
        """Has a function told the key of each take before it is made.

        Who keeps the last one can withdraw it after this process was killed: `take(queue, key=…)` gives what that take
        has got, to be given back at once. Otherwise it comes again when its lease ends.
        """
        self.desk.on_take(tell)

    def stop(self) -> None:
        """Ends the loops over it as soon as they come to their next delivery."""
        self.desk.stop()

    async def aclose(self) -> None:
        """Gives back what is held. What was handed out and not settled has used its attempt."""
        await self.desk.close(interrupted=False)


class Desk:
    """What an `AsyncWork`, its deliveries and its tasks share."""

    def __init__(self, carrier: AsyncCarrier, wish: Wish) -> None:
        self._carrier = carrier
        self._wish = wish
        self.queue = wish.queue
        self.spans = carrier.spans
        self._holding = Holding(wish, self._hold)
        self._is_open = False
        self._is_closed = False
        self._is_stopped = False
        self._has_room = asyncio.Event()
        self._has_leases = asyncio.Event()
        self._taking: asyncio.Task[Any] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._acks: list[tuple[AsyncHeldDelivery, asyncio.Future[None]]] = []
        self._acking: asyncio.Task[None] | None = None

    def on_take(self, tell: OnTake) -> None:
        """Has a function told the key of each take before it is made."""
        self._holding.on_take = tell

    async def open(self) -> None:
        """Looks at the queue, and makes it where that is asked for."""
        if not self._is_open:
            self._holding.leases = Leases(await carry_out_awaiting(open_queue(self._wish), self._call))
            self._is_open = True

    async def next(self) -> AsyncHeldDelivery | None:
        """The next delivery, once there is one; None once it was stopped."""
        await self.open()
        while not self._is_stopped:
            if (held := self._holding.hand_out()) is not None:
                return held
            if await self._wait_for_room():
                await self._take()
        return None

    def stop(self) -> None:
        """Has nothing more handed out, and ends a take under way."""
        self._is_stopped = True
        self._has_room.set()
        if self._taking is not None:
            self._taking.cancel()

    def abandon(self) -> None:
        """Lets leases run out, where nobody closes it."""
        if self._renewing is not None and not self._renewing.get_loop().is_closed():
            self._renewing.cancel()

    async def close(self, *, interrupted: bool) -> None:
        """Gives back what is held. Never raises: what is not given back is ready again when its lease ends."""
        if self._is_closed:
            return
        self._is_closed = True
        self.stop()
        if self._acking is not None:
            await asyncio.wait((self._acking,), timeout=CLOSING_S)
        self.abandon()
        brief = for_closing(self._carrier.settings)
        try:
            talk = self._holding.give_back(interrupted=interrupted)
            await carry_out_awaiting(talk, lambda call: self._carrier.tried(call, Patience(brief)))
        except TimerError as error:
            log.info("queue %s: what was held could not be given back: %s", self.queue, error)

    async def ack(self, held: AsyncHeldDelivery) -> None:
        """Acknowledges a delivery, together with others."""
        if held.is_lost:
            raise held.lost()
        if held.is_settled:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acks.append((held, done))
        if self._acking is None:
            self._acking = asyncio.create_task(self._send_acks())
        await done

    async def nack(self, held: AsyncHeldDelivery, call: Call[Settled]) -> None:
        """Gives a delivery back."""
        if held.is_lost:
            raise held.lost()
        if held.is_settled:
            return
        (error,) = await self._settle([held], lambda _: call)
        if error is not None:
            raise error

    async def _send_acks(self) -> None:
        """Sends the acknowledgements that there are, and those that come meanwhile."""
        while self._acks:
            batch, self._acks = self._acks[:RECEIPTS_MAXIMUM], self._acks[RECEIPTS_MAXIMUM:]
            errors = await self._settle([held for held, _ in batch], partial(ack_page, self.queue))
            for (_, done), error in zip(batch, errors, strict=True):
                if done.done():  # who waited for it was cancelled
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._acking = None

    async def _settle(
        self, several: Sequence[AsyncHeldDelivery], make: Callable[[list[str]], Call[Settled]]
    ) -> list[BaseException | None]:
        """Settles deliveries by one call. Returns the error of each."""
        holding, patience = self._holding, Patience(self._carrier.settings)
        repeats = {held.receipt: holding.begin_settling(held) for held in several if not held.is_lost}
        outcome: Settled | BaseException = Settled([], [])
        try:
            if repeats:
                outcome = await self._carrier.tried(make([*repeats]), patience)
        except (Exception, asyncio.CancelledError) as error:  # also what `on_pause` raises
            outcome = error
        now_s, errors = time.monotonic(), list[BaseException | None]()
        for held in several:
            if held.receipt in repeats:
                is_repeat = repeats[held.receipt] or patience.tries > 0
                errors.append(holding.end_settling(held, outcome, now_s, is_repeat=is_repeat))
            else:
                errors.append(held.lost())
        self._has_room.set()
        return errors

    def _hold(self, delivery: Delivery) -> AsyncHeldDelivery:
        return AsyncHeldDelivery(delivery, self)

    async def _wait_for_room(self) -> bool:
        """Waits until there is room for another delivery. False where it has ended meanwhile."""
        while self._holding.room < 1 and not self._is_stopped:
            self._has_room.clear()
            try:
                async with asyncio.timeout(STUCK_S):
                    await self._has_room.wait()
            except TimeoutError:
                self._holding.tell_stuck()
        return not self._is_stopped

    async def _take(self) -> None:
        """Takes deliveries, if some come in time."""
        self._taking = asyncio.create_task(self._take_some())  # so that `stop` can end it
        try:
            await self._taking
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if not self._is_stopped or (this is not None and this.cancelling()):
                raise
        finally:
            self._taking = None

    async def _take_some(self) -> None:
        try:
            taken = await self._call(self._holding.take())
        except LimitReached as error:
            if not error.data.get("later"):
                raise
            log.info("queue %s: %s; trying again", self.queue, error)
            await self._carrier.sleep(self._carrier.settings.retry_max_s)
            return
        self._holding.took(taken.deliveries, time.monotonic())
        self._has_leases.set()
        if taken.deliveries and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Renews leases until the work is closed."""
        leases = self._holding.leases
        while True:
            receipts = await self._next_due(leases)
            now_s = time.monotonic()
            lost: list[str] = []
            try:
                lost = (await self._call(renew_page(self.queue, receipts, leases.asked_ms))).lost
            except ClientClosed:
                return
            except QueueNotFound:
                lost = receipts
            except Exception as error:  # also what `on_pause` raises
                log.info("queue %s: leases could not be renewed: %s", self.queue, error)
                now_s = time.monotonic()
            leases.renewed(receipts, now_s)
            for held in self._holding.lose(lost):
                log.info("%s", held.lost())
                held.cancel_handler()
            self._has_room.set()

    async def _next_due(self, leases: Leases) -> list[str]:
        """The receipts to renew, once it is time."""
        while True:
            due_s = leases.next_due_s
            left_s = None if due_s is None else due_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return leases.due(time.monotonic())
            self._has_leases.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._has_leases.wait()

    async def _call(self, call: Call[Any]) -> Any:
        return await self._carrier.tried(call, Patience(self._carrier.settings))
