"""What a request may wait for: the end of a timer, an event, a delivery, or its turn in a line."""

from collections.abc import Callable

from msgspec import Struct

from timer_server.core.model import Countdown
from timer_server.requests.room import ReplyRoom


class Wait(Struct, frozen=True, kw_only=True):
    """What a request waits for, and until when.

    `timed_out` makes the result when the time is up. It takes what it needs from the room of a reply, as the functions
    of the other kinds of waits do.
    """

    until_ns: int
    timed_out: Callable[[int, ReplyRoom], object]


class EventWait(Wait, frozen=True, kw_only=True):
    """A wait that an event ends: `woken` makes the result from that and the time."""

    woken: Callable[[Countdown, int, ReplyRoom], object]


class WaitForEnd(EventWait, frozen=True, kw_only=True):
    """Wait until a timer ends in an event after `after_seq`."""

    timer_id: str
    after_seq: int


class WaitForEvent(EventWait, frozen=True, kw_only=True):
    """Wait until there is an event of a timer whose id begins with `prefix`."""

    prefix: str


class WaitInLine(Wait, frozen=True, kw_only=True):
    """Wait, behind others in a line, until there is something: `take` returns it, or None where there is nothing."""

    line: str
    take: Callable[[int, ReplyRoom], object]


class WaitForDelivery(WaitInLine, frozen=True, kw_only=True):
    """Wait until a queue has something for a take. The line is the queue's name; `take_key` is the key of the take."""

    take_key: str | None
