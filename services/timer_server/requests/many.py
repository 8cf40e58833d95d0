"""The methods about many timers at once, within what one request may cost."""

from timer_protocol.errors import limit_reached
from timer_protocol.limits import Limits
from timer_protocol.many import ChangedMany, ChangeManyParams, StartedMany, StartManyParams
from timer_protocol.plurals import counted
from timer_server.core.many import change_many, start_many
from timer_server.core.model import Countdown
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard


class ManyMethods:
    """The methods about many timers of a shard.

    Each id takes room in the reply, as each returned entry of a page does, so that a batch cannot multiply them. A
    notification has to have that room too.
    """

    def __init__(self, shard: Shard, limits: Limits) -> None:
        self._engine = shard.engine
        self._log = shard.log
        self._limits = limits

    def start(self, params: StartManyParams, now_ns: int, room: ReplyRoom) -> StartedMany:
        """Starts timers. Raises `Refusal` (limit_reached, invalid_params); then none is started."""
        room.check()
        count = len(params.ids)
        if count > self._limits.max_batch:
            raise limit_reached("max_batch", self._limits.max_batch, f"ids has {counted(count, 'element')}")

        def event_at(place: int) -> Countdown:
            room.check()
            event = self._log.event(place)
            room.left_bytes -= len(event.payload)
            return event

        result = start_many(self._engine, event_at, params, now_ns)
        room.take_page(count, count)
        return result

    def change(self, params: ChangeManyParams, now_ns: int, room: ReplyRoom) -> ChangedMany:
        """Changes a page of timers. Large payloads end it early. Raises `Refusal` (limit_reached, invalid_params)."""
        room.check()
        scan, most_bytes = min(SCAN_MAXIMUM, room.left_entries), min(PAGE_BYTES, room.left_bytes)
        page = change_many(self._engine, self._log.event, params, now_ns, scan, most_bytes)
        result = page.result
        room.take_page(page.scanned, result.changed + result.unchanged + len(result.refused))
        room.left_bytes -= page.payload_bytes
        return result
