"""The methods about many timers at once, within what one request may cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.limits import Limits
from timer_protocol.many import ChangedMany, ChangeManyParams, StartedMany, StartManyParams
from timer_protocol.plurals import counted
from timer_server.core.many import Changed, EventAt, NoTimers, Selection, Timers, change_many, select, start_many
from timer_server.core.model import Countdown
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.listing import list_page
from timer_server.requests.placement import Shards, finder, shard_number
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard


class Where(NamedTuple):
    """Where timers are looked for, in a store of `of_count` shards.

    `shard_of` finds the shard of an id, or raises `Refusal`; `only` is the one that is meant with all ids.
    """

    shard_of: Callable[[str], Shard]
    of_count: int
    only: Shard | None

    @classmethod
    def among(cls, shards: Sequence[Shard], count: int) -> "Where":
        """Some shards, in which all timers are that are asked for."""
        return cls(finder(shards, count), count, shards[0] if len(shards) == 1 else None)


class ManyMethods:
    """The methods about many timers, each in its shard.

    Each id takes room in the reply, as each returned entry of a page does, so that a batch cannot multiply them. A
    notification has to have that room too.
    """

    def __init__(self, shards: Shards, limits: Limits) -> None:
        self._shards = shards
        self._limits = limits
        self._where = Where(shards.of, shards.count, shards.only)

    def start(self, params: StartManyParams, now_ns: int, room: ReplyRoom) -> StartedMany:
        """Starts timers. Raises `Refusal` (limit_reached, invalid_params); then none is started."""
        room.check()
        check_batch(params, self._limits)
        return start_part(self._where, params, now_ns, room)

    def change(self, params: ChangeManyParams, now_ns: int, room: ReplyRoom) -> ChangedMany:
        """Changes a page of timers. Large payloads end it early. Raises `Refusal` (limit_reached, invalid_params)."""
        room.check()
        selection = select_part(self._shards.all, params, room)
        changed = change_part(self._where, selection.ids, params, now_ns, room)
        next_id = selection.next_after(changed.done)
        return ChangedMany(changed.changed, changed.unchanged, changed.refused, next_id)


def check_batch(params: StartManyParams, limits: Limits) -> None:
    """Raises `Refusal` (limit_reached) for more timers than one request may start."""
    count = len(params.ids)
    if count > limits.max_batch:
        raise limit_reached("max_batch", limits.max_batch, f"ids has {counted(count, 'element')}")


def start_part(where: Where, params: StartManyParams, now_ns: int, room: ReplyRoom) -> StartedMany:
    """Starts the timers of some shards. Raises `Refusal` (invalid_params); then none is started."""

    def reading(shard: Shard) -> EventAt:
        def event_at(place: int) -> Countdown:
            room.check()
            event = shard.log.event(place)
            room.left_bytes -= len(event.payload)
            return event

        return event_at

    result = start_many(partial(_parts, where, reading, now_ns), params)
    room.take_page(len(params.ids), len(params.ids))
    return result


def select_part(all_shards: Callable[[], Sequence[Shard]], params: ChangeManyParams, room: ReplyRoom) -> Selection:
    """The timers that a change is for: a page of those of some shards. Raises `Refusal`."""
    selection = select(
        lambda wanted, scan: list_page(all_shards(), wanted, scan), params, min(SCAN_MAXIMUM, room.left_entries)
    )
    room.left_entries -= selection.scanned
    return selection


def change_part(where: Where, ids: Sequence[str], params: ChangeManyParams, now_ns: int, room: ReplyRoom) -> Changed:
    """Changes timers of some shards that were selected, up to a page of payloads."""
    parts_of = partial(_parts, where, lambda shard: shard.log.event, now_ns)
    changed = change_many(parts_of, ids, params, min(PAGE_BYTES, room.left_bytes))
    room.take_page(0, changed.changed + changed.unchanged + len(changed.refused))
    room.left_bytes -= changed.payload_bytes
    return changed


def _parts(
    where: Where, reading: Callable[[Shard], EventAt], now_ns: int, ids: Sequence[str]
) -> Iterable[tuple[Timers, Sequence[int]]]:
    """Parts ids by their shards, with the timers of each at a moment. The log is read as `reading` says."""

    def timers_of(shard: Shard) -> Timers:
        return Timers(shard.engine, shard.at(now_ns), reading(shard))

    if where.only is not None:
        return [(timers_of(where.only), range(len(ids)))]
    positions: dict[int, list[int]] = {}
    for position, timer_id in enumerate(ids):
        positions.setdefault(shard_number(timer_id, where.of_count), []).append(position)
    parts: list[tuple[Timers, Sequence[int]]] = []
    for of_shard in positions.values():
        try:
            parts.append((timers_of(where.shard_of(ids[of_shard[0]])), of_shard))
        except Refusal:
            parts += _refused(where, ids, of_shard)
    return parts


def _refused(where: Where, ids: Sequence[str], positions: Iterable[int]) -> Iterator[tuple[Timers, Sequence[int]]]:
    """Stands for the timers of a shard that is not here: each is refused by its id."""
    for position in positions:
        try:
            where.shard_of(ids[position])
        except Refusal as refusal:
            yield NoTimers(refusal), [position]
