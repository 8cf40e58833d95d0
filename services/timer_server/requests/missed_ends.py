"""Ends that happened while a wait for them was on its way from one owner of a shard to the next."""

from timer_protocol.durations import NS_PER_MS
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import WaitParams
from timer_server.core.model import Countdown
from timer_server.limits import SCAN_MAXIMUM
from timer_server.requests.methods import Handler
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard


def end_after(shard: Shard, timer_id: str, seq: int, room: ReplyRoom) -> Countdown | None:
    """The first durable end of a timer after a `seq`, even where it was started anew since; None where there is none.

    The log is looked at as far as for one page. Raises `StoreError`.
    """
    page = shard.log.page(seq, timer_id, PAGE_MAXIMUM, min(SCAN_MAXIMUM, room.left_entries))
    room.take_page(page.scanned, 0)
    return next((event for event in page.events if event.id == timer_id and event.has_ended), None)


def waited_for(handler: Handler, shard: Shard, params: WaitParams, seq: int, now_ns: int, room: ReplyRoom) -> object:
    """Applies a wait that has begun at a `seq` of its shard: an end since then is told even if the timer runs again."""
    missed = end_after(shard, params.id, seq, room)
    return handler(params, now_ns, room) if missed is None else missed.view(shard.at(now_ns) // NS_PER_MS)
