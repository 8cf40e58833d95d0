"""What time it is in shards of other servers, by the ties that these write down."""

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from timer_server.store.membership import Tie, View

_TIES_COMPARED = 20
"""Ties of one owner that are compared, ten seconds of them: so long no two clocks drift apart by what would matter."""


class _Known(Struct):
    """What is known of a shard's timeline.

    `ahead` is by how much its last ties were ahead of this server's boot clock when they came in. `read_in` is the
    number of the view that showed the last one as new, None where that one was there before this server.
    """

    tie: Tie
    ahead: deque[int]
    read_in: int | None


class Timelines:
    """The timelines of all shards, as far as their owners have told them.

    A tie tells a moment that had come when it was written. So what has passed since it was read, by the own boot clock,
    is never more than has passed since; the tie that came in quickest is the nearest. PostgreSQL's clock counts only
    for ties that were there before this server, as it may be another machine's by now.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self.views = 0
        """How many views were taken in."""

    def observe(self, view: View, clock_ns: int, received_ns: int) -> None:
        """Takes in the ties of a view, which came in then. `clock_ns` is PostgreSQL's clock, read with it."""
        self.views += 1
        for tie in _ties(view):
            known = self._known.get(tie.number)
            if known is None or (tie.epoch, tie.timeline_ns) > (known.tie.epoch, known.tie.timeline_ns):
                self._take_in(tie, known, clock_ns, received_ns)

    def _take_in(self, tie: Tie, known: _Known | None, clock_ns: int, received_ns: int) -> None:
        ahead_ns = tie.timeline_ns - received_ns
        if self.views == 1:
            since_ns = max(clock_ns - tie.clock_ns, 0)
            self._known[tie.number] = _Known(tie, deque([ahead_ns + since_ns]), None)
        elif known is None or known.read_in is None or known.tie.epoch != tie.epoch:
            self._known[tie.number] = _Known(tie, deque([ahead_ns], _TIES_COMPARED), self.views)
        else:
            known.tie, known.read_in = tie, self.views
            known.ahead.append(ahead_ns)

    def is_tied(self, number: int) -> bool:
        """Whether anybody has told the time of a shard."""
        return number in self._known

    def read_in(self, number: int) -> int | None:
        """The number of the view that showed a shard's last tie as new; None where it was there before this server."""
        return self._known[number].read_in

    def ahead_ns(self, number: int) -> int | None:
        """By how much a shard's timeline is ahead of the boot clock at least; None where nobody has told it."""
        known = self._known.get(number)
        return None if known is None else max(known.ahead)


def _ties(view: View) -> Iterator[Tie]:
    for shard in view.shards:
        if shard.tie is not None:
            yield shard.tie
    for server in view.servers:
        for moment in server.told.moments:
            yield Tie(*moment, server.clock_ns)
