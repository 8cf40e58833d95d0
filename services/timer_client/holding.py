"""What a worker of a queue holds: what it has taken, handed out and settled. No socket and no clock.

The blocking worker and the one for asyncio move the calls, and tell the time. What both have to know is here: when
there is room for more, what a repeated answer means, and what is given back in the end.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Generic, TypeVar

from msgspec import Struct

from timer_client.arguments import wrong_kind
from timer_client.calls import Call, Talk, new_id
from timer_client.errors import InvalidArgument, LeaseLost, NotPermitted, QueueNotFound, TimerError
from timer_client.leases import Leases
from timer_client.queue_calls import get_queue, nack_page, put_queue, take_page
from timer_client.settings import Settings
from timer_client.spans import Spans
from timer_protocol.messages import Event, Timer
from timer_protocol.plurals import counted
from timer_protocol.queue_messages import (
    REASON_CHARACTERS,
    RECEIPTS_MAXIMUM,
    TAKE_MAXIMUM,
    Deliveries,
    Delivery,
    NackParams,
    Queue,
    Settled,
)
from timer_protocol.traces import Trace

log = logging.getLogger("timer_client")

TAKE_WAIT_MS = 5_000
"""How long a take waits at the server. What is ready within that after a worker was killed may go to its last take,
unless that is withdrawn (`on_take`)."""

OnTake = Callable[[str], object]
"""Is told the key of each take before it is made."""

CLOSING_S = 1.0
"""How long each of the last calls may take: what they do not reach is ready again when its lease ends."""

CONCURRENCY_MAXIMUM = RECEIPTS_MAXIMUM
"""As many as one call renews, or gives back."""

STUCK_S = 60.0
"""How long there may be no room for more before that is told."""

UNSETTLED = "the worker went on without an ack or a nack"


class Wish(Struct, frozen=True):
    """What a worker works on."""

    queue: str
    prefix: str | None
    put: Call[Queue]
    """Makes the queue where there is none."""
    concurrency: int


class Held:
    """A delivery that this worker holds. It is settled once; its lease is renewed until then."""

    def __init__(self, queue: str, delivery: Delivery, spans: Spans | None) -> None:
        self.queue = queue
        self.delivery = delivery
        self._spans = spans
        self._span: AbstractContextManager[object] | None = None
        """Around the block that handles it."""
        self.is_settled = False
        """Whether it was acknowledged or given back."""
        self.is_lost = False
        """Whether its lease is over, so that another worker may have it."""
        self.was_asked = False
        """Whether a call to settle it was sent before, and may have been applied."""
        self.has_block = False
        """Whether it is a context manager's, which settles it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of queue {self.queue!r}, attempt {self.attempt}>"

    @property
    def event(self) -> Event:
        """The end of the timer."""
        return self.delivery.event

    @property
    def timer(self) -> Timer:
        """The timer as it ended."""
        return self.delivery.event.timer

    @property
    def id(self) -> str:
        """The timer's id."""
        return self.delivery.event.timer.id

    @property
    def payload(self) -> Any:
        """The timer's payload."""
        return self.delivery.event.timer.payload

    @property
    def receipt(self) -> str:
        """What names its lease."""
        return self.delivery.receipt

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.delivery.attempt

    @property
    def max_deliveries(self) -> int:
        """After how many attempts it is a dead letter; 0 for no end of them."""
        return self.delivery.max_deliveries

    @property
    def trace(self) -> Trace | None:
        """Where in a trace its timer was started, if that was told."""
        return self.delivery.trace or None

    def begin_block(self) -> None:
        """Notes that a block handles it, in a span where spans are made."""
        self.has_block = True
        if self._spans is not None:
            self._span = self._spans.working(self.queue, self.delivery)
            self._span.__enter__()

    def end_block(self, error: BaseException | None) -> None:
        """Ends the span of its block, which has failed with an error or has not."""
        span, self._span = self._span, None
        if span is not None:
            span.__exit__(None if error is None else type(error), error, None if error is None else error.__traceback__)

    def lost(self) -> LeaseLost:
        """The error for a lease that is over."""
        return LeaseLost(self.queue, self.id, self.receipt)


H = TypeVar("H", bound=Held)


class Holding(Generic[H]):
    """The deliveries of a worker, from the take until they are settled."""

    def __init__(self, wish: Wish, hold: Callable[[Delivery], H]) -> None:
        self.wish = wish
        self.leases = Leases(None)
        self.waiting: deque[H] = deque()
        """Those that were taken and not yet handed out."""
        self.handed_out: dict[str, H] = {}
        """Those that were handed out and are not settled, by receipt."""
        self.on_take: OnTake | None = None
        self._hold = hold
        self._asked: tuple[int, str] | None = None
        """How many the take under way has asked for, and its key."""
        self._has_told = False

    @property
    def room(self) -> int:
        """How many more may be taken now."""
        return min(self.wish.concurrency - len(self.waiting) - len(self.handed_out), TAKE_MAXIMUM)

    def take(self) -> Call[Deliveries]:
        """The take to make; the same one until it is answered."""
        if self._asked is None:
            key = new_id()
            if self.on_take is not None:
                self.on_take(key)
            self._asked = self.room, key
        most, key = self._asked
        return take_page(self.wish.queue, most, TAKE_WAIT_MS, key)

    def took(self, deliveries: Sequence[Delivery], now_s: float) -> None:
        """Takes what a take gave, which was there at `now_s`."""
        self._asked = None
        self.waiting += map(self._hold, deliveries)
        self.leases.begin((delivery.receipt for delivery in deliveries), now_s)

    def hand_out(self) -> H | None:
        """The next delivery whose lease holds, if there is one."""
        while self.waiting:
            held = self.waiting.popleft()
            if not held.is_lost:
                self.handed_out[held.receipt] = held
                return held
        return None

    def lose(self, receipts: Iterable[str]) -> list[H]:
        """Lets go of those whose leases are over, but for those that are just being settled. Returns them."""
        of = {held.receipt: held for held in (*self.waiting, *self.handed_out.values())}
        lost = [of[receipt] for receipt in receipts if receipt in self.leases and receipt in of]
        for held in lost:
            held.is_lost = True
            self.leases.end(held.receipt)
            self.handed_out.pop(held.receipt, None)
        return lost

    def begin_settling(self, held: H) -> bool:
        """Whether the answer to a call that settles it would be that to a repeat."""
        self.leases.end(held.receipt)
        is_repeat, held.was_asked = held.was_asked, True
        return is_repeat

    def end_settling(
        self, held: H, outcome: Settled | BaseException, now_s: float, *, is_repeat: bool
    ) -> BaseException | None:
        """Takes the outcome of a call that settles it, and returns the error that it comes to.

        After an error that leaves open whether it was applied, it may be tried again. The answer to a repeat never says
        that a lease is lost: the first call may have ended it.
        """
        if not isinstance(outcome, Settled):
            if isinstance(outcome, TimerError) and not outcome.retryable:
                self.forget(held)
            else:
                self.leases.begin([held.receipt], now_s)
            return outcome
        self.forget(held)
        if is_repeat or held.receipt not in outcome.lost:
            return None
        held.is_lost = True
        return held.lost()

    def tell_stuck(self) -> None:
        """Warns once that nothing is settled, unless a block is about to do that."""
        if self._has_told or any(held.has_block for held in self.handed_out.values()):
            return
        self._has_told = True
        out = counted(len(self.handed_out), "delivery is", "deliveries are")
        log.warning("queue %s: %s out for long; each needs its ack or nack before the next", self.wish.queue, out)

    def forget(self, held: H) -> None:
        """Notes that a delivery is settled, or no longer this worker's."""
        held.is_settled = True
        self.leases.end(held.receipt)
        self.handed_out.pop(held.receipt, None)

    def give_back(self, *, interrupted: bool) -> Talk[None]:
        """Lets go of everything; the calls give it back. A take that still waits is withdrawn.

        What nobody has begun uses no attempt. What was handed out has used its attempt, unless the work on it was
        `interrupted`.
        """
        returned = [held.receipt for held in self.waiting if not held.is_lost]
        left = [held.receipt for held in self.handed_out.values() if not held.is_lost]
        for held in (*self.waiting, *self.handed_out.values()):
            held.is_lost = True
            self.leases.end(held.receipt)
        self.waiting.clear()
        self.handed_out.clear()
        asked, self._asked = self._asked, None
        return self._giving_back(asked, *((returned + left, []) if interrupted else (returned, left)))

    def _giving_back(self, asked: tuple[int, str] | None, returned: list[str], left: list[str]) -> Talk[None]:
        queue = self.wish.queue
        if asked is not None:
            # The same take, which does not wait, takes the place of the one that does.
            taken: Deliveries = yield take_page(queue, asked[0], 0, asked[1])
            returned = returned + [delivery.receipt for delivery in taken.deliveries]
        if returned:
            yield nack_page(NackParams(queue, returned, "return"))
        if left:
            yield nack_page(NackParams(queue, left, reason=UNSETTLED))


def wish_for(
    queue: str,
    prefix: str | None,
    concurrency: int,
    lease_ms: int | None,
    max_deliveries: int | None,
    backoff_ms: Sequence[int] | None,
) -> Wish:
    """What a worker works on. Raises `InvalidArgument`."""
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or not 1 <= concurrency <= CONCURRENCY_MAXIMUM:
        raise wrong_kind("concurrency", concurrency, f"a whole number from 1 to {CONCURRENCY_MAXIMUM}")
    if not isinstance(prefix, str | None):
        raise wrong_kind("prefix", prefix, "text or None")
    put = put_queue(queue, prefix or "", lease_ms=lease_ms, max_deliveries=max_deliveries, backoff_ms=backoff_ms)
    return Wish(queue, prefix, put, concurrency)


def open_queue(wish: Wish) -> Talk[int | None]:
    """How long the queue leases, None where this client's key may not read it.

    The queue is made where there is none and the key may; one that is there is not changed. Raises `QueueNotFound`, and
    `InvalidArgument` where it reads the ends below another prefix.
    """
    try:
        queue: Queue = yield get_queue(wish.queue)
    except NotPermitted:
        return None
    except QueueNotFound as not_found:
        if wish.prefix is None:
            raise
        try:
            queue = yield wish.put
        except NotPermitted:
            raise not_found from None
    if wish.prefix not in (None, queue.prefix):
        raise InvalidArgument(
            f"queue {wish.queue!r} reads the ends below {queue.prefix!r}, not below {wish.prefix!r}: "
            "leave the prefix out to work on what it reads, or change it by `timer queue put`, put_queue in the library"
        )
    return queue.lease_ms


def for_closing(settings: Settings) -> Settings:
    """The settings of the last calls: one short try each."""
    return replace(settings, timeout_s=min(CLOSING_S, settings.timeout_s), retry_deadline_s=0.0)


def reason_of(error: BaseException) -> str:
    """What a nack says of the exception that a delivery was left by."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    return text.encode(errors="backslashreplace").decode()[:REASON_CHARACTERS]
