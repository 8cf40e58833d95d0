"""The method that lists timers."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import ListParams, Timer, TimerPage
from timer_server.core import listing
from timer_server.core.model import Recall
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.asking import Asking
from timer_server.requests.gathering import Dialogue
from timer_server.requests.pages import PagePart, merged
from timer_server.requests.placement import finder
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

DUE_WEIGHT = 2
"""A timer looked at by its deadline costs as much as two by their ids, or more: the next is looked for each time."""

TimersPart = PagePart[Any, Timer]
"""Timers by their ids; in the order of deadlines by how far those are, in nanoseconds, whatever clock a server has."""


def list_page(shards: Sequence[Shard], params: ListParams, scan: int) -> listing.Listing:
    """A page of the timers of some shards, among the next `scan` of them. Raises `Refusal`.

    Deadlines are compared by the server's clock, since the shards may have different timelines.
    """
    lines = [listing.Line(shard.engine.order, shard.ahead_ns) for shard in shards]
    return listing.list_page(lines, params, scan)


def read_part(shards: Sequence[Shard], count: int, params: ListParams, now_ns: int, room: ReplyRoom) -> TimersPart:
    """A page of the timers of some shards of a store that has `count`. Large payloads end it early, where they are in
    it or have to be read. Raises `Refusal`."""
    page = list_page(shards, params, min(SCAN_MAXIMUM, room.left_entries))
    is_by_id = params.order == "id"
    room.take_page(page.scanned * (1 if is_by_id else DUE_WEIGHT), len(page.entries))
    shard_of = finder(shards, count)
    keys: list[Any] = []
    timers: list[Timer] = []
    page_bytes = min(PAGE_BYTES, room.left_bytes)
    for at, entry in enumerate(page.entries):
        if timers and page_bytes < 0:
            return PagePart(keys, timers, keys[-1])
        shard = shard_of(entry.id)
        timer = shard.log.event(entry.place) if isinstance(entry, Recall) else entry
        view = timer.view(shard.at(now_ns) // NS_PER_MS)
        if "payload" in params.omit:
            view = replace(view, payload=UNSET)
        if "payload" not in params.omit or isinstance(entry, Recall):
            page_bytes -= len(timer.payload)
            room.left_bytes -= len(timer.payload)
        timers.append(view)
        keys.append(entry.id if is_by_id else page.due_ns[at] - now_ns)
    if is_by_id or page.reached_ns is None:
        return PagePart(keys, timers, page.next)
    return PagePart(keys, timers, page.reached_ns - now_ns)


def page_of(parts: Sequence[TimersPart], params: ListParams) -> TimerPage:
    """The page that its parts come to."""
    page = merged(parts, params.limit)
    if params.order == "id":
        return TimerPage(page.items, page.next)
    return TimerPage(page.items, None, complete=page.next is None)


def list_over_servers(params: ListParams, asking: Asking) -> Dialogue:
    """The page of all servers. Raises `Refusal`."""
    told = yield asking.same("shards.list" if params.order == "id" else "shards.list_due", params)
    return page_of(asking.values(told), params)
