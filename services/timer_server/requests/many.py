"""The methods about many timers at once, within what one request may cost."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat

from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.limits import Limits
from timer_protocol.many import ChangedMany, ChangeManyParams, StartedMany, StartManyParams
from timer_protocol.plurals import counted
from timer_server.core.many import EventAt, NoTimers, Timers, change_many, start_many
from timer_server.core.model import Countdown
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.listing import list_page
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard


class ManyMethods:
    """The methods about many timers, each in its shard.

    Each id takes room in the reply, as each returned entry of a page does, so that a batch cannot multiply them. A
    notification has to have that room too.
    """

    def __init__(self, shards: Shards, limits: Limits) -> None:
        self._shards = shards
        self._limits = limits

    def start(self, params: StartManyParams, now_ns: int, room: ReplyRoom) -> StartedMany:
        """Starts timers. Raises `Refusal` (limit_reached, invalid_params); then none is started."""
        room.check()
        count = len(params.ids)
        if count > self._limits.max_batch:
            raise limit_reached("max_batch", self._limits.max_batch, f"ids has {counted(count, 'element')}")

        def reading(shard: Shard) -> EventAt:
            def event_at(place: int) -> Countdown:
                room.check()
                event = shard.log.event(place)
                room.left_bytes -= len(event.payload)
                return event

            return event_at

        result = start_many(partial(self._timers_of, reading, now_ns), params)
        room.take_page(count, count)
        return result

    def change(self, params: ChangeManyParams, now_ns: int, room: ReplyRoom) -> ChangedMany:
        """Changes a page of timers. Large payloads end it early. Raises `Refusal` (limit_reached, invalid_params)."""
        room.check()
        scan, most_bytes = min(SCAN_MAXIMUM, room.left_entries), min(PAGE_BYTES, room.left_bytes)
        timers_of, page_of_all = partial(self._timers_of, _reading_freely, now_ns), partial(list_page, self._shards)
        page = change_many(timers_of, page_of_all, params, scan, most_bytes)
        result = page.result
        room.take_page(page.scanned, result.changed + result.unchanged + len(result.refused))
        room.left_bytes -= page.payload_bytes
        return result

    def _timers_of(self, reading: Callable[[Shard], EventAt], now_ns: int, ids: Sequence[str]) -> Iterable[Timers]:
        """The timers of the shard of each id at a moment. The log is read as `reading` says."""
        only = self._shards.only
        if only is not None:
            return repeat(Timers(only.engine, now_ns, reading(only)))

        def timers(shard: Shard) -> Timers:
            return Timers(shard.engine, shard.at(now_ns), reading(shard))

        found: dict[int, Timers] = {}
        return [self._found(timer_id, timers, found) for timer_id in ids]

    def _found(self, timer_id: str, timers: Callable[[Shard], Timers], found: dict[int, Timers]) -> Timers:
        """The timers of the shard of an id, made once for each shard."""
        number = shard_number(timer_id, self._shards.count)
        if number not in found:
            try:
                found[number] = timers(self._shards.of(timer_id))
            except Refusal as refusal:
                return NoTimers(refusal)
        return found[number]


def _reading_freely(shard: Shard) -> EventAt:
    return shard.log.event
