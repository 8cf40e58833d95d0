"""The methods of queues: which queues there are, and what each is, in all shards together."""

from collections.abc import Callable, Mapping
from functools import partial

from timer_protocol import queue_messages as messages
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import Deleted, ListQueuesParams, PutQueueParams, QueuePage, QueueParams
from timer_server.core.queues.changes import Settings
from timer_server.core.queues.rules import Gone, Rule
from timer_server.core.room import ENTRY_BYTES
from timer_server.requests.dead_letters import DeadLetterMethods
from timer_server.requests.deliveries import NOTHING, DeliveryMethods
from timer_server.requests.methods import Handler
from timer_server.requests.parked import WaitInLine
from timer_server.requests.placement import Shards
from timer_server.requests.queue_rules import QueueRules, line_of
from timer_server.requests.queue_views import view_of
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

Outcome = Callable[[int], object]
"""What is answered at a moment; None where it is too early for that."""

EVERYWHERE_MS = 4_000
"""How long a request waits until all shards have heard of a queue."""

_TAKEN_UP_BYTES = 30
"""What an end from before a queue was made takes in the log, once that has taken it up."""


class QueueMethods:
    """The methods about queues, on the shards of a server. `rules` tells all shards what is put and deleted."""

    def __init__(self, shards: Shards, rules: QueueRules) -> None:
        self._shards = shards
        self._rules = rules
        self._deliveries = DeliveryMethods(shards)
        self._dead_letters = DeadLetterMethods(shards)

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each method, by name."""
        return {
            "queue.put": self.put,
            "queue.delete": self.delete,
            "queue.get": self.get,
            "queue.list": self.list_queues,
            "queue.take": self._deliveries.take,
            "queue.ack": self._deliveries.ack,
            "queue.nack": self._deliveries.nack,
            "queue.renew": self._deliveries.renew,
            "queue.dead": self._dead_letters.dead,
            "queue.revive": self._dead_letters.revive,
            "queue.drop": self._dead_letters.drop,
        }

    def prefix_of(self, name: str) -> str | None:
        """The prefix of a queue; None where there is no such queue."""
        return self._shards.of(name).queues.prefix_of(name)

    def put(self, params: PutQueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue | WaitInLine:
        """Makes a queue or changes it. Who waits for a queue whose prefix changes has to ask again."""
        home, name = self._shards.of(params.queue), params.queue
        for shard in self._shards.all():
            is_new = shard.queues.standing(name) is None
            shard.engine.take_room(ENTRY_BYTES + (_filling_bytes(shard, params) if is_new else 0))
        before = home.queues.rule(name)
        rule = home.queues.put(params, home.engine.horizon, home.engine.last_place, home.at(now_ns)).state.rule
        if before is None or rule.standing != before.standing:
            self._rules.note(home, rule)
        if before is not None and before.settings.prefix != rule.settings.prefix:
            self._shards.parked.end_takes(name, NOTHING)
        put = partial(self._put, rule, self._view(name, now_ns))
        return put(now_ns) or self._until_everywhere(name, put, now_ns)

    def delete(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> Deleted | WaitInLine:
        """Deletes a queue. Who waits for it is told so."""
        home, name = self._shards.of(params.queue), params.queue
        standings = [shard.queues.standing(name) for shard in self._shards.all()]
        gone = Gone(name, max((standing.made for standing in standings if standing is not None), default=0))
        is_deleted = home.queues.delete(name, home.at(now_ns))
        if is_deleted:
            self._deliveries.forget(name)
            self._shards.parked.end_takes(name, _was_deleted(name))
        if gone.made:
            self._rules.note(home, gone)
        deleted = partial(self._deleted, gone, is_deleted)
        return deleted(now_ns) or self._until_everywhere(name, deleted, now_ns)

    def get(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue:
        """A queue as it stands."""
        return self._view(params.queue, now_ns)

    def list_queues(self, params: ListQueuesParams, now_ns: int, room: ReplyRoom) -> QueuePage:
        """A page of queues. Each shard knows all of them."""
        known = self._shards.all()[0].queues
        found, after = known.page(params.prefix, params.after, params.limit)
        room.take_page(len(known), len(found))
        names = [queue.state.name for queue in found]
        return QueuePage([self._view(name, now_ns) for name in names if self.prefix_of(name) is not None], after)

    # Parts

    def _view(self, name: str, now_ns: int) -> messages.Queue:
        return view_of(self._shards.of(name), self._shards.all(), name, now_ns)

    def _until_everywhere(self, name: str, outcome: Outcome, now_ns: int) -> WaitInLine:
        """The wait until all shards have heard of what was done to a queue, which `outcome` tells then."""
        return WaitInLine(
            until_ns=now_ns + EVERYWHERE_MS * NS_PER_MS,
            timed_out=lambda _, __: _not_everywhere(name),
            line=line_of(name),
            take=lambda then_ns, _: outcome(then_ns),
        )

    def _put(self, rule: Rule, view: messages.Queue, now_ns: int) -> messages.Queue | None:
        """The queue, once all shards have heard of it; or as it was when it was put, where it was deleted meanwhile."""
        standing = self._shards.of(rule.queue).queues.standing(rule.queue)
        if standing is None or standing.made != rule.made:
            return view
        return self._view(rule.queue, now_ns) if self._rules.is_everywhere(rule) else None

    def _deleted(self, gone: Gone, is_deleted: bool, _: int) -> Deleted | None:
        """Whether there was a queue, once it is in no shard any more."""
        return Deleted(is_deleted) if self._rules.is_everywhere(gone) else None


def _filling_bytes(shard: Shard, params: PutQueueParams) -> int:
    """What a new queue may add to a log for the ends that are there already."""
    if params.begin == "now":
        return 0
    there = shard.engine.last_place - shard.engine.horizon
    return _TAKEN_UP_BYTES * min(there, params.max_backlog or Settings(params.prefix).max_backlog)


def _was_deleted(name: str) -> Refusal:
    return Refusal(ErrorCode.QUEUE_NOT_FOUND, f"queue {name!r} was deleted", queue=name)


def _not_everywhere(name: str) -> Refusal:
    return Refusal(ErrorCode.STORAGE_FAILED, f"not every log has heard of queue {name!r} yet; send the request again")
