"""The methods of queues: which queues there are, and what each is, in all shards together."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from timer_protocol import queue_messages as messages
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import Deleted, ListQueuesParams, PutQueueParams, QueuePage, QueueParams
from timer_server.core.queues.changes import Settings
from timer_server.core.queues.rules import Gone, Rule
from timer_server.core.room import ENTRY_BYTES
from timer_server.requests.dead_letters import DeadLetterMethods
from timer_server.requests.deliveries import DeliveryMethods
from timer_server.requests.methods import Handler
from timer_server.requests.pages import PagePart
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.queue_rules import QueueRules, line_of, was_deleted
from timer_server.requests.queue_views import Held, held, whole
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import WaitInLine

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
        self.deliveries = DeliveryMethods(shards)
        self._dead_letters = DeadLetterMethods(shards)

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each method, by name."""
        return {
            "queue.put": self.put,
            "queue.delete": self.delete,
            "queue.get": self.get,
            "queue.list": self.list_queues,
            "queue.take": self.deliveries.take,
            "queue.ack": self.deliveries.ack,
            "queue.nack": self.deliveries.nack,
            "queue.renew": self.deliveries.renew,
            "queue.dead": self._dead_letters.dead,
            "queue.revive": self._dead_letters.revive,
            "queue.drop": self._dead_letters.drop,
        }

    def prefix_of(self, name: str) -> str | None:
        """The prefix of a queue; None where there is no such queue. Raises `Refusal` where nobody here can tell."""
        if not self._shards.owned or self._shards.is_here(name):
            return self._shards.of(name).queues.prefix_of(name)
        prefixes = (shard.queues.prefix_of(name) for shard in self._shards.owned)
        return next((prefix for prefix in prefixes if prefix is not None), None)

    def put(self, params: PutQueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue | WaitInLine:
        """Makes a queue or changes it. Who waits for a queue whose prefix changes has to ask again."""
        self._shards.all()
        return self.put_here(params, now_ns)

    def put_here(self, params: PutQueueParams, now_ns: int) -> messages.Queue | WaitInLine:
        """The same at its home, which is here. What is told of the queue is what the shards here hold."""
        home, name = self._shards.of(params.queue), params.queue
        for shard in self._shards.owned:
            is_new = shard.queues.standing(name) is None
            shard.engine.take_room(ENTRY_BYTES + (_filling_bytes(shard, params) if is_new else 0))
        before = home.queues.rule(name)
        rule = home.queues.put(params, home.engine.horizon, home.engine.last_place, home.at(now_ns)).state.rule
        if before is None or rule.standing != before.standing:
            self._rules.note(home, rule)
        if before is not None and before.settings.prefix != rule.settings.prefix:
            self._shards.parked.end_takes(name, now_ns)
        put = partial(self._put, rule, self._view(name, now_ns))
        return put(now_ns) or self._until_everywhere(name, put, now_ns)

    def delete(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> Deleted | WaitInLine:
        """Deletes a queue. Who waits for it is told so."""
        self._shards.all()
        return self.delete_here(params, now_ns)

    def delete_here(self, params: QueueParams, now_ns: int) -> Deleted | WaitInLine:
        """The same at its home, which is here."""
        home, name = self._shards.of(params.queue), params.queue
        gone = Gone(name, self._made_before(home, name))
        is_deleted = home.queues.delete(name, home.at(now_ns))
        if is_deleted:
            self.deliveries.forget(name)
            self._shards.parked.end_takes(name, now_ns, was_deleted(name))
        if gone.made:
            self._rules.note(home, gone)
        deleted = partial(self._deleted, gone, is_deleted)
        return deleted(now_ns) or self._until_everywhere(name, deleted, now_ns)

    def get(self, params: QueueParams, now_ns: int, _: ReplyRoom) -> messages.Queue:
        """A queue as it stands."""
        self._shards.all()
        return self._view(params.queue, now_ns)

    def list_queues(self, params: ListQueuesParams, now_ns: int, room: ReplyRoom) -> QueuePage:
        """A page of queues. Each shard knows all of them."""
        return page_of([read_part(self._shards.all(), self._shards.count, params, now_ns, room)], params.limit)

    # Parts

    def _view(self, name: str, now_ns: int) -> messages.Queue:
        """A queue whose home is here, with what the shards here hold."""
        home = self._shards.of(name)
        queue = whole([held(self._shards.owned, home.number, name, now_ns)])
        assert queue is not None
        return queue

    def _made_before(self, home: Shard, name: str) -> int:
        """The highest `made` that a queue of this name may have had so far; 0 where there was none."""
        standings = [standing for shard in self._shards.owned if (standing := shard.queues.standing(name)) is not None]
        if self._shards.are_all_here or home.queues.standing(name) is not None:
            return max((standing.made for standing in standings), default=0)
        return home.engine.last_place  # other servers may know of one that the home has forgotten

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


def read_part(
    shards: Sequence[Shard], count: int, params: ListQueuesParams, now_ns: int, room: ReplyRoom
) -> PagePart[str, Held]:
    """A page of the queues that some shards know, in a store that has `count`, with what those hold of each."""
    known = shards[0].queues
    found, after = known.page(params.prefix, params.after, params.limit)
    room.take_page(len(known), len(found))
    keys: list[str] = []
    items: list[Held] = []
    for name in (queue.state.name for queue in found):
        number = shard_number(name, count)
        if all(shard.number != number or shard.queues.standing(name) is not None for shard in shards):
            part = held(shards, number, name, now_ns)
            assert part is not None
            keys.append(name)
            items.append(part)
    return PagePart(keys, items, after)


def page_of(parts: Sequence[PagePart[str, Held]], limit: int) -> QueuePage:
    """The page that its parts come to, in each of which the same queue may be."""
    end = min((part.next for part in parts if part.next is not None), default=None)
    by_name: dict[str, list[Held]] = {}
    for part in parts:
        for name, item in zip(part.keys, part.items, strict=True):
            if end is None or name <= end:
                by_name.setdefault(name, []).append(item)
    names = sorted(by_name)
    if len(names) > limit:
        end = names[limit - 1]
    queues = [whole(by_name[name]) for name in names[:limit]]
    return QueuePage([queue for queue in queues if queue is not None], end)


def _filling_bytes(shard: Shard, params: PutQueueParams) -> int:
    """What a new queue may add to a log for the ends that are there already."""
    if params.begin == "now":
        return 0
    there = shard.engine.last_place - shard.engine.horizon
    return _TAKEN_UP_BYTES * min(there, params.max_backlog or Settings(params.prefix).max_backlog)


def _not_everywhere(name: str) -> Refusal:
    return Refusal(ErrorCode.STORAGE_FAILED, f"not every log has heard of queue {name!r} yet; send the request again")
