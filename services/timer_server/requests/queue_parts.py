"""What a server answers another about queues, of which each shard holds its own ends.

The answers are made by the functions that answer a client where all shards are here.
"""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Raw, Struct

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import (
    AckParams,
    DeadLetter,
    DeadParams,
    Deleted,
    Delivery,
    ListQueuesParams,
    MoveDeadParams,
    NackParams,
    PutQueueParams,
    Queue,
    QueueParams,
    RenewParams,
    TakeParams,
)
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.rules import Gone
from timer_server.requests import dead_letters, deliveries, queue_views, queues
from timer_server.requests.asking import NoParams, PartMethod, PartMethods
from timer_server.requests.dead_letters import Death
from timer_server.requests.deliveries import TakeFrom, Taken
from timer_server.requests.pages import PagePart
from timer_server.requests.placement import shard_number
from timer_server.requests.queue_receipts import Part, by_shard
from timer_server.requests.queue_rules import Compared, HomeRules, News, QueueRules
from timer_server.requests.queue_views import Held
from timer_server.requests.receipts_over_servers import Found
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.takes_over_servers import Looked, TakeKey
from timer_server.requests.waits import Wait, WaitForDelivery

Done = Callable[[Sequence[Part]], Sequence[str]]
"""Does to the receipts of some parts what was asked, and returns those of which that is done."""


class AtHome(Struct, frozen=True):
    """What to do to a queue at its home: `put`, or delete it where that is None.

    `is_known` says whether the server that asks knows the queue: its prefix was compared with what the client may do.
    """

    queue: str
    put: PutQueueParams | None
    is_known: bool


class QueueParts:
    """These questions, in a store of `count` shards."""

    def __init__(self, count: int, methods: queues.QueueMethods, rules: QueueRules) -> None:
        self._count = count
        self._methods = methods
        self._rules = rules

    def by_name(self) -> PartMethods:
        """The questions by name."""
        return {
            "shards.put": PartMethod(AtHome, Queue, self._at_home),
            "shards.delete": PartMethod(AtHome, Deleted, self._at_home),
            "shards.hear": PartMethod(News, bool, self._hear),
            "shards.compare": PartMethod(Compared, list[HomeRules], self._compare),
            "shards.queue": PartMethod(QueueParams, Held | None, self._hold),
            "shards.queues": PartMethod(ListQueuesParams, PagePart[str, Held], self._list),
            "shards.look": PartMethod(TakeParams, Looked, self._look),
            "shards.take": PartMethod(TakeFrom, Taken[Raw], _take),
            "shards.await_take": PartMethod(TakeFrom, Taken[Raw], _take_or_wait),
            "shards.give_back": PartMethod(TakeKey, bool, _give_back),
            "shards.logs": PartMethod(NoParams, dict[str, int], _logs),
            "shards.ack": PartMethod(AckParams, Found, _ack),
            "shards.nack": PartMethod(NackParams, Found, _nack),
            "shards.renew": PartMethod(RenewParams, Found, _renew),
            "shards.dead": PartMethod(DeadParams, PagePart[Death, Raw], self._dead),
            "shards.dead_receipts": PartMethod(MoveDeadParams, PagePart[Death, str], self._dead_receipts),
            "shards.revive": PartMethod(MoveDeadParams, Found, partial(_move_dead, dead_letters.revive_parts)),
            "shards.drop": PartMethod(MoveDeadParams, Found, partial(_move_dead, dead_letters.drop_parts)),
        }

    def _at_home(self, _: Sequence[Shard], asked: AtHome, now_ns: int, __: ReplyRoom) -> object:
        before = self._methods.prefix_of(asked.queue)
        if before is not None and not asked.is_known and (asked.put is None or asked.put.prefix != before):
            what = f"queue {asked.queue!r} has just been made through another server; send the request again"
            raise Refusal(ErrorCode.STORAGE_FAILED, what)
        if asked.put is None:
            return self._methods.delete_here(QueueParams(asked.queue), now_ns)
        return self._methods.put_here(asked.put, now_ns)

    def _hear(self, shards: Sequence[Shard], news: News, now_ns: int, _: ReplyRoom) -> bool:
        for content in news.contents():
            if isinstance(content, Gone):
                self._methods.deliveries.forget(content.queue)
        return self._rules.hear(shards, news, now_ns)

    def _compare(self, shards: Sequence[Shard], theirs: Compared, now_ns: int, _: ReplyRoom) -> list[HomeRules]:
        return self._rules.compare(shards, theirs.homes, now_ns)

    def _hold(self, shards: Sequence[Shard], params: QueueParams, now_ns: int, _: ReplyRoom) -> Held | None:
        return queue_views.held(shards, shard_number(params.queue, self._count), params.queue, now_ns)

    def _list(self, shards: Sequence[Shard], params: ListQueuesParams, now_ns: int, room: ReplyRoom) -> object:
        return queues.read_part(shards, self._count, params, now_ns, room)

    def _look(self, shards: Sequence[Shard], params: TakeParams, now_ns: int, _: ReplyRoom) -> Looked:
        """What there is for a take, behind those who wait."""
        self._find_at_home(shards, params.queue)
        shards[0].parked.serve_takes(params.queue, now_ns)
        counts = {shard.number: shard.queues.ready_count(params.queue, shard.at(now_ns)) for shard in shards}
        knowing = deliveries.knowing_shards(shards, params, now_ns)
        return Looked({number: count for number, count in counts.items() if count}, [shard.number for shard in knowing])

    def _dead(
        self, shards: Sequence[Shard], params: DeadParams, _: int, room: ReplyRoom
    ) -> PagePart[Death, DeadLetter]:
        self._find_at_home(shards, params.queue)
        return dead_letters.read_part(shards, params, room)

    def _dead_receipts(
        self, shards: Sequence[Shard], params: MoveDeadParams, _: int, __: ReplyRoom
    ) -> PagePart[Death, str]:
        self._find_at_home(shards, params.queue)
        return dead_letters.receipts_of(shards, params.queue, dead_letters.page_of_deaths(shards, params))

    def _find_at_home(self, shards: Sequence[Shard], queue: str) -> None:
        """Raises `Refusal` (queue_not_found) where the home of a queue is one of some shards, and does not know it."""
        number = shard_number(queue, self._count)
        for shard in shards:
            if shard.number == number:
                shard.queues.find(queue)


def _take(shards: Sequence[Shard], asked: TakeFrom, now_ns: int, room: ReplyRoom) -> Taken[Delivery]:
    """Leases ready ends of some shards, after those who wait for some. A copy of the take that waits is answered."""
    params, parked = asked.take, shards[0].parked
    parked.serve_takes(params.queue, now_ns)
    taken = _give(shards, asked, now_ns, room)
    if params.key is not None:
        parked.end_take(params.queue, params.key, now_ns)
    return taken


def _take_or_wait(shards: Sequence[Shard], asked: TakeFrom, now_ns: int, room: ReplyRoom) -> Taken[Delivery] | Wait:
    """The same, or the wait for a ready end. It takes the place of a copy of the take that waits."""
    params = asked.take
    shards[0].parked.serve_takes(params.queue, now_ns)
    if taken := _give(shards, asked, now_ns, room):
        return taken
    return WaitForDelivery(
        until_ns=now_ns + params.wait_ms * NS_PER_MS,
        timed_out=lambda _, __: Taken([], None),
        take=lambda then_ns, room: _give(shards, asked, then_ns, room) or None,
        line=params.queue,
        take_key=params.key,
    )


def _give(shards: Sequence[Shard], asked: TakeFrom, now_ns: int, room: ReplyRoom) -> Taken[Delivery]:
    known = [shard for shard in shards if shard.queues.standing(asked.take.queue) is not None]
    if not known:
        return Taken([], None)
    return deliveries.give(known, deliveries.knowing_shards(known, asked.take, now_ns), asked, now_ns, room)


def _give_back(shards: Sequence[Shard], taken: TakeKey, now_ns: int, _: ReplyRoom) -> bool:
    """Ends a take that waits, and gives back what it leases as if it had never been delivered."""
    shards[0].parked.end_take(taken.queue, taken.key, now_ns)
    for shard in shards:
        then_ns = shard.at(now_ns)
        if shard.queues.knows_take(taken.queue, taken.key, then_ns):
            leased = shard.queues.take(taken.queue, 1, 0, taken.key, then_ns)
            numbers = [delivery.number for delivery in leased]
            shard.queues.nack(taken.queue, numbers, GivingBack("return"), then_ns)
    return True


def _logs(shards: Sequence[Shard], _: NoParams, __: int, ___: ReplyRoom) -> dict[str, int]:
    return {shard.log.id: shard.number for shard in shards}


def _ack(shards: Sequence[Shard], params: AckParams, now_ns: int, _: ReplyRoom) -> Found:
    return _found(shards, params.queue, params.receipts, lambda parts: deliveries.ack_parts(parts, params, now_ns)[0])


def _nack(shards: Sequence[Shard], params: NackParams, now_ns: int, _: ReplyRoom) -> Found:
    return _found(shards, params.queue, params.receipts, lambda parts: deliveries.nack_parts(parts, params, now_ns)[0])


def _renew(shards: Sequence[Shard], params: RenewParams, now_ns: int, _: ReplyRoom) -> Found:
    until_ms = 0

    def renew(parts: Sequence[Part]) -> Sequence[str]:
        nonlocal until_ms
        renewed = deliveries.renew_parts(parts, params, now_ns)
        until_ms = renewed.leased_until_ms
        return renewed.leased

    found = _found(shards, params.queue, params.receipts, renew)
    return Found(found.done, found.is_known, until_ms)


def _move_dead(
    move: Callable[[Sequence[Part], MoveDeadParams, Sequence[str], int], tuple[list[str], list[str]]],
    shards: Sequence[Shard],
    params: MoveDeadParams,
    now_ns: int,
    _: ReplyRoom,
) -> Found:
    receipts = params.receipts or []
    return _found(shards, params.queue, receipts, lambda parts: move(parts, params, receipts, now_ns)[0])


def _found(shards: Sequence[Shard], queue: str, receipts: Sequence[str], done: Done) -> Found:
    """Does something to those receipts that are of some shards."""
    known = [shard for shard in shards if shard.queues.standing(queue) is not None]
    if not known:
        return Found([], is_known=False)
    return Found([*done(by_shard(known, known[0], queue, receipts))], is_known=True)
