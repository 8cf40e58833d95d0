"""Handing ends out, and taking back what has become of them: over all shards, each of which holds its own."""

from collections.abc import Sequence
from functools import partial

from timer_protocol import queue_messages as messages
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import Event
from timer_protocol.queue_messages import AckParams, Deliveries, NackParams, RenewParams, TakeParams
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.receipts import Receipts
from timer_server.core.room import ENTRY_BYTES
from timer_server.limits import PAGE_BYTES
from timer_server.requests.parked import WaitForDelivery
from timer_server.requests.placement import Shards
from timer_server.requests.queue_receipts import Part, by_shard, outcome
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

NOTHING = Deliveries([])


class DeliveryMethods:
    """The methods of the workers of queues."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._turn_of: dict[str, int] = {}
        """Which shard a take of a queue asks first: the one behind the last that has given something."""

    def take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | WaitForDelivery:
        """Leases ready ends, after those who wait for some; where there are none, the wait for one.

        A repeated take gets what it got before, and takes the place of its earlier copy.
        """
        parked = self._shards.parked
        parked.serve_takes(params.queue, now_ns)
        knowing = self._knowing(params, now_ns)
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
            parked.end_take(params.queue, params.key, NOTHING)
        return Deliveries(taken) if taken else NOTHING

    def ack(self, params: AckParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Is done with deliveries."""
        name, parts = params.queue, self._parts(params)

        def ack(part: Part) -> Sequence[int]:
            return part.shard.queues.ack(name, part.known(), part.shard.at(now_ns)).done

        return messages.Settled(*outcome(params.receipts, parts, ack))

    def nack(self, params: NackParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Gives deliveries back, or up."""
        name, parts = params.queue, self._parts(params)
        if params.then == "dead" and params.delay_ms is not None:
            what = 'delay_ms is for deliveries that come again; with then "dead" leave it out'
            raise Refusal(ErrorCode.INVALID_PARAMS, what)
        giving = GivingBack(params.then, params.delay_ms, params.reason)

        def give_back(part: Part) -> Sequence[int]:
            return part.shard.queues.nack(name, part.known(), giving, part.shard.at(now_ns)).done

        return messages.Settled(*outcome(params.receipts, parts, give_back))

    def renew(self, params: RenewParams, now_ns: int, _: ReplyRoom) -> messages.Renewed:
        """Leases deliveries for longer. All are leased until the moment that is told at least."""
        name, parts = params.queue, self._parts(params)
        for part in parts:
            part.shard.engine.take_room(ENTRY_BYTES)
        until_ms: list[int] = []

        def renew(part: Part) -> Sequence[int]:
            renewal = part.shard.queues.renew(name, part.known(), params.lease_ms, part.shard.at(now_ns))
            until_ms.append(renewal.until_ms)
            return renewal.leased

        leased, lost = outcome(params.receipts, parts, renew)
        return messages.Renewed(leased, min(until_ms), lost)

    def forget(self, name: str) -> None:
        """Forgets whose turn it is in a queue that is deleted."""
        self._turn_of.pop(name, None)

    # Parts

    def _take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | None:
        """What a take that waits gets now; None for nothing."""
        room.check()
        taken = self._give(params, self._knowing(params, now_ns), now_ns, room)
        return Deliveries(taken) if taken else None

    def _knowing(self, params: TakeParams, now_ns: int) -> list[Shard]:
        """The shards that have given something to a take with this key before. Raises `Refusal` (queue_not_found)."""
        name, key = params.queue, params.key
        self._shards.of(name).queues.find(name)
        if key is None:
            return []
        return [shard for shard in self._shards.owned if shard.queues.knows_take(name, key, shard.at(now_ns))]

    def _give(
        self, params: TakeParams, knowing: Sequence[Shard], now_ns: int, room: ReplyRoom
    ) -> list[messages.Delivery]:
        """What a take still leases of the shards that know it, and no more; otherwise what it gets anew."""
        most, most_bytes, owned = params.max, min(PAGE_BYTES, room.left_bytes), self._shards.owned
        if knowing:
            taken = [take_from(shard, params, most, most_bytes, now_ns, room, is_again=True) for shard in knowing]
            return [delivery for some in taken for delivery in some]
        if len(owned) == 1:
            return take_from(owned[0], params, most, most_bytes, now_ns, room)
        return self._give_in_turn(params, most_bytes, now_ns, room)

    def _give_in_turn(
        self, params: TakeParams, most_bytes: int, now_ns: int, room: ReplyRoom
    ) -> list[messages.Delivery]:
        """Leases ready ends of the shards in turn, of each what is still missing.

        What one shard gave is not taken back where another has no room on its disk.
        """
        taken: list[messages.Delivery] = []
        name, owned, begun_bytes = params.queue, self._shards.owned, room.left_bytes
        first = self._turn_of.get(name, 0)
        for at in range(first, first + len(owned)):
            shard = owned[at % len(owned)]
            if not shard.queues.has_ready(name, shard.at(now_ns)):
                continue
            left, left_bytes = params.max - len(taken), most_bytes - (begun_bytes - room.left_bytes)
            try:
                more = take_from(shard, params, left, left_bytes, now_ns, room, least=0 if taken else 1)
            except Refusal:
                if taken:
                    break
                raise
            if more:
                self._turn_of[name] = (at + 1) % len(owned)
                taken += more
                if len(taken) == params.max:
                    break
        return taken

    def _parts(self, params: AckParams | NackParams | RenewParams) -> list[Part]:
        """The receipts by shard. Raises `Refusal`."""
        home = self._shards.of(params.queue)
        home.queues.find(params.queue)
        return by_shard(self._shards, home, params.queue, params.receipts)


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
    receipts, max_deliveries = Receipts(shard.log.id, name), queue.state.settings.max_deliveries
    return [
        messages.Delivery(receipts.text(one.number), one.attempts, max_deliveries, one.at_ms, event)
        for one, event in zip(leased, events_of(shard, leased, room), strict=True)
    ]


def events_of(shard: Shard, deliveries: Sequence[Delivery], room: ReplyRoom) -> list[Event]:
    """The ends of deliveries of one shard, which take room in the reply."""
    room.take_page(len(deliveries), len(deliveries))
    room.left_bytes -= sum(delivery.payload_bytes for delivery in deliveries)
    return [event.event_view(shard.log.id) for event in shard.events([one.place for one in deliveries])]
