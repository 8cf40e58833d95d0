"""Requests that wait for the end of a timer, an event or a delivery. Each is answered once, at the latest when its time
is up.

One event may wake many of them. They are answered in order, a few at a time. Takes that wait for deliveries of a queue
are served in the turn in which there are some: to take is a change, and the answers leave once it is durable.

How many may wait is limited, for all together and for each connection and key. The server cannot see that a client has
given a request up, or has gone. So where there is no room for a new one, an older one gives way (`shares`): it is
answered as if its time were up. Whoever still wants to wait asks again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush

from timer_protocol.codec import RequestId, encode
from timer_protocol.errors import Refusal
from timer_protocol.sender import Sender
from timer_server.core.model import Countdown
from timer_server.limits import GIVING_WAY_MOST, PAGE_BYTES, PARKED_BYTES, PARKED_MAXIMUM
from timer_server.requests.answers import STORE_AWAY, Answer, Waiting
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shares import SharedLimit
from timer_server.requests.waiters import Waiter, Waiters, WaitingMessage
from timer_server.requests.waits import EventWait, Wait, WaitInLine
from timer_server.store.base import StoreAway

_SLACK = 64

_TAKE_COST = 90
"""Entries that might be looked at for a page in the time that a take needs besides its deliveries: it is logged."""

_TAKEN_BYTES = PAGE_BYTES + 1024 * 1024
"""What the result of a take may come to: payloads, and what is around them."""


class Parked:
    """All requests that wait for the timers of one log, and the answers that are complete but not taken yet."""

    def __init__(self) -> None:
        self._waiters = Waiters()
        self._to_serve: dict[str, None] = {}
        """Queues that may have something for the takes that wait."""
        self._by_time: list[tuple[int, int, Waiter]] = []
        self._woken: deque[Waiter] = deque()
        self._count = 0
        self._number = 0
        self._places: SharedLimit[WaitingMessage] = SharedLimit(
            "parked_requests", PARKED_MAXIMUM, ("request is waiting", "requests are waiting")
        )
        self._bytes: SharedLimit[WaitingMessage] = SharedLimit(
            "parked_bytes", PARKED_BYTES, ("byte is kept for batches", "bytes are kept for batches")
        )
        self._applied: WaitingMessage | None = None
        """The message that is being applied, once one of its requests waits."""
        self.ready: list[Answer] = []
        """The answers that are complete and not taken yet, this list as long as the server runs."""

    def __len__(self) -> int:
        return self._count

    def limits(self) -> Mapping[str, float]:
        """How much of each limit is taken, by its name: 1 is all of it."""
        return {"parked_requests": self._places.use, "parked_bytes": self._bytes.use}

    def park(
        self,
        wait: Wait,
        answer: Waiting,
        request_id: RequestId,
        sender: Sender,
        now_ns: int,
        slot: int | None = None,
    ) -> Waiter:
        """Lets a request wait, with a slot reserved in its answer unless one is given.

        Raises `Refusal` (limit_reached).
        """
        message = self._applied
        if message is None or message.answer is not answer:
            message = WaitingMessage(answer, sender, now_ns)
        self._make_room(self._places, message, 1)
        self._places.take(message, 1)
        self._applied = message
        self._count += 1
        self._number += 1
        waiter = Waiter(self._number, wait, message, answer.hold_slot(request_id) if slot is None else slot)
        message.waiters.append(waiter)
        message.waiting += 1
        earlier = self._waiters.add(waiter)
        heappush(self._by_time, (wait.until_ns, waiter.number, waiter))
        if earlier is not None:
            self._finish(earlier, _outcome(earlier, now_ns, earlier.message.answer.room))
        return waiter

    def hold(self, answer: Waiting) -> None:
        """Keeps an answer with missing responses until they are there, if one of its requests waits here. Call it once
        all others are in it.

        Where there is no room for so many bytes, the requests that wait are refused, and the answer is complete.
        """
        message, self._applied = self._applied, None
        if message is None or message.answer is not answer:
            return
        message.is_held = True
        if answer.is_batch:
            size = answer.size()
            try:
                self._make_room(self._bytes, message, size)
            except Refusal as refusal:
                message.is_held = False
                for waiter in [*message.waiters]:
                    self._finish(waiter, refusal)
            else:
                self._keep(message, size)

    def take_ready(self) -> list[Answer]:
        """The answers that have become complete since the last call."""
        ready = [*self.ready]
        self.ready.clear()  # others hold it, to put in what they have completed
        return ready

    def next_due_ns(self) -> int | None:
        """When the next request has to be answered: 0 for now, where one was woken; None where none waits."""
        return 0 if self._woken or self.ready or self._to_serve else self._next_time_ns()

    def _next_time_ns(self) -> int | None:
        """When the next request runs out of time."""
        while self._by_time and self._by_time[0][2].is_done:
            heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None

    def notify(self, events: Iterable[Countdown]) -> None:
        """Wakes the requests that waited for one of these events, which have to be durable."""
        if not self._count:
            return
        for waiter, event in self._waiters.woken_by(events):
            self._waiters.remove(waiter)
            waiter.event = event
            self._woken.append(waiter)

    def answer_woken(self, now_ns: int, most: int) -> None:
        """Answers up to `most` woken requests, in the order in which they woke.

        Each may read a page of the log, into the room of its own reply. Once they have taken as much as one reply has,
        the others are left for the next turn.
        """
        turn = ReplyRoom()
        for _ in range(min(most, len(self._woken))):
            if not turn.is_left:
                return
            waiter = self._woken.popleft()
            if not waiter.is_done:
                room = waiter.message.answer.room
                left_bytes, left_entries = room.left_bytes, room.left_entries
                self._finish(waiter, _outcome(waiter, now_ns, room))
                turn.left_bytes -= left_bytes - room.left_bytes
                turn.left_entries -= left_entries - room.left_entries

    def wake_takes(self, queues: Iterable[str]) -> None:
        """Notes queues that may have something for the takes that wait for them."""
        for queue in queues:
            if self._waiters.line(queue):
                self._to_serve[queue] = None

    def serve_woken_takes(self, now_ns: int) -> None:
        """Serves takes of the queues that were noted. Once they have taken as much as one reply has, the others are
        left for the next turn."""
        if not self._to_serve:
            return
        turn = ReplyRoom()
        for queue in [*self._to_serve]:
            if not turn.is_left:
                return
            del self._to_serve[queue]
            if not self.serve_takes(queue, now_ns, turn):
                self._to_serve[queue] = None

    def serve_takes(self, queue: str, now_ns: int, turn: ReplyRoom | None = None) -> bool:
        """Serves the takes that wait for a queue, in turn, as long as it has something and `turn` has room.

        Returns whether that was all. To be called before a new take is applied, as that comes after them.
        """
        line = self._waiters.line(queue)
        if not line:
            return True
        turn = ReplyRoom() if turn is None else turn
        while line:
            if not turn.is_left:
                return False
            waiter = next(iter(line.values()))
            room = waiter.message.answer.room
            left_bytes, left_entries = room.left_bytes, room.left_entries
            outcome = self._take_for(waiter, now_ns)
            if outcome is None:
                return True
            self._finish(waiter, outcome)
            turn.left_bytes -= left_bytes - room.left_bytes
            turn.left_entries -= left_entries - room.left_entries + _TAKE_COST
        return True

    def end_take(self, queue: str, key: str, now_ns: int) -> None:
        """Answers the take of a queue that waits and has this key, if there is one, as if its time were up."""
        waiter = self._waiters.keyed(queue, key)
        if waiter is not None:
            self._finish(waiter, _outcome(waiter, now_ns, waiter.message.answer.room))

    def end_takes(self, queue: str, now_ns: int, refusal: Refusal | None = None) -> None:
        """Answers all takes that wait for a queue: with a refusal, or as if their time were up."""
        for waiter in list(self._waiters.line(queue).values()):
            self._finish(waiter, refusal or _outcome(waiter, now_ns, waiter.message.answer.room))

    def expire(self, now_ns: int, most: int) -> None:
        """Answers up to `most` requests whose time is up, with the event that woke them if there was one."""
        for _ in range(most):
            until_ns = self._next_time_ns()
            if until_ns is None or until_ns > now_ns:
                return
            waiter = self._by_time[0][2]
            self._finish(waiter, _outcome(waiter, now_ns, waiter.message.answer.room))

    def give_up(self, waiter: Waiter) -> None:
        """Ends a wait without an answer, if it has none yet."""
        if not waiter.is_done:
            self._end(waiter)

    def take_back(self, is_lost: Callable[[Waiter], bool]) -> list[Waiter]:
        """Ends the waits that `is_lost` says it of, without an answer, and returns them in the order of their times."""
        lost = [waiter for _, _, waiter in sorted(self._by_time) if not waiter.is_done and is_lost(waiter)]
        for waiter in lost:
            self._end(waiter)
        return lost

    def fail_all(self, refusal: Refusal) -> None:
        """Answers all requests with an error."""
        for _, _, waiter in list(self._by_time):
            if not waiter.is_done:
                self._finish(waiter, refusal)
        self._woken.clear()

    def _make_room(self, limit: SharedLimit[WaitingMessage], message: WaitingMessage, amount: int) -> None:
        """Has others give way until a limit has room for so much more of a message. Raises `Refusal`."""
        left = GIVING_WAY_MOST
        while (part := limit.full_part(message, amount)) is not None:
            giver = limit.take_giver(part, message, amount) if left > 0 else None
            if giver is None:
                raise limit.refusal(part)
            # Those that were woken meanwhile are answered soon, by what woke them.
            waiting = [waiter for waiter in giver.waiters if not waiter.is_done and waiter.event is None]
            left -= len(waiting) + 1
            for waiter in waiting:
                outcome = _outcome(waiter, message.since_ns, message.answer.room)
                self._finish(waiter, outcome, is_counted=False)  # as the others end with it, it is kept for no time

    def _take_for(self, waiter: Waiter, now_ns: int) -> object:
        """What a take that waits gets now; None for nothing. Nothing is taken where there would be no room to keep it
        until the rest of its batch is answered."""
        message, wait = waiter.message, waiter.wait
        assert isinstance(wait, WaitInLine)
        if message.answer.missing > 1 and (part := self._bytes.full_part(message, _TAKEN_BYTES)) is not None:
            return self._bytes.refusal(part)
        try:
            return wait.take(now_ns, message.answer.room)
        except Refusal as refusal:
            return refusal
        except StoreAway:
            return STORE_AWAY

    def _finish(self, waiter: Waiter, outcome: object, is_counted: bool = True) -> None:
        """Ends a wait. Where the rest of its message is still to come, its outcome counts as bytes that are kept."""
        message = waiter.message
        answer = message.answer
        if is_counted and message.is_held and answer.missing > 1:
            outcome = self._kept(message, outcome)
        self._end(waiter)
        if answer.fill_slot(waiter.slot, outcome) and message.is_held:
            self.ready.append(answer)

    def _end(self, waiter: Waiter) -> None:
        """Takes a waiter out of all it is in. Once none of its message waits, what that has taken is given back."""
        waiter.is_done = True
        self._count -= 1
        if waiter.event is None:
            self._waiters.remove(waiter)
        message = waiter.message
        message.waiting -= 1
        is_last = not message.waiting
        self._places.give_back(message, 1, is_all=is_last)
        if is_last:
            message.waiters.clear()  # a cycle would outlive the request: the garbage policy sets old objects aside
            if message.held_bytes:
                self._bytes.give_back(message, message.held_bytes, is_all=True)
                message.held_bytes = 0
        if len(self._by_time) > 2 * self._count + _SLACK:
            self._by_time = [entry for entry in self._by_time if not entry[2].is_done]
            heapify(self._by_time)

    def _kept(self, message: WaitingMessage, outcome: object) -> object:
        """The outcome to keep until the rest of its message is there: a refusal where too much is kept already."""
        if isinstance(outcome, Refusal):
            return outcome
        size = len(encode(outcome))
        if (part := self._bytes.full_part(message, size)) is not None:
            return self._bytes.refusal(part)
        self._keep(message, size)
        return outcome

    def _keep(self, message: WaitingMessage, size: int) -> None:
        self._bytes.take(message, size)
        message.held_bytes += size


def _outcome(waiter: Waiter, now_ns: int, room: ReplyRoom) -> object:
    """The outcome for a waiter: from the event that woke it, or that its time is up."""
    try:
        if waiter.event is not None:
            assert isinstance(waiter.wait, EventWait)
            return waiter.wait.woken(waiter.event, now_ns, room)
        return waiter.wait.timed_out(now_ns, room)
    except Refusal as refusal:
        return refusal
    except StoreAway:
        return STORE_AWAY
