"""Noting, once a second, how the server stands, for the metrics.

None of it goes over all timers: it is read from what the parts count anyway, whether there are ten or a million.
"""

from collections.abc import Iterator, Sequence

from timer_protocol.durations import NS_PER_MS
from timer_server.core.model import FIRED
from timer_server.loop.commit_care import Turn
from timer_server.loop.parts import Parts
from timer_server.metrics import QUEUES_NAMED
from timer_server.requests.queue_views import QueueTotals, own_queues, queue_totals, whole_totals
from timer_server.requests.shard import Shard

_SLOW_NS = 1_000 * NS_PER_MS
"""Ends in a turn that has not settled for so long count as not told yet. Lateness tells of all others."""


_QUEUES_LOOKED_AT = 1_000
"""Queues in a shard that are looked at in one turn, within two milliseconds."""


class Noting:
    """Tells the metrics what they cannot count event by event."""

    def __init__(self, parts: Parts, in_flight: Sequence[Turn]) -> None:
        """`in_flight` are the turns that have not settled, the oldest first."""
        self._metrics = parts.metrics
        self._shards, self._places = parts.shards, parts.places
        self._forwards = None if parts.peer_traffic is None else parts.peer_traffic.forwards
        self._in_flight = in_flight
        self._queue_totals: dict[Shard, QueueTotals] = {}
        """What each shard holds of all queues; first those that were looked at longest ago."""
        self._metrics.shards_of_store = parts.shards.count

    def note(self, now_ns: int) -> None:
        """Notes what may be told at any time."""
        metrics, parked = self._metrics, self._shards.parked
        metrics.note_next_end(min(self._dues_ns(now_ns), default=None), now_ns)
        metrics.log_seqs = {shard.number: shard.log.durable_seq for shard in self._shards.owned}
        metrics.parked_requests = len(parked)
        metrics.limits = {
            **self._places.limits(),
            **parked.limits(),
            **({} if self._forwards is None else self._forwards.room.limits()),
        }

    def note_durable(self, now_ns: int) -> None:
        """Notes how queues and plans stand.

        Not while a turn is in flight: what it changes is not durable.
        """
        shards = self._shards.owned
        plans = [shard.engine.plans for shard in shards]
        self._metrics.note_plans(sum(map(len, plans)), sum(of_shard.paused for of_shard in plans))
        self._metrics.note_queues(own_queues(shards, QUEUES_NAMED, now_ns), self._totals(shards))

    def _totals(self, shards: Sequence[Shard]) -> QueueTotals:
        """What all queues hold together. Where many shards have many of them, some shards are looked at each second."""
        known = {shard: totals for shard, totals in self._queue_totals.items() if shard in shards}
        left = _QUEUES_LOOKED_AT
        for shard in [*(shard for shard in shards if shard not in known), *known]:
            if left <= 0:
                break
            left -= len(shard.queues)
            known.pop(shard, None)
            known[shard] = queue_totals(shard)
        self._queue_totals = known
        return whole_totals([*known.values()])

    def _dues_ns(self, now_ns: int) -> Iterator[int]:
        """When the next ends of each shard are due, and those that wait long to be durable, by the server's clock."""
        for shard in self._shards.owned:
            for due_ns in (shard.engine.next_due_ns(), shard.engine.expiry.next_wall_due_ns()):
                if due_ns is not None:
                    yield due_ns - shard.ahead_ns
        for turn in self._in_flight:
            if now_ns - turn.begun_ns < _SLOW_NS:
                return
            for shard, part in turn.writes:
                for together in part.changes.entries.packed:
                    yield from (due_ms * NS_PER_MS - shard.ahead_ns for due_ms in together.lapsed_ms[:1])
                for event in part.changes.entries.events_apart():
                    if event.kind_number == FIRED and (due_at_ms := event.due_on_timeline_ms) is not None:
                        yield due_at_ms * NS_PER_MS - shard.ahead_ns
