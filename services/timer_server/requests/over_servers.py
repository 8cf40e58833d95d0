"""The methods that concern several shards, where these are owned by several servers.

Where all shards are here, a request is answered at once, as on a server that has no other beside it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.limits import Limits
from timer_protocol.messages import InfoParams
from timer_protocol.queue_messages import (
    DeadParams,
    Deleted,
    ListQueuesParams,
    PutQueueParams,
    QueueParams,
    TakeParams,
)
from timer_server.requests import dead_letters, event_parts, listing, many_over_servers, plans, queues
from timer_server.requests import receipts_over_servers as receipts
from timer_server.requests.aside import Aside
from timer_server.requests.asking import Asking, NoParams
from timer_server.requests.gathering import Dialogue, Gather
from timer_server.requests.methods import Handler, Methods
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.queue_parts import AtHome
from timer_server.requests.queue_views import whole
from timer_server.requests.receipts_over_servers import LogNumbers
from timer_server.requests.room import ReplyRoom
from timer_server.requests.takes_over_servers import take_over_servers

WAIT_MS = 4_000
"""How long a request waits for shards that no server owns, where its client has not said how long."""

_LATER_MS = 250
"""How much longer the answer to a wait may take than the wait: the servers are asked one after the other."""

_HOLDING = {"timer.change_many", "queue.revive", "queue.drop"}
"""Methods that choose first and change then what was chosen. What else asks twice may have requests in between."""


class OverServers:
    """The methods about several shards, as dialogues with the servers that own them."""

    def __init__(
        self,
        shards: Shards,
        limits: Limits,
        methods: Methods,
        queue_methods: queues.QueueMethods,
        aside: Aside,
        make_key: Callable[[], str],
    ) -> None:
        """`make_key` makes a key for a take that has none, no two the same."""
        self._shards = shards
        self._limits = limits
        self._methods = methods
        self._queues = queue_methods
        self._aside = aside
        self._make_key = make_key
        self._logs = LogNumbers()

    def handlers(self, here: Mapping[str, Handler]) -> Mapping[str, Handler]:
        """The handlers of these methods, by name. `here` are those that answer where all shards are here."""
        return {name: self._either(here[name], gather) for name, gather in self.in_line().items()}

    def in_line(self) -> Mapping[str, Handler]:
        """Handlers that always ask, so that a request stands in line behind what its connection has asked before."""
        handlers = {name: self._gather(dialogue, name in _HOLDING) for name, dialogue in self._dialogues().items()}
        return {**handlers, "server.info": self._own_or_all(handlers["server.info"])}

    def _dialogues(self) -> Mapping[str, Callable[[Any, Asking], Dialogue]]:
        logs = self._logs
        return {
            "timer.list": listing.list_over_servers,
            "timer.start_many": lambda params, asking: many_over_servers.start_over_servers(
                params, self._limits, asking
            ),
            "timer.change_many": many_over_servers.change_over_servers,
            "server.info": self._info,
            "events.read": event_parts.read_over_servers,
            "plan.list": plans.list_over_servers,
            "queue.put": self._put,
            "queue.delete": self._delete,
            "queue.get": self._of_known(self._get),
            "queue.list": self._list_queues,
            "queue.take": self._of_known(self._take),
            "queue.ack": self._of_known(lambda params, asking: receipts.ack_over_servers(params, asking, logs)),
            "queue.nack": self._of_known(lambda params, asking: receipts.nack_over_servers(params, asking, logs)),
            "queue.renew": self._of_known(lambda params, asking: receipts.renew_over_servers(params, asking, logs)),
            "queue.dead": self._of_known(self._dead),
            "queue.revive": self._of_known(partial(self._move_dead, "shards.revive")),
            "queue.drop": self._of_known(partial(self._move_dead, "shards.drop")),
        }

    def _own_or_all(self, gather: Handler) -> Handler:
        """Handles `server.info`: what it asks only about own shards waits for nobody."""

        def handle(params: InfoParams, now_ns: int, room: ReplyRoom) -> object:
            return self._methods.info(params, now_ns, room) if params.own else gather(params, now_ns, room)

        return handle

    def _either(self, here: Handler, gather: Handler) -> Handler:
        shards = self._shards

        def handle(params: Any, now_ns: int, room: ReplyRoom) -> object:
            return here(params, now_ns, room) if shards.are_all_here else gather(params, now_ns, room)

        return handle

    def _gather(self, dialogue: Callable[[Any, Asking], Dialogue], holds: bool) -> Handler:
        count = self._shards.count

        def handle(params: Any, now_ns: int, room: ReplyRoom) -> Gather:
            asking = Asking(count, room)

            def timed_out(_: int, __: ReplyRoom) -> object:
                asking.is_over = True
                return asking.so_far

            wait_ms = getattr(params, "wait_ms", 0)
            until_ms = max(WAIT_MS, wait_ms + _LATER_MS) if wait_ms else WAIT_MS
            until_ns = now_ns + until_ms * NS_PER_MS
            return Gather(until_ns=until_ns, timed_out=timed_out, dialogue=dialogue(params, asking), holds=holds)

        return handle

    def _of_known(self, dialogue: Callable[[Any, Asking], Dialogue]) -> Callable[[Any, Asking], Dialogue]:
        """A dialogue about a queue, which has to be known here: all shards have heard of what has been put.

        Of a queue that is being made nobody could tell yet whether its prefix is one that the client may read.
        """

        def of_known(params: Any, asking: Asking) -> Dialogue:
            if self._shards.owned and self._queues.prefix_of(params.queue) is None:
                self._shards.owned[0].queues.find(params.queue)
            return dialogue(params, asking)

        return of_known

    def _info(self, _: InfoParams, asking: Asking) -> Dialogue:
        return self._methods.info_of(asking.values((yield asking.same("shards.info", NoParams()))))

    def _put(self, params: PutQueueParams, asking: Asking) -> Dialogue:
        """Makes or changes a queue at its home, which tells all others of it."""
        put = yield from self._at_home("shards.put", params.queue, params, asking)
        told = yield asking.same("shards.queue", QueueParams(params.queue))
        parts = [asking.value(one) for one in told]
        if any(isinstance(part, Refusal) for part in parts):  # it may have been deleted meanwhile
            return put
        return whole(parts) or put

    def _delete(self, params: QueueParams, asking: Asking) -> Dialogue:
        deleted = yield from self._at_home("shards.delete", params.queue, None, asking)
        assert isinstance(deleted, Deleted)
        if deleted.deleted:
            self._queues.deliveries.forget(params.queue)
        return deleted

    def _at_home(self, method: str, queue: str, put: PutQueueParams | None, asking: Asking) -> Dialogue:
        is_known = not self._shards.owned or self._queues.prefix_of(queue) is not None
        home = frozenset([shard_number(queue, len(asking.all))])
        (answer,) = asking.values((yield asking.same(method, AtHome(queue, put, is_known), home)))
        return answer

    def _get(self, params: QueueParams, asking: Asking) -> Dialogue:
        return whole(asking.values((yield asking.same("shards.queue", params))))

    def _list_queues(self, params: ListQueuesParams, asking: Asking) -> Dialogue:
        return queues.page_of(asking.values((yield asking.same("shards.queues", params))), params.limit)

    def _take(self, params: TakeParams, asking: Asking) -> Dialogue:
        if params.key is None:
            params = replace(params, key=self._make_key())
        return take_over_servers(params, asking, self._queues.deliveries.turn_of, self._aside)

    def _dead(self, params: DeadParams, asking: Asking) -> Dialogue:
        return dead_letters.page_of(asking.values((yield asking.same("shards.dead", params))), params.limit)

    def _move_dead(self, method: str, params: Any, asking: Asking) -> Dialogue:
        return receipts.move_dead_over_servers(method, params, asking, self._logs)
