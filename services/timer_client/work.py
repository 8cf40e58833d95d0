"""A worker of a queue, for threads: takes deliveries, renews their leases, and settles them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Literal

from timer_client.calls import Call
from timer_client.ending import PROCESS
from timer_client.errors import LimitReached, QueueNotFound, TimerError
from timer_client.holding import (
    CLOSING_S,
    STUCK_S,
    UNSETTLED,
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
from timer_client.talks import carry_out
from timer_protocol.queue_messages import Delivery, NackParams, Settled

Order = Literal["look", "closed", "interrupted"]
"""What the keeper is to do: to look when a lease is due, or to give all back."""

CLOSED_WITHIN_S = 4 * CLOSING_S
"""How long a close waits for what is given back."""


@dataclass(frozen=True)
class Carrier:
    """A client as its workers use it."""

    settings: Settings
    tried: Callable[[Call[Any], Patience], Any]
    """Gives the result of a call; the patience tells how often it was tried. Raises `TimerError`."""
    sleep: Callable[[float], None]
    """Returns after a pause. Raises `ClientClosed`."""
    spans: Spans | None = None
    """Makes the spans of blocks that handle deliveries."""


class HeldDelivery(Held):
    """A delivery that this worker holds; its lease renews itself until it is settled.

    As a context manager it is acknowledged at the end of the block, and given back for another attempt where an
    exception leaves the block.
    """

    def __init__(
        self,
        queue: str,
        delivery: Delivery,
        settle: "Callable[[HeldDelivery, Call[Settled]], None]",
        spans: Spans | None,
    ) -> None:
        super().__init__(queue, delivery, spans)
        self._settle = settle

    def ack(self) -> None:
        """Is done with it: its end never comes again. Settling it a second time does nothing.

        Raises `LeaseLost` where its lease was over, and `ServerUnreachable`, after which it may be called again.
        """
        self._settle(self, ack_page(self.queue, [self.receipt]))

    def nack(self, reason: str | None = None, *, then: Then = "retry", delay_ms: int | None = None) -> None:
        """Gives it back: for another attempt, to "return" it as if it had not been taken, or up ("dead").

        Otherwise as `ack`; `reason` and `delay_ms` are as in `TimerClient.nack`.
        """
        self._settle(self, nack_page(NackParams(self.queue, [self.receipt], then, delay_ms, reason)))

    def __enter__(self) -> "HeldDelivery":
        self.begin_block()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        try:
            self._leave_block(error)
        except BaseException as failure:
            self.end_block(failure)
            raise
        self.end_block(error)

    def _leave_block(self, error: BaseException | None) -> None:
        if error is None:
            self.ack()
            return
        try:
            if isinstance(error, Exception):
                self.nack(reason_of(error))
            else:
                self.nack(then="return")
        except TimerError as failure:  # the first error is the one to be told
            log.info("%s could not be given back: %s", self.id, failure)


class Work(Iterator[HeldDelivery]):
    """The deliveries of a queue, one after the other, without end. `TimerClient.work` makes it.

    Threads may share it. It is closed by `with` or `close`, with its client, or soon after it is dropped: then what it
    holds is given back.
    """

    def __init__(self, carrier: Carrier, wish: Wish) -> None:
        self.desk = Desk(carrier, wish)

    def __next__(self) -> HeldDelivery:
        """The next delivery, once there is one."""
        try:
            with self.desk.turn:
                held = self.desk.next()
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C: the client may be closed before this is dropped
                self.desk.close(interrupted=True)
            raise
        if held is None:
            raise StopIteration
        return held

    def __enter__(self) -> "Work":
        self.desk.open()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        self.desk.close(interrupted=error is not None and not isinstance(error, Exception))

    def __del__(self) -> None:
        self.desk.abandon()

    def on_take(self, tell: OnTake) -> None:
        """Has a function told the key of each take before it is made.

        Who keeps the last one can withdraw it after this process was killed: `take(queue, key=…)` gives what that take
        has got, to be given back at once. Otherwise it comes again when its lease ends.
        """
        self.desk.on_take(tell)

    def stop(self) -> None:
        """Ends the loops over it, once they have come to their next delivery, or within a few seconds."""
        self.desk.stop()

    def close(self) -> None:
        """Gives back what is held. What was handed out and not settled has used its attempt."""
        self.desk.close(interrupted=False)


class Desk:
    """What a `Work`, its deliveries and its keeper share.

    The keeper is a thread that renews leases, and in the end gives back what is held. A destructor could not do that:
    it may run at any instant, also within a call.
    """

    def __init__(self, carrier: Carrier, wish: Wish) -> None:
        self._carrier = carrier
        self._wish = wish
        self._holding = Holding(wish, self._hold)
        self._begin()
        self._is_open = False
        self._is_closed = False
        self._keeper: threading.Thread | None = None
        self._is_stopped = False
        self._process = PROCESS
        self._process.heirs.add(self)

    def after_fork(self) -> None:
        """Lets go of what the parent holds."""
        self._begin()
        self._keeper = None
        self._is_stopped = self._is_closed = True

    def on_take(self, tell: OnTake) -> None:
        """Has a function told the key of each take before it is made."""
        self._holding.on_take = tell

    def open(self) -> None:
        """Looks at the queue, and makes it where that is asked for."""
        if not self._is_open:
            self._holding.leases = Leases(carry_out(open_queue(self._wish), self._call))
            self._keeper = threading.Thread(target=self._keep, name="timer-leases", daemon=True)
            self._keeper.start()
            self._is_open = True

    def next(self) -> HeldDelivery | None:
        """The next delivery, once there is one; None once it was stopped."""
        self.open()
        while not self._is_stopped:
            self._settle_left()
            if (held := self._hand_out()) is not None:
                return held
            if self._wait_for_room():
                self._take()
        return None

    def stop(self) -> None:
        """Has nothing more handed out."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def close(self, *, interrupted: bool) -> None:
        """Gives back what is held. Never raises, nor waits long: the rest is ready again when its lease ends."""
        if self._process.is_ending:
            return
        self.abandon(interrupted=interrupted)
        with self._changed:
            self._changed.notify_all()
        if self._keeper is not None:
            self._keeper.join(CLOSED_WITHIN_S)

    def abandon(self, *, interrupted: bool = False) -> None:
        """Has the keeper give back what is held, without waiting for it."""
        if not self._is_closed:
            self._is_stopped = self._is_closed = True
            self._orders.put("interrupted" if interrupted else "closed")

    def _begin(self) -> None:
        self._changed = threading.Condition(threading.RLock())  # a destructor may close it at any instant
        self.turn = threading.Lock()
        """Held by the thread that takes."""
        self._orders: SimpleQueue[Order] = SimpleQueue()  # which a destructor may put into

    def _hand_out(self) -> HeldDelivery | None:
        """The next delivery of those that were taken."""
        with self._changed:
            return self._holding.hand_out()

    def _settle_left(self) -> None:
        """Gives back what a loop that holds one at a time has left unsettled."""
        if self._wish.concurrency > 1:
            return
        for held in [*self._holding.handed_out.values()]:
            log.warning("%s was left without an ack or a nack, and is given back", held.id)
            with suppress(TimerError):
                held.nack(UNSETTLED)

    def _wait_for_room(self) -> bool:
        """Waits until there is room for another delivery. False where it has ended meanwhile."""
        with self._changed:
            while self._holding.room < 1 and not self._is_stopped:
                if not self._changed.wait(STUCK_S):
                    self._holding.tell_stuck()
            return not self._is_stopped

    def _take(self) -> None:
        """Takes deliveries, if some come in time."""
        with self._changed:
            call = self._holding.take()
        try:
            taken = self._call(call)
        except LimitReached as error:
            if not error.data.get("later"):
                raise
            log.info("queue %s: %s; trying again", self._wish.queue, error)
            self._carrier.sleep(self._carrier.settings.retry_max_s)
            return
        with self._changed:
            self._holding.took(taken.deliveries, time.monotonic())
            self._changed.notify_all()
        self._orders.put("look")

    def _hold(self, delivery: Delivery) -> HeldDelivery:
        return HeldDelivery(self._wish.queue, delivery, self._settle, self._carrier.spans)

    def _settle(self, held: HeldDelivery, call: Call[Settled]) -> None:
        if held.is_lost:
            raise held.lost()
        if held.is_settled:
            return
        with self._changed:
            is_repeat = self._holding.begin_settling(held)
        patience = Patience(self._carrier.settings)
        outcome: Settled | BaseException
        try:
            outcome = self._carrier.tried(call, patience)
        except BaseException as failure:  # Ctrl-C too
            outcome = failure
        with self._changed:
            is_repeat = is_repeat or patience.tries > 0
            error = self._holding.end_settling(held, outcome, time.monotonic(), is_repeat=is_repeat)
            self._changed.notify_all()
        if error is not None:
            raise error

    def _keep(self) -> None:
        """Renews leases until the work is closed, and gives back what it holds then."""
        while True:
            with self._changed:
                due_s = self._holding.leases.next_due_s
            try:
                order = self._orders.get(timeout=None if due_s is None else max(due_s - time.monotonic(), 0))
            except Empty:
                self._renew()
                continue
            if order != "look":
                self._give_back(interrupted=order == "interrupted")
                return

    def _renew(self) -> None:
        """Renews the leases that are due."""
        leases, now_s = self._holding.leases, time.monotonic()
        with self._changed:
            receipts = leases.due(now_s)
        lost: list[str] = []
        try:
            if receipts:
                lost = self._call(renew_page(self._wish.queue, receipts, leases.asked_ms)).lost
        except QueueNotFound:
            lost = receipts
        except Exception as error:  # also what `on_pause` raises
            log.info("queue %s: leases could not be renewed: %s", self._wish.queue, error)
            now_s = time.monotonic()
        with self._changed:
            leases.renewed(receipts, now_s)
            for held in self._holding.lose(lost):
                log.info("%s", held.lost())
            self._changed.notify_all()

    def _give_back(self, *, interrupted: bool) -> None:
        with self._changed:
            talk = self._holding.give_back(interrupted=interrupted)
        brief = for_closing(self._carrier.settings)
        try:
            carry_out(talk, lambda call: self._carrier.tried(call, Patience(brief)))
        except TimerError as error:
            log.info("queue %s: what was held could not be given back: %s", self._wish.queue, error)

    def _call(self, call: Call[Any]) -> Any:
        return self._carrier.tried(call, Patience(self._carrier.settings))
