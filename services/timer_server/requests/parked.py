"""Requests that wait for the end of a timer or for an event. Each is answered once, at the latest when its time is up.

One event may wake many of them. They are answered in order, a few at a time.
"""

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from msgspec import Struct

from timer_protocol.codec import RequestId, encode
from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.plurals import counted
from timer_server.core.model import Countdown
from timer_server.limits import PARKED_BYTES, PARKED_MAXIMUM
from timer_server.requests.answers import Answer, JsonAnswer
from timer_server.requests.room import ReplyRoom

_SLACK = 64


class Wait(Struct, frozen=True, kw_only=True):
    """What a request waits for, and until when.

    `woken` makes the result from the event that ends the wait and the time, `timed_out` from the time alone.
    """

    until_ns: int
    woken: Callable[[Countdown, int, ReplyRoom], object]
    timed_out: Callable[[int], object]


class WaitForEnd(Wait, frozen=True, kw_only=True):
    """Wait until a timer ends in an event after `after_seq`."""

    timer_id: str
    after_seq: int


class WaitForEvent(Wait, frozen=True, kw_only=True):
    """Wait until there is an event of a timer whose id begins with `prefix`."""

    prefix: str


class _Waiter:
    """A parked request. Until an event wakes it, it is in `index` under `key`, with others that wait for the same."""

    __slots__ = ("after_seq", "answer", "event", "index", "is_done", "key", "number", "slot", "wait")

    def __init__(self, number: int, wait: Wait, answer: JsonAnswer, slot: int) -> None:
        self.number = number
        self.wait = wait
        self.answer = answer
        self.slot = slot
        self.is_done = False
        self.event: Countdown | None = None
        self.index: dict[str, dict[int, _Waiter]] = {}
        self.key = ""
        self.after_seq = 0


class Parked:
    """All requests that wait for the timers of one log, and the answers that are complete but not taken yet."""

    def __init__(self) -> None:
        self._for_end: dict[str, dict[int, _Waiter]] = {}
        self._for_event: dict[str, dict[int, _Waiter]] = {}
        self._by_time: list[tuple[int, int, _Waiter]] = []
        self._woken: deque[_Waiter] = deque()
        self._count = 0
        self._held_bytes = 0
        self._number = 0
        self._ready: list[Answer] = []

    def __len__(self) -> int:
        return self._count

    def park(self, wait: Wait, answer: JsonAnswer, request_id: RequestId) -> None:
        """Lets a request wait, with a place reserved in its answer. Raises `Refusal` (limit_reached)."""
        if self._count >= PARKED_MAXIMUM:
            what = f"{counted(self._count, 'request is', 'requests are')} waiting already"
            raise limit_reached("parked_requests", PARKED_MAXIMUM, what)
        if self._held_bytes >= PARKED_BYTES:
            raise _no_more_bytes()
        self._count += 1
        self._number += 1
        waiter = _Waiter(self._number, wait, answer, answer.hold_slot(request_id))
        if isinstance(wait, WaitForEnd):
            waiter.index, waiter.key, waiter.after_seq = self._for_end, wait.timer_id, wait.after_seq
        elif isinstance(wait, WaitForEvent):
            waiter.index, waiter.key = self._for_event, wait.prefix
        waiter.index.setdefault(waiter.key, {})[waiter.number] = waiter
        heappush(self._by_time, (wait.until_ns, waiter.number, waiter))

    def hold(self, answer: JsonAnswer) -> None:
        """Counts the bytes kept for an answer with waiting requests. Call it once all other responses are there."""
        answer.held_bytes = answer.size()
        self._held_bytes += answer.held_bytes

    @property
    def has_ready(self) -> bool:
        """Whether there is an answer to take."""
        return bool(self._ready)

    def take_ready(self) -> list[Answer]:
        """The answers that have become complete since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def next_due_ns(self) -> int | None:
        """When the next request has to be answered: 0 for now, where one was woken; None where none waits."""
        return 0 if self._woken or self._ready else self._next_time_ns()

    def _next_time_ns(self) -> int | None:
        """When the next request runs out of time."""
        while self._by_time and self._by_time[0][2].is_done:
            heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None

    def notify(self, events: Iterable[Countdown]) -> None:
        """Wakes the requests that waited for one of these events, which have to be durable."""
        if not self._count:
            return
        # Looking up the prefixes of an id costs the same for one waiter and for thousands.
        lengths = {len(prefix) for prefix in self._for_event}
        for event in events:
            timer_id = event.id
            waiters = [waiter for length in lengths for waiter in self._for_event.get(timer_id[:length], {}).values()]
            if event.has_ended:
                waiters += self._for_end.get(timer_id, {}).values()
            for waiter in waiters:
                if event.seq > waiter.after_seq:
                    self._leave_index(waiter)
                    waiter.event = event
                    self._woken.append(waiter)

    def answer_woken(self, now_ns: int, most: int) -> None:
        """Answers up to `most` woken requests, in the order in which they woke, as far as the room of one reply goes.

        Each may read a page of the log, so together they have no more room than the requests of one message.
        """
        room = ReplyRoom()
        for _ in range(min(most, len(self._woken))):
            if not room.is_left:
                return
            waiter = self._woken.popleft()
            if not waiter.is_done:
                self._finish(waiter, _outcome(waiter, now_ns, room))

    def expire(self, now_ns: int, most: int) -> None:
        """Answers up to `most` requests whose time is up, with the event that woke them if there was one."""
        for _ in range(most):
            until_ns = self._next_time_ns()
            if until_ns is None or until_ns > now_ns:
                return
            waiter = self._by_time[0][2]
            self._finish(waiter, _outcome(waiter, now_ns, ReplyRoom()))

    def fail_all(self, refusal: Refusal) -> None:
        """Answers all requests with an error."""
        for _, _, waiter in list(self._by_time):
            if not waiter.is_done:
                self._finish(waiter, refusal)
        self._woken.clear()

    def _leave_index(self, waiter: _Waiter) -> None:
        group = waiter.index[waiter.key]
        del group[waiter.number]
        if not group:
            del waiter.index[waiter.key]

    def _finish(self, waiter: _Waiter, outcome: object) -> None:
        waiter.is_done = True
        self._count -= 1
        if waiter.event is None:
            self._leave_index(waiter)
        answer = waiter.answer
        if answer.missing > 1:
            outcome = self._kept(answer, outcome)
        if answer.fill_slot(waiter.slot, outcome):
            self._held_bytes -= answer.held_bytes
            self._ready.append(answer)
        if len(self._by_time) > 2 * self._count + _SLACK:
            self._by_time = [entry for entry in self._by_time if not entry[2].is_done]
            heapify(self._by_time)

    def _kept(self, answer: JsonAnswer, outcome: object) -> object:
        """The outcome to keep until the rest of its message is there: a refusal where too much is kept already."""
        if isinstance(outcome, Refusal):
            return outcome
        size = len(encode(outcome))
        if self._held_bytes + size > PARKED_BYTES:
            return _no_more_bytes()
        answer.held_bytes += size
        self._held_bytes += size
        return outcome


def _no_more_bytes() -> Refusal:
    return limit_reached("parked_bytes", PARKED_BYTES, "too much is kept for requests that are waiting already")


def _outcome(waiter: _Waiter, now_ns: int, room: ReplyRoom) -> object:
    """The outcome for a waiter: from the event that woke it, or that its time is up."""
    try:
        if waiter.event is not None:
            return waiter.wait.woken(waiter.event, now_ns, room)
        return waiter.wait.timed_out(now_ns)
    except Refusal as refusal:
        return refusal
