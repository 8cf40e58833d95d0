"""Pages of events, as `events.read` gives them: from all logs together."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import Event, EventPage, ReadEventsParams
from timer_server.core.model import Countdown
from timer_server.limits import PAGE_BYTES, PARKED_PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.event_parts import EventsPart
from timer_server.requests.positions import start_reading
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import WaitForEvent


def read_part(shards: Sequence[Shard], params: ReadEventsParams, room: ReplyRoom, page_bytes: int) -> EventsPart[Event]:
    """A page of the logs of some shards: of the cursor counts what they know. Raises `StoreError`."""
    known = {name for shard in shards for name in (shard.log.id, *shard.log.ancestors)}
    named = [name for name in params.after if name in known]
    if params.after and not named:
        return EventsPart([], {shard.log.id: shard.engine.last_seq for shard in shards}, False, False, [])
    if len(named) < len(params.after):
        params = replace(params, after={name: params.after[name] for name in named})
    page = read_page(shards, params, room, page_bytes)
    return EventsPart(page.events, page.next, page.more, page.truncated, named)


def read_or_wait(
    shards: Callable[[], Sequence[Shard]],
    shard_of: Callable[[str], Shard],
    params: ReadEventsParams,
    now_ns: int,
    room: ReplyRoom,
    page_of: Callable[[EventsPart[Event], ReadEventsParams], EventPage | EventsPart[Event]],
) -> object:
    """What `page_of` makes of a page of the logs of some shards, if there is something to tell; otherwise the wait for
    an event in any.

    There is nothing for this request up to `next`, and nothing in what comes then until an event wakes it, as each is
    compared with its prefix. So the logs are not searched there again, however much others do meanwhile.
    """
    watched = shards()
    part = read_part(watched, params, room, PAGE_BYTES)
    page = page_of(part, params)
    if page.events or page.truncated or page.more or params.wait_ms == 0:
        return page

    def woken(event: Countdown, room: ReplyRoom) -> object:
        room.check()  # a batch may have used it up meanwhile
        after, shard = part.next, shard_of(event.id)
        if shard in watched:  # one that was another server's meanwhile is another object
            after = {**after, shard.log.id: max(event.seq - 1, after[shard.log.id])}
        rest = replace(params, after=after)
        return page_of(read_part(shards(), rest, room, PARKED_PAGE_BYTES), rest)

    def timed_out() -> object:
        after = {shard.log.id: max(shard.log.durable_seq, part.next[shard.log.id]) for shard in watched}
        return page_of(replace(part, next=after), params)

    return WaitForEvent(
        until_ns=now_ns + params.wait_ms * NS_PER_MS,
        woken=lambda event, _, room: woken(event, room),
        timed_out=lambda _, __: timed_out(),
        prefix=params.prefix,
    )


def read_page(shards: Sequence[Shard], params: ReadEventsParams, room: ReplyRoom, page_bytes: int) -> EventPage:
    """The events after a cursor, from each log in turn. Payloads of `page_bytes` end the page early.

    Raises `StoreError`.
    """
    ends = {shard.log.id: shard.engine.last_seq for shard in shards}
    start = start_reading(params.after, [shard.log for shard in shards], ends)
    page = _Page(start.after, start.truncated, params, room, min(page_bytes, room.left_bytes))
    # A page may be full before its last log, so which log comes last changes with the position of the reader.
    first = hash(tuple(start.after.values())) % len(shards)
    for number, shard in enumerate([*shards[first:], *shards[:first]]):
        page.take(shard, logs_left=len(shards) - number)
    return EventPage(page.events, page.next, page.more, page.truncated)


class _Page:
    """A page in the making."""

    def __init__(
        self, after: dict[str, int], truncated: bool, params: ReadEventsParams, room: ReplyRoom, left_bytes: int
    ) -> None:
        self.events: list[Event] = []
        self.next = dict(after)
        self.more = False
        self.truncated = truncated
        self._params = params
        self._room = room
        self._left_bytes = left_bytes

    def take(self, shard: Shard, logs_left: int) -> None:
        """Adds events of a log, up to its share of what is left of the page for `logs_left` logs."""
        log, after = shard.log, self.next[shard.log.id]
        share = -(-(self._params.limit - len(self.events)) // logs_left)
        self.truncated |= after < shard.engine.horizon_seq
        if share <= 0 or self._left_bytes < 0:
            self.more |= after < log.durable_seq
            return
        scan = min(SCAN_MAXIMUM, max(self._room.left_entries, share))
        page = log.page(after, self._params.prefix, share, scan, self._left_bytes // logs_left)
        self._room.take_page(page.scanned, len(page.events))
        for event in page.events:
            self.events.append(event.event_view(log.id))
            self._left_bytes -= len(event.payload)
            self._room.left_bytes -= len(event.payload)
        # Where retention has removed all up to the horizon, the next page begins after it.
        self.next[log.id] = max(page.scanned_to, shard.engine.horizon_seq) if page.is_end else page.scanned_to
        self.more |= not page.is_end
