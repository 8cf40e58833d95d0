"""Queues as the protocol shows them."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.queue_messages import Queue
from timer_server.core.queues.queues import QUEUES_MAXIMUM
from timer_server.core.queues.state import QueueState
from timer_server.requests.shard import Shard


def queue_view(state: QueueState, now_ms: int) -> Queue:
    """A queue, its bounds, and how much it holds now."""
    settings, oldest_ms = state.settings, state.oldest_ready_ms()
    return Queue(
        queue=state.name,
        version=state.version,
        prefix=settings.prefix,
        states=settings.states,
        lease_ms=settings.lease_ms,
        max_deliveries=settings.max_deliveries,
        backoff_ms=settings.backoff_ms,
        max_backlog=settings.max_backlog,
        max_dead=settings.max_dead,
        max_bytes=settings.max_bytes,
        keep_ms=settings.keep_ms,
        ready=state.ready_count,
        leased=len(state.leases),
        delayed=state.waiting.delayed_count,
        dead=len(state.dead),
        dropped=state.dropped,
        oldest_ready_ms=None if oldest_ms is None else max(now_ms - oldest_ms, 0),
        filling=state.filling is not None,
    )


class Held(Struct, frozen=True):
    """A queue with what some shards hold of it, and whether its home is one of them: others may have it as it was."""

    queue: Queue
    is_of_home: bool


def held(shards: Sequence[Shard], home: int, name: str, now_ns: int) -> Held | None:
    """What some shards hold of a queue, given the number of its home; None where none of them knows it.

    Raises `Refusal` (queue_not_found) where its home is one of them and does not know it.
    """
    knowing: list[Shard] = []
    for shard in shards:
        if shard.number == home:
            shard.queues.find(name)
            knowing.insert(0, shard)
        elif shard.queues.standing(name) is not None:
            knowing.append(shard)
    if not knowing:
        return None
    first, *others = [queue_view(shard.queues.find(name).state, shard.at(now_ns) // NS_PER_MS) for shard in knowing]
    return Held(_sum(first, others) if others else first, is_of_home=knowing[0].number == home)


def whole(parts: Sequence[Held | None]) -> Queue | None:
    """A queue as its home has it, with what all shards hold; None where its home is not among them."""
    known = sorted((part for part in parts if part is not None), key=lambda part: not part.is_of_home)
    if not known or not known[0].is_of_home:
        return None
    first, *others = known
    return _sum(first.queue, [part.queue for part in others]) if others else first.queue


def own_queues(shards: Sequence[Shard], most: int, now_ns: int) -> list[Queue]:
    """The first queues by name, each with what these shards hold of it."""
    if not shards:
        return []
    found, _ = shards[0].queues.page("", None, most)
    views = (held(shards, shards[0].number, queue.state.name, now_ns) for queue in found)
    return [view.queue for view in views if view is not None]


class QueueTotals(Struct, frozen=True):
    """How many queues there are, what they hold together, and how much of its backlog the fullest has taken."""

    queues: int = 0
    ready: int = 0
    leased: int = 0
    delayed: int = 0
    dead: int = 0
    fullest: float = 0.0

    @property
    def limits(self) -> Mapping[str, float]:
        """How much of each limit is taken, by its name: 1 is all of it."""
        return {"queues": self.queues / QUEUES_MAXIMUM, "queue_backlog": self.fullest}


def queue_totals(shard: Shard) -> QueueTotals:
    """What a shard holds of all queues. To look at one takes two microseconds."""
    ready = leased = delayed = dead = 0
    fullest = 0.0
    for state in shard.queues.states():
        ready += state.ready_count
        leased += len(state.leases)
        delayed += state.waiting.delayed_count
        dead += len(state.dead)
        fullest = max(fullest, state.fullness)
    return QueueTotals(len(shard.queues), ready, leased, delayed, dead, fullest)


def whole_totals(parts: Sequence[QueueTotals]) -> QueueTotals:
    """What some shards, each of which knows all queues, hold together."""
    return QueueTotals(
        max((part.queues for part in parts), default=0),
        sum(part.ready for part in parts),
        sum(part.leased for part in parts),
        sum(part.delayed for part in parts),
        sum(part.dead for part in parts),
        max((part.fullest for part in parts), default=0.0),
    )


def _sum(first: Queue, others: Sequence[Queue]) -> Queue:
    """A queue with what it holds in several shards."""
    views = [first, *others]
    ages_ms = [view.oldest_ready_ms for view in views if view.oldest_ready_ms is not None]
    return replace(
        first,
        ready=sum(view.ready for view in views),
        leased=sum(view.leased for view in views),
        delayed=sum(view.delayed for view in views),
        dead=sum(view.dead for view in views),
        dropped=sum(view.dropped for view in views),
        oldest_ready_ms=max(ages_ms, default=None),
        filling=any(view.filling for view in views),
    )
