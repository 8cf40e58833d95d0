"""The requests that wait, found by what they wait for."""

from collections.abc import Iterable, Iterator, Mapping

from timer_protocol.sender import EVERYBODY, Sender
from timer_server.core.model import Countdown
from timer_server.requests.answers import Waiting
from timer_server.requests.shares import Claimant
from timer_server.requests.waits import Wait, WaitForDelivery, WaitForEnd, WaitForEvent, WaitInLine


class WaitingMessage(Claimant):
    """A message with waiting requests, and its answer.

    `waiting` counts the requests that wait yet. `is_held` says that all its other requests have been applied: before,
    its answer is in the dispatcher's hands.
    """

    __slots__ = ("answer", "held_bytes", "is_held", "waiters", "waiting")

    def __init__(self, answer: Waiting, sender: Sender, since_ns: int) -> None:
        super().__init__(answer.envelope[0], None if sender is EVERYBODY else sender.name, since_ns)
        self.answer = answer
        self.waiters: list[Waiter] = []
        self.waiting = 0
        self.held_bytes = 0
        self.is_held = False


class Waiter:
    """A parked request. Until an event wakes it, it is in `index` under `key`, with others that wait for the same."""

    __slots__ = ("after_seq", "event", "index", "is_done", "key", "message", "number", "place", "slot", "wait")

    def __init__(self, number: int, wait: Wait, message: WaitingMessage, slot: int) -> None:
        self.number = number
        self.place = number
        """Where it stands among those that wait for the same."""
        self.wait = wait
        self.message = message
        self.slot = slot
        self.is_done = False
        self.event: Countdown | None = None
        self.index: _Index = {}
        self.key = ""
        self.after_seq = 0


_FEW = 4
"""Prefixes with which it costs less to compare an id than to look its own up."""

_Index = dict[str, dict[int, Waiter]]
"""Waiters by what they wait for, and by their places."""


class Waiters:
    """Who waits for what."""

    def __init__(self) -> None:
        self._for_end: _Index = {}
        self._for_event: _Index = {}
        self._in_line: _Index = {}
        """Takes by queue, and others by their lines, in the order in which they are served."""
        self._keyed: dict[tuple[str, str], Waiter] = {}
        """Takes with a key, by queue and key."""

    def add(self, waiter: Waiter) -> Waiter | None:
        """Has a request wait. A take with a key has the place of the one with that key which waits already, and that is
        returned."""
        wait, earlier = waiter.wait, None
        if isinstance(wait, WaitForEnd):
            waiter.index, waiter.key, waiter.after_seq = self._for_end, wait.timer_id, wait.after_seq
        elif isinstance(wait, WaitForEvent):
            waiter.index, waiter.key = self._for_event, wait.prefix
        elif isinstance(wait, WaitInLine):
            waiter.index, waiter.key = self._in_line, wait.line
            if isinstance(wait, WaitForDelivery) and wait.take_key is not None:
                earlier = self._keyed.get((wait.line, wait.take_key))
                self._keyed[wait.line, wait.take_key] = waiter
                if earlier is not None:
                    waiter.place = earlier.place
        waiter.index.setdefault(waiter.key, {})[waiter.place] = waiter
        return earlier

    def remove(self, waiter: Waiter) -> None:
        """Has a request wait for nothing any more."""
        group = waiter.index[waiter.key]
        if group.get(waiter.place) is waiter:  # another take may have its place by now
            del group[waiter.place]
        if not group:
            del waiter.index[waiter.key]
        wait = waiter.wait
        if isinstance(wait, WaitForDelivery) and wait.take_key is not None:
            known = (wait.line, wait.take_key)
            if self._keyed.get(known) is waiter:
                del self._keyed[known]

    def woken_by(self, events: Iterable[Countdown]) -> Iterator[tuple[Waiter, Countdown]]:
        """Those that have waited for one of these events, each with it. They may be removed meanwhile."""
        # To look up the prefixes of an id costs the same for one waiter and for thousands. A few are compared faster.
        lengths = {len(prefix) for prefix in self._for_event}
        few = tuple(self._for_event) if not self._for_end and len(self._for_event) <= _FEW else ("",)
        for event in events:
            timer_id = event.id
            if not timer_id.startswith(few):
                continue
            if not (self._for_event or self._for_end):
                return
            known = [length for length in lengths if length <= len(timer_id)]  # a shorter id would be found once more
            waiters = [waiter for length in known for waiter in self._for_event.get(timer_id[:length], {}).values()]
            if event.has_ended:
                waiters += self._for_end.get(timer_id, {}).values()
            for waiter in waiters:
                if event.seq > waiter.after_seq:
                    yield waiter, event

    def line(self, name: str) -> Mapping[int, Waiter]:
        """Those that wait in a line, in the order in which they are served."""
        return self._in_line.get(name, {})

    def keyed(self, queue: str, key: str) -> Waiter | None:
        """The take of a queue that waits and has this key."""
        return self._keyed.get((queue, key))
