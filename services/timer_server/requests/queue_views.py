"""Queues as the protocol shows them, and the cursor in their dead letters."""

import re

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import Queue
from timer_server.core.queues.state import QueueState

_DEATH = re.compile(r"[0-9]{1,18}", re.ASCII)


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


def cursor_at(death: int) -> str:
    """What to pass as `after` for the dead letters that died after one."""
    return str(death)


def death_at(after: str | None) -> int:
    """The death that a cursor names; 0 is before all. Raises `Refusal` (invalid_params) for any other text."""
    if after is None:
        return 0
    if _DEATH.fullmatch(after) is None:
        what = f"after must be `next` of an earlier page of dead letters; got {after[:40]!r}"
        raise Refusal(ErrorCode.INVALID_PARAMS, what)
    return int(after)
