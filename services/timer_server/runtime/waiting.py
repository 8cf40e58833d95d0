"""Requests that wait: for the end of a timer, or for an event. Each is answered once, at the latest in its time."""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from msgspec import Struct

from timer_protocol.codec import RequestId
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import PARKED_MAXIMUM
from timer_server.core.model import Event
from timer_server.runtime.answers import JsonAnswer

_SLACK = 64
_NS_PER_MS = 1_000_000


class Wish(Struct, frozen=True):
    """What a request waits for, and until when; `outcome` makes its result when time is up."""

    until_ns: int
    outcome: Callable[[int], object]


class WaitForEnd(Wish, frozen=True, kw_only=True):
    """Wait until a timer ends in an event after `after_seq`."""

    timer_id: str
    after_seq: int


class WaitForEvent(Wish, frozen=True, kw_only=True):
    """Wait until there is an event of a timer whose id begins with `prefix`; `outcome` is the result then too."""

    prefix: str


class _Waiter:
    __slots__ = ("answer", "is_done", "number", "place", "wish")

    def __init__(self, number: int, wish: Wish, answer: JsonAnswer, place: int) -> None:
        self.number = number
        self.wish = wish
        self.answer = answer
        self.place = place
        self.is_done = False


class Waiting:
    """All requests that wait. Its methods fill answers and return those that are complete; the caller sends them."""

    def __init__(self) -> None:
        self._for_end: dict[str, dict[int, _Waiter]] = {}
        self._for_event: dict[int, _Waiter] = {}
        self._by_time: list[tuple[int, int, _Waiter]] = []
        self._count = 0
        self._number = 0

    def __len__(self) -> int:
        return self._count

    def park(self, wish: Wish, answer: JsonAnswer, request_id: RequestId) -> None:
        """Lets a request wait; its place in the answer is kept. Raises `Refusal` (limit_reached)."""
        if self._count >= PARKED_MAXIMUM:
            raise Refusal(
                ErrorCode.LIMIT_REACHED,
                f"{PARKED_MAXIMUM} requests are waiting already; ask again without wait_ms",
                limit="parked_requests",
                maximum=PARKED_MAXIMUM,
            )
        self._count += 1
        self._number += 1
        waiter = _Waiter(self._number, wish, answer, answer.hold_place(request_id))
        heappush(self._by_time, (wish.until_ns, waiter.number, waiter))
        if isinstance(wish, WaitForEnd):
            self._for_end.setdefault(wish.timer_id, {})[waiter.number] = waiter
        elif isinstance(wish, WaitForEvent):
            self._for_event[waiter.number] = waiter

    def next_due_ns(self) -> int | None:
        """When the first of them runs out of time; None where none waits."""
        while self._by_time and self._by_time[0][2].is_done:
            heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None

    def notify(self, events: Iterable[Event], now_ns: int) -> list[JsonAnswer]:
        """Answers those who waited for one of these events, which are durable by now."""
        if not self._count:
            return []
        ready: list[JsonAnswer] = []
        happened_to = set()
        for event in events:
            happened_to.add(event.timer.id)
            if event.timer.ended_at_ms is not None:
                for waiter in list(self._for_end.get(event.timer.id, {}).values()):
                    if isinstance(waiter.wish, WaitForEnd) and event.seq > waiter.wish.after_seq:
                        self._finish(waiter, event.timer.view(now_ns // _NS_PER_MS), ready)
        for waiter in list(self._for_event.values()):
            wish = waiter.wish
            if isinstance(wish, WaitForEvent) and any(timer_id.startswith(wish.prefix) for timer_id in happened_to):
                self._finish(waiter, wish.outcome(now_ns), ready)
        return ready

    def expire(self, now_ns: int) -> list[JsonAnswer]:
        """Answers those whose time is up with how things stand."""
        ready: list[JsonAnswer] = []
        next_due_ns = self.next_due_ns()
        while next_due_ns is not None and next_due_ns <= now_ns:
            waiter = self._by_time[0][2]
            try:
                outcome = waiter.wish.outcome(now_ns)
            except Refusal as refusal:
                outcome = refusal
            self._finish(waiter, outcome, ready)
            next_due_ns = self.next_due_ns()
        return ready

    def fail_all(self, refusal: Refusal) -> list[JsonAnswer]:
        """Answers everybody with an error."""
        ready: list[JsonAnswer] = []
        for _, _, waiter in list(self._by_time):
            if not waiter.is_done:
                self._finish(waiter, refusal, ready)
        return ready

    def _finish(self, waiter: _Waiter, outcome: object, ready: list[JsonAnswer]) -> None:
        waiter.is_done = True
        self._count -= 1
        if isinstance(waiter.wish, WaitForEnd):
            waiters = self._for_end[waiter.wish.timer_id]
            del waiters[waiter.number]
            if not waiters:
                del self._for_end[waiter.wish.timer_id]
        else:
            del self._for_event[waiter.number]
        if waiter.answer.fill_place(waiter.place, outcome):
            ready.append(waiter.answer)
        if len(self._by_time) > 2 * self._count + _SLACK:
            self._by_time = [entry for entry in self._by_time if not entry[2].is_done]
            heapify(self._by_time)
