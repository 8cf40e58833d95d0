"""Handing ends out, and taking back what has become of them: over all shards, each of which holds its own."""

from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

from msgspec import UNSET, Struct

from timer_protocol import queue_messages as messages
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import AckParams, Deliveries, NackParams, RenewParams, TakeParams
from timer_server.core.model import Countdown, Traced
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.receipts import Receipts
from timer_server.core.room import ENTRY_BYTES
from timer_server.core.traces import unpacked
from timer_server.limits import PAGE_BYTES
from timer_server.requests.placement import Shards
from timer_server.requests.queue_receipts import Part, by_shard, outcome
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import WaitForDelivery

NOTHING = Deliveries([])

T = TypeVar("T")


class TakeFrom(Struct, frozen=True):
    """A take, for some shards in turn: `first` is the number of the one whose turn it is, or is before the next.

    The payloads may come to more than there is room for with the first `least` deliveries: one or none.
    """

    take: TakeParams
    first: int = 0
    least: int = 1


class Taken(Struct, Generic[T], frozen=True):
    """What a take got of some shards. `last` is the number of the last that has given something, where any has."""

    deliveries: list[T]
    last: int | None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.deliveries)


class DeliveryMethods:
    """The methods of the workers of queues."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self.turn_of: dict[str, int] = {}
        """The number of the shard that a take of a queue asks first: the one behind the last that has given."""

    def take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | WaitForDelivery:
        """Leases ready ends, after those who wait for some; where there are none, the wait for one.

        A repeated take gets what it got before, and takes the place of its earlier copy.
        """
        self._shards.of(params.queue).queues.find(params.queue)
        parked = self._shards.parked
        parked.serve_takes(params.queue, now_ns)
        knowing = knowing_shards(self._shards.owned, params, now_ns)
        taken = self._give(params, knowing, now_ns, room)
        if not (taken or knowing) and params.wait_ms:
            return WaitForDelivery(
                until_ns=now_ns + params.wait_ms * NS_PER_MS,
                timed_out=lambda _, __: NOTHING,
                take=partial(self._take, params),
                line=params.queue,
                take_key=params.key,
            )
        if params.key is not None:
            parked.end_take(params.queue, params.key, now_ns)
        return Deliveries(taken) if taken else NOTHING

    def ack(self, params: AckParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Is done with deliveries."""
        return messages.Settled(*ack_parts(self._parts(params), params, now_ns))

    def nack(self, params: NackParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Gives deliveries back, or up."""
        parts = self._parts(params)
        check_delay(params)
        return messages.Settled(*nack_parts(parts, params, now_ns))

    def renew(self, params: RenewParams, now_ns: int, _: ReplyRoom) -> messages.Renewed:
        """Leases deliveries for longer. All are leased until the moment that is told at least."""
        return renew_parts(self._parts(params), params, now_ns)

    def forget(self, name: str) -> None:
        """Forgets whose turn it is in a queue that is deleted."""
        self.turn_of.pop(name, None)

    # Parts

    def _take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | None:
        """What a take that waits gets now; None for nothing."""
        room.check()
        self._shards.of(params.queue).queues.find(params.queue)
        taken = self._give(params, knowing_shards(self._shards.owned, params, now_ns), now_ns, room)
        return Deliveries(taken) if taken else None

    def _give(
        self, params: TakeParams, knowing: Sequence[Shard], now_ns: int, room: ReplyRoom
    ) -> list[messages.Delivery]:
        owned, first = self._shards.owned, self.turn_of.get(params.queue, 0)
        taken = give(owned, knowing, TakeFrom(params, first), now_ns, room)
        if taken.last is not None and len(owned) > 1:
            self.turn_of[params.queue] = (taken.last + 1) % self._shards.count
        return taken.deliveries

    def _parts(self, params: AckParams | NackParams | RenewParams) -> list[Part]:
        """The receipts by shard. Raises `Refusal`."""
        home = self._shards.of(params.queue)
        home.queues.find(params.queue)
        return by_shard(self._shards.owned, home, params.queue, params.receipts)


# What is done in some shards


def knowing_shards(shards: Sequence[Shard], params: TakeParams, now_ns: int) -> list[Shard]:
    """Those of some shards that have given something to a take with this key before."""
    name, key = params.queue, params.key
    if key is None:
        return []
    return [shard for shard in shards if shard.queues.knows_take(name, key, shard.at(now_ns))]


def give(
    shards: Sequence[Shard], knowing: Sequence[Shard], asked: TakeFrom, now_ns: int, room: ReplyRoom
) -> Taken[messages.Delivery]:
    """What a take still leases of the shards that know it, and no more; otherwise what it gets anew."""
    params, most_bytes = asked.take, min(PAGE_BYTES, room.left_bytes)
    if knowing:
        again = [take_from(shard, params, params.max, most_bytes, now_ns, room, is_again=True) for shard in knowing]
        return Taken([delivery for some in again for delivery in some], None)
    if len(shards) == 1:
        taken = take_from(shards[0], params, params.max, most_bytes, now_ns, room, least=asked.least)
        return Taken(taken, shards[0].number if taken else None)
    return _give_in_turn(shards, asked, most_bytes, now_ns, room)


def _give_in_turn(
    shards: Sequence[Shard], asked: TakeFrom, most_bytes: int, now_ns: int, room: ReplyRoom
) -> Taken[messages.Delivery]:
    """Leases ready ends of some shards in turn, of each what is still missing.

    What one shard gave is not taken back where another has no room on its disk.
    """
    taken: list[messages.Delivery] = []
    last: int | None = None
    params, begun_bytes = asked.take, room.left_bytes
    at = next((at for at, shard in enumerate(shards) if shard.number >= asked.first), 0)
    for shard in (*shards[at:], *shards[:at]):
        if not shard.queues.has_ready(params.queue, shard.at(now_ns)):
            continue
        left, left_bytes = params.max - len(taken), most_bytes - (begun_bytes - room.left_bytes)
        try:
            more = take_from(shard, params, left, left_bytes, now_ns, room, least=0 if taken else asked.least)
        except Refusal:
            if taken:
                break
            raise
        if more:
            last = shard.number
            taken += more
            if len(taken) == params.max:
                break
    return Taken(taken, last)


def ack_parts(parts: Sequence[Part], params: AckParams, now_ns: int) -> tuple[list[str], list[str]]:
    """Is done with deliveries. Returns the receipts for which that is so, and the others."""
    name = params.queue
    return outcome(
        params.receipts,
        parts,
        lambda part: part.shard.queues.ack(name, part.known(), part.shard.at(now_ns)).done,
    )


def check_delay(params: NackParams) -> None:
    """Raises `Refusal` (invalid_params) where a delay is asked for what comes no more."""
    if params.then == "dead" and params.delay_ms is not None:
        what = 'delay_ms is for deliveries that come again; with then "dead" leave it out'
        raise Refusal(ErrorCode.INVALID_PARAMS, what)


def nack_parts(parts: Sequence[Part], params: NackParams, now_ns: int) -> tuple[list[str], list[str]]:
    """Gives deliveries back, or up. Returns the receipts for which that was done, and the others."""
    name, giving = params.queue, GivingBack(params.then, params.delay_ms, params.reason)
    return outcome(
        params.receipts,
        parts,
        lambda part: part.shard.queues.nack(name, part.known(), giving, part.shard.at(now_ns)).done,
    )


def renew_parts(parts: Sequence[Part], params: RenewParams, now_ns: int) -> messages.Renewed:
    """Leases deliveries for longer. Raises `Refusal` (limit_reached); then no lease has changed."""
    for part in parts:
        part.shard.engine.take_room(ENTRY_BYTES)
    until_ms: list[int] = []

    def renew(part: Part) -> Sequence[int]:
        renewal = part.shard.queues.renew(params.queue, part.known(), params.lease_ms, part.shard.at(now_ns))
        until_ms.append(renewal.until_ms)
        return renewal.leased

    leased, lost = outcome(params.receipts, parts, renew)
    return messages.Renewed(leased, min(until_ms), lost)


def take_from(  # noqa: PLR0913 - what every handler is given, and what the take may still get
    shard: Shard,
    params: TakeParams,
    most: int,
    most_bytes: int,
    now_ns: int,
    room: ReplyRoom,
    *,
    least: int = 1,
    is_again: bool = False,
) -> list[messages.Delivery]:
    """What a take gets of one shard; one that it knows gets again what it still leases, and nothing new."""
    name, queue = params.queue, shard.queues.find(params.queue)
    if queue.state.ready_count and not is_again:
        shard.engine.take_room(ENTRY_BYTES)
    leased = shard.queues.take(name, most, most_bytes, params.key, shard.at(now_ns), least=least)
    if not leased:
        return []
    log_id, max_deliveries = shard.log.id, queue.state.settings.max_deliveries
    receipts = Receipts(log_id, name)
    return [
        messages.Delivery(
            receipts.text(one.number),
            one.attempts,
            max_deliveries,
            one.at_ms,
            end.event_view(log_id),
            unpacked(end.trace) if isinstance(end, Traced) else UNSET,
        )
        for one, end in zip(leased, ends_of(shard, leased, room), strict=True)
    ]


def ends_of(shard: Shard, deliveries: Sequence[Delivery], room: ReplyRoom) -> list[Countdown]:
    """The ends of deliveries of one shard, which take room in the reply."""
    room.take_page(len(deliveries), len(deliveries))
    room.left_bytes -= sum(delivery.payload_bytes for delivery in deliveries)
    return shard.events([one.place for one in deliveries])
