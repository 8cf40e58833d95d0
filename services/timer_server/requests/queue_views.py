"""Queues as the protocol shows them."""

from collections.abc import Sequence

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.queue_messages import Queue
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


def view_of(home: Shard, shards: Sequence[Shard], name: str, now_ns: int) -> Queue:
    """A queue as its home has it, with what it holds in all shards that know it. Raises `Refusal` (queue_not_found)."""

    def view(shard: Shard) -> Queue:
        return queue_view(shard.queues.find(name).state, shard.at(now_ns) // NS_PER_MS)

    if len(shards) == 1:
        return view(home)
    others = [shard for shard in shards if shard is not home and shard.queues.standing(name) is not None]
    return _sum(view(home), [view(shard) for shard in others])


def own_queues(shards: Sequence[Shard], most: int, now_ns: int) -> list[Queue]:
    """The first queues by name, each with what these shards hold of it."""
    if not shards:
        return []
    found, _ = shards[0].queues.page("", None, most)
    return [view_of(shards[0], shards, queue.state.name, now_ns) for queue in found]


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
