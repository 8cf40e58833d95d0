"""Pages of events, as `events.read` gives them: from all logs together."""

from collections.abc import Sequence

from timer_protocol.messages import Event, EventPage, ReadEventsParams
from timer_server.limits import SCAN_MAXIMUM
from timer_server.requests.positions import start_reading
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard


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
