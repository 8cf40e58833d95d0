"""The method that lists timers."""

from msgspec import UNSET
from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import ListParams, Timer, TimerPage
from timer_server.core import listing
from timer_server.core.model import Recall
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.placement import Shards
from timer_server.requests.room import ReplyRoom

DUE_WEIGHT = 2
"""A timer looked at by its deadline costs as much as two by their ids, or more: the next is looked for each time."""


def list_page(shards: Shards, params: ListParams, scan: int) -> listing.Listing:
    """A page of the timers of all shards, among the next `scan` of them. Raises `Refusal`.

    Deadlines are compared by the server's clock, since the shards may have different timelines.
    """
    lines = [listing.Line(shard.engine.order, shard.ahead_ns) for shard in shards.all()]
    return listing.list_page(lines, params, scan)


def read_timers(shards: Shards, params: ListParams, now_ns: int, room: ReplyRoom) -> TimerPage:
    """A page of timers. Large payloads end it early, where they are in it or have to be read. Raises `Refusal`."""
    page = list_page(shards, params, min(SCAN_MAXIMUM, room.left_entries))
    room.take_page(page.scanned * (DUE_WEIGHT if params.order == "due" else 1), len(page.entries))
    timers: list[Timer] = []
    page_bytes = min(PAGE_BYTES, room.left_bytes)
    for entry in page.entries:
        if timers and page_bytes < 0:
            has_more = params.order == "id"
            return TimerPage(timers, timers[-1].id if has_more else None, complete=has_more)
        shard = shards.of(entry.id)
        timer = shard.log.event(entry.place) if isinstance(entry, Recall) else entry
        view = timer.view(shard.at(now_ns) // NS_PER_MS)
        if "payload" in params.omit:
            view = replace(view, payload=UNSET)
        if "payload" not in params.omit or isinstance(entry, Recall):
            page_bytes -= len(timer.payload)
            room.left_bytes -= len(timer.payload)
        timers.append(view)
    return TimerPage(timers, page.next, page.is_complete)
