"""A shard: one log and its timers."""

from collections.abc import Sequence

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import StateCounts, Timer
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, Recall
from timer_server.core.queues.queues import Queues
from timer_server.requests.parked import Parked
from timer_server.requests.room import ReplyRoom
from timer_server.store.base import Anchor
from timer_server.store.log import Log


class Writes(Struct, frozen=True, gc=False):
    """What one turn has to make durable in one log."""

    changes: Changes
    anchor: Anchor | None
    counts: StateCounts
    """How many timers are in each state once it is durable."""


class Shard:
    """The timers of one log: the engine that decides about them, the queues of their ends, and the log itself.

    `parked` are the requests that wait, in all shards of a server together.
    """

    def __init__(self, engine: Engine, queues: Queues, log: Log, number: int = 0, parked: Parked | None = None) -> None:
        self.number = number
        """Its number in the store."""
        self.engine = engine
        self.queues = queues
        self.log = log
        self.parked = Parked() if parked is None else parked
        self.ahead_ns = 0
        """By how much its timeline is ahead of the server's clock. Engine, queues and plans count on the timeline."""
        self.epoch = 0
        """The epoch in which this server owns it; 0 where nobody else could."""
        self.anchor: Anchor | None = None
        """The anchor of the clock to store with the next commit."""

    def at(self, now_ns: int) -> int:
        """The moment on its timeline at a moment of the server's clock."""
        return now_ns + self.ahead_ns

    def timer(self, params: TimerParams, now_ns: int, room: ReplyRoom) -> Timer:
        """Applies any request about one of its timers, and shows it. Raises `Refusal`, `StoreError`."""
        now_ns += self.ahead_ns
        timer = self.engine.handle(params, now_ns)
        if isinstance(timer, Recall):
            timer = self.engine.handle(params, now_ns, self.log.event(timer.place))
            assert not isinstance(timer, Recall)
        room.left_bytes -= len(timer.payload)
        return timer.view(now_ns // NS_PER_MS)

    def tied(self, anchor: Anchor) -> Anchor:
        """An anchor of the server's clock as one of its timeline."""
        return anchor._replace(timeline_ns=self.at(anchor.timeline_ns))

    def take_writes(self) -> Writes | None:
        """What has to be stored since the last call; None where there is nothing."""
        changes = self.engine.take_changes()
        anchor, self.anchor = self.anchor, None
        if changes.entries or changes.obsolete or anchor is not None:
            return Writes(changes, anchor, self.engine.counts())
        return None

    def events(self, places: Sequence[int]) -> list[Countdown]:
        """The events at some places, of this turn or from the log. Raises `StoreError`."""
        durable_place = self.log.durable_place
        later = [place for place in places if place > durable_place]
        if not later:
            return self.log.events(places)
        of_turn = {place: found for place in later if (found := self.engine.at(place)) is not None}
        logged = iter(self.log.events([place for place in places if place not in of_turn]))
        return [of_turn[place] if place in of_turn else next(logged) for place in places]


def total(counts: Sequence[StateCounts]) -> StateCounts:
    """The sum of the counts of several shards."""
    return StateCounts(
        **{state: sum(getattr(part, state) for part in counts) for state in StateCounts.__struct_fields__}
    )
