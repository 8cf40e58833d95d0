"""The methods of queues: each asks the queues of the log, reads the ends there, and shapes the result."""

from collections.abc import Mapping, Sequence
from functools import partial

from timer_protocol import queue_messages as messages
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import Event
from timer_protocol.queue_messages import (
    AckParams,
    DeadLetter,
    DeadMoved,
    DeadPage,
    DeadParams,
    Deleted,
    Deliveries,
    ListQueuesParams,
    MoveDeadParams,
    NackParams,
    PutQueueParams,
    QueuePage,
    QueueParams,
    RenewParams,
    TakeParams,
)
from timer_server.core.queues.changes import Settings
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.queue import GivingBack, Queue
from timer_server.core.queues.receipts import Receipts
from timer_server.core.room import ENTRY_BYTES
from timer_server.limits import PAGE_BYTES
from timer_server.requests.methods import Handler
from timer_server.requests.parked import WaitForDelivery
from timer_server.requests.queue_views import cursor_at, death_at, queue_view
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

NOTHING = Deliveries([])

_TAKEN_UP_BYTES = 30
"""What an end from before a queue was made takes in the log, once that has taken it up."""


class QueueMethods:
    """The methods about queues, on the shards of a server."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        (self._shard,) = shards
        self._engine, self._queues = self._shard.engine, self._shard.queues
        self._parked, self._log_id = self._shard.parked, self._shard.log.id

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each method, by name."""
        return {
            "queue.put": self.put,
            "queue.delete": self.delete,
            "queue.get": self.get,
            "queue.list": self.list_queues,
            "queue.take": self.take,
            "queue.ack": self.ack,
            "queue.nack": self.nack,
            "queue.renew": self.renew,
            "queue.dead": self.dead,
            "queue.revive": self.revive,
            "queue.drop": self.drop,
        }

    def prefix_of(self, name: str) -> str | None:
        """The prefix of a queue; None where there is no such queue."""
        return self._queues.prefix_of(name)

    # Queues

    def put(self, params: PutQueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue:
        """Makes a queue or changes it. Who waits for a queue whose prefix changes has to ask again."""
        before = self.prefix_of(params.queue)
        self._engine.take_room(ENTRY_BYTES + (self._filling_bytes(params) if before is None else 0))
        queue = self._queues.put(params, self._engine.horizon, self._engine.last_place, now_ns)
        if before not in (None, params.prefix):
            self._parked.end_takes(params.queue, NOTHING)
        return queue_view(queue.state, now_ns // NS_PER_MS)

    def delete(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> Deleted:
        """Deletes a queue. Who waits for it is told so."""
        is_deleted = self._queues.delete(params.queue, now_ns)
        if is_deleted:
            gone = Refusal(ErrorCode.QUEUE_NOT_FOUND, f"queue {params.queue!r} was deleted", queue=params.queue)
            self._parked.end_takes(params.queue, gone)
        return Deleted(is_deleted)

    def get(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue:
        """A queue as it stands."""
        return queue_view(self._queues.find(params.queue).state, now_ns // NS_PER_MS)

    def list_queues(self, params: ListQueuesParams, now_ns: int, room: ReplyRoom) -> QueuePage:
        """A page of queues."""
        found, after = self._queues.page(params.prefix, params.after, params.limit)
        room.take_page(len(self._queues), len(found))
        return QueuePage([queue_view(queue.state, now_ns // NS_PER_MS) for queue in found], after)

    # Deliveries

    def take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | WaitForDelivery:
        """Leases ready ends, after those who wait for some; where there are none, the wait for one.

        A repeated take gets what it got before, and takes the place of its earlier copy.
        """
        queue = self._queues.find(params.queue)
        self._parked.serve_takes(params.queue, now_ns)
        is_repeated = _is_repeated(queue, params, now_ns)
        taken = self._take(params, now_ns, room)
        if taken is None and params.wait_ms and not is_repeated:
            return WaitForDelivery(
                until_ns=now_ns + params.wait_ms * NS_PER_MS,
                timed_out=lambda _, __: NOTHING,
                take=partial(self._take, params),
                queue=params.queue,
                take_key=params.key,
            )
        if params.key is not None:
            self._parked.end_take(params.queue, params.key, NOTHING)
        return taken or NOTHING

    def ack(self, params: AckParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Is done with deliveries."""
        numbers = self._numbers(params.queue, params.receipts)
        done = self._queues.ack(params.queue, _known(numbers), now_ns).done
        return messages.Settled(*_parted(params.receipts, numbers, done))

    def nack(self, params: NackParams, now_ns: int, _: ReplyRoom) -> messages.Settled:
        """Gives deliveries back, or up."""
        numbers = self._numbers(params.queue, params.receipts)
        if params.then == "dead" and params.delay_ms is not None:
            what = 'delay_ms is for deliveries that come again; with then "dead" leave it out'
            raise Refusal(ErrorCode.INVALID_PARAMS, what)
        giving = GivingBack(params.then, params.delay_ms, params.reason)
        done = self._queues.nack(params.queue, _known(numbers), giving, now_ns).done
        return messages.Settled(*_parted(params.receipts, numbers, done))

    def renew(self, params: RenewParams, now_ns: int, _: ReplyRoom) -> messages.Renewed:
        """Leases deliveries for longer."""
        numbers = self._numbers(params.queue, params.receipts)
        self._engine.take_room(ENTRY_BYTES)
        renewal = self._queues.renew(params.queue, _known(numbers), params.lease_ms, now_ns)
        leased, lost = _parted(params.receipts, numbers, renewal.leased)
        return messages.Renewed(leased, renewal.until_ms, lost)

    # Dead letters

    def dead(self, params: DeadParams, _: int, room: ReplyRoom) -> DeadPage:
        """A page of dead letters. Large payloads end it early."""
        found, after = self._queues.dead(params.queue, death_at(params.after), params.limit)
        letters: list[Delivery] = []
        page_bytes, last = min(PAGE_BYTES, room.left_bytes), 0
        for death, letter in found:
            if letters and page_bytes < letter.payload_bytes:
                after = last
                break
            letters.append(letter)
            page_bytes, last = page_bytes - letter.payload_bytes, death
        receipts = Receipts(self._log_id, params.queue)
        events = self._events(letters, room)
        dead = [
            DeadLetter(receipts.text(letter.number), letter.attempts, letter.reason, letter.at_ms, event)
            for letter, event in zip(letters, events, strict=True)
        ]
        return DeadPage(dead, None if after is None else cursor_at(after))

    def revive(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Makes dead letters ready again."""
        receipts, numbers, after = self._letters(params)
        self._engine.take_room(ENTRY_BYTES)
        done = self._queues.revive(params.queue, _known(numbers), now_ns).done
        return DeadMoved(*_parted(receipts, numbers, done), after)

    def drop(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Forgets dead letters."""
        receipts, numbers, after = self._letters(params)
        done = self._queues.drop(params.queue, _known(numbers), now_ns).done
        return DeadMoved(*_parted(receipts, numbers, done), after)

    # Parts

    def _filling_bytes(self, params: PutQueueParams) -> int:
        """What a new queue may add to the log for the ends that are there already."""
        if params.begin == "now":
            return 0
        there = self._engine.last_place - self._engine.horizon
        return _TAKEN_UP_BYTES * min(there, params.max_backlog or Settings(params.prefix).max_backlog)

    def _take(self, params: TakeParams, now_ns: int, room: ReplyRoom) -> Deliveries | None:
        """What a take gets now; None for nothing."""
        room.check()
        queue = self._queues.find(params.queue)
        if queue.state.ready_count and not _is_repeated(queue, params, now_ns):
            self._engine.take_room(ENTRY_BYTES)
        most_bytes = min(PAGE_BYTES, room.left_bytes)
        leased = self._queues.take(params.queue, params.max, most_bytes, params.key, now_ns)
        if not leased:
            return None
        receipts, most = Receipts(self._log_id, params.queue), queue.state.settings.max_deliveries
        return Deliveries(
            [
                messages.Delivery(receipts.text(one.number), one.attempts, most, one.at_ms, event)
                for one, event in zip(leased, self._events(leased, room), strict=True)
            ]
        )

    def _events(self, deliveries: Sequence[Delivery], room: ReplyRoom) -> list[Event]:
        """The ends of deliveries, which take room in the reply."""
        room.take_page(len(deliveries), len(deliveries))
        room.left_bytes -= sum(delivery.payload_bytes for delivery in deliveries)
        return [event.event_view(self._log_id) for event in self._shard.events([one.place for one in deliveries])]

    def _numbers(self, name: str, receipts: Sequence[str]) -> list[int | None]:
        """The numbers of receipts; None for one of another log. Raises `Refusal`."""
        self._queues.find(name)
        return Receipts(self._log_id, name).numbers(receipts)

    def _letters(self, params: MoveDeadParams) -> tuple[list[str], list[int | None], str | None]:
        """The receipts and numbers of the dead letters that are meant, and the cursor to go on after."""
        if params.receipts is not None:
            if params.after is not None:
                raise Refusal(ErrorCode.INVALID_PARAMS, "either receipts or after: it goes on with a page of all")
            return params.receipts, self._numbers(params.queue, params.receipts), None
        found, after = self._queues.dead(params.queue, death_at(params.after), params.limit)
        numbers: list[int | None] = [letter.number for _, letter in found]
        receipts = Receipts(self._log_id, params.queue)
        return (
            [receipts.text(letter.number) for _, letter in found],
            numbers,
            None if after is None else cursor_at(after),
        )


def _is_repeated(queue: Queue, params: TakeParams, now_ns: int) -> bool:
    """Whether a take with this key has got something before."""
    return params.key is not None and queue.knows_take(params.key, now_ns)


def _known(numbers: Sequence[int | None]) -> list[int]:
    return [number for number in numbers if number is not None]


def _parted(
    receipts: Sequence[str], numbers: Sequence[int | None], found: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Receipts whose numbers were found, and the others, each once. A number is found no more than once."""
    if len(found) == len(receipts):
        return list(receipts), []
    done = set(found)
    number_of = dict(zip(receipts, numbers, strict=True))
    return (
        [receipt for receipt, number in number_of.items() if number in done],
        [receipt for receipt, number in number_of.items() if number not in done],
    )
