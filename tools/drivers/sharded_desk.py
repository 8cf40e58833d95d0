"""A server of one shard or of several, without sockets: the test says when a turn ends."""

import json
from typing import Any

from drivers.builders import BEGIN_NS, CIVIL_TIME, NS_PER_MS
from drivers.desk import CODEC, ENVELOPE
from timer_protocol.frames import Message
from timer_protocol.limits import Limits
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.core.effects import STANDING
from timer_server.core.engine import Engine
from timer_server.core.places import Places
from timer_server.core.queues.queues import Queues
from timer_server.loop.chores import Expiry, PlanCare, QueueCare, Retention, Schedule, Waking, in_each_shard
from timer_server.requests.answers import Answer
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.methods import Methods
from timer_server.requests.parked import Parked
from timer_server.requests.placement import OneShard, Shards, shard_number
from timer_server.requests.plans import PlanMethods
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.servers import Servers
from timer_server.requests.shard import Shard
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore

BUDGET = 500


class ShardedDesk:
    """A server with a store in memory for each shard. `now_ns` is the time at which requests come in."""

    def __init__(self, count: int, **limits: int) -> None:
        self.limits = Limits(**limits)
        self.ahead_ns = [0] * count
        """By how much the timeline of each shard is ahead of the desk's. The wall clock goes with that of the desk."""
        self.stores = [MemoryStore(f"log{number:08}") for number in range(count)]
        self.now_ns = BEGIN_NS
        self.made = 0
        self.maxima: dict[str, int] = {}
        self.reload()

    def reload(self) -> None:
        """Begins as a server does: with what is stored. Who waits is told nothing."""
        self.parked, self.places = Parked(), Places(self.limits.max_timers)
        owned = [self.open(number) for number in range(len(self.stores))]
        one = len(owned) == 1
        self.shards = (
            OneShard(owned[0], self._make_id) if one else Shards(owned, len(owned), self.parked, self._make_id)
        )
        self.places.share_out(self.maxima)
        self.queue_rules = QueueRules(self.shards)
        self.queue_methods = QueueMethods(self.shards, self.queue_rules)
        methods, plan_methods = Methods(self.shards, self.limits, Servers(())), PlanMethods(self.shards, self.limits)
        every = (methods, plan_methods, self.queue_methods)
        handlers = {name: handler for some in every for name, handler in some.handlers().items()}
        prefix_of = self.queue_methods.prefix_of
        self.dispatcher = Dispatcher(CODEC, handlers, self.parked, self.limits, self.shards.new_id, prefix_of)
        self.chores = Schedule(
            [
                *(in_each_shard(kind, self.shards) for kind in (Expiry, PlanCare)),
                self.queue_rules,
                in_each_shard(QueueCare, self.shards),
                Waking(self.shards.parked),
            ]
        )
        self.retention = in_each_shard(Retention, self.shards)

    def open(self, number: int) -> Shard:
        """A shard with what its store has."""
        store = self.stores[number]
        header = store.open()
        queues, log = Queues(lambda: 0.5), Log(store, header)
        wall_clock = STANDING._replace(ahead_ns=lambda: -self.ahead_ns[number])
        engine = Engine(self.limits, self._make_id, wall_clock, queues, CIVIL_TIME, log.event, places=self.places)
        engine.restore(store.load(), header.ends, log.holder)
        shard = Shard(engine, queues, log, number, self.parked)
        shard.ahead_ns = self.ahead_ns[number]
        return shard

    def spread(self, step_ms: int) -> None:
        """Sets the timelines of most shards ahead, by some steps each."""
        self.ahead_ns = [number * 7 % 5 * step_ms * NS_PER_MS for number in range(len(self.stores))]
        for shard in self.shards.owned:
            shard.ahead_ns = self.ahead_ns[shard.number]

    def ahead_ms(self, timer_id: str) -> int:
        """By how much the timeline of a timer is ahead."""
        return self.ahead_ns[shard_number(timer_id, len(self.stores))] // NS_PER_MS

    def share_out(self, maxima: dict[str, int]) -> None:
        """Limits what may be pending below some prefixes."""
        self.maxima = maxima
        self.places.share_out(maxima)

    # Requests

    def send(self, *calls: tuple[str, dict[str, Any]], sender: Sender = EVERYBODY) -> Answer | None:
        """One message: a request, or a batch of several."""
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        body = json.dumps(requests[0] if len(requests) == 1 else requests).encode()
        return self.dispatcher.handle(Message([*ENVELOPE, body], sender), self.now_ns)

    def call(self, method: str, sender: Sender = EVERYBODY, **params: Any) -> Any:
        """The response to one request, which is answered at once."""
        answer = self.send((method, params), sender=sender)
        assert answer is not None
        assert not answer.missing
        return body(answer)

    def result(self, method: str, **params: Any) -> Any:
        """The result of one request, which is answered at once."""
        response = self.call(method, **params)
        assert "result" in response, response
        return response["result"]

    # Time

    def turn(self) -> list[Answer]:
        """Does all that is due, stores it, and returns the answers that have become complete."""
        answers: list[Answer] = []
        while self.chores.look() <= self.now_ns:
            self.chores.step(self.now_ns, BUDGET)
            self.shards.serve_takes(self.now_ns)
            self.commit()
            answers += self.parked_answers()
        self.commit()
        return answers + self.parked_answers()

    def commit(self) -> None:
        """Stores what has happened, and wakes who has waited for it."""
        for shard in self.shards.owned:
            if (writes := shard.take_writes()) is not None:
                shard.log.take_off(writes.changes)
                self.stores[shard.number].commit(writes.changes, writes.anchor)
                self.shards.parked.notify(shard.log.land().events)

    def parked_answers(self) -> list[Answer]:
        """Answers who is awake."""
        self.shards.parked.answer_woken(self.now_ns, BUDGET)
        return self.shards.parked.take_ready()

    def wait(self, milliseconds: int) -> list[Answer]:
        """Lets time pass, and ends the turn that comes then."""
        self.now_ns += milliseconds * NS_PER_MS
        return self.turn()

    def forget(self) -> None:
        """All of retention that there is to do."""
        self.commit()
        while (due_ns := self.retention.next_due_ns()) is not None and due_ns <= self.now_ns:
            self.retention.step(self.now_ns, BUDGET)
            self.commit()

    # What there is

    def name_in(self, number: int, begin: str = "") -> str:
        """An id of a shard."""
        count = len(self.stores)
        return next(name for at in range(100_000) if shard_number(name := f"{begin}{at}", count) == number)

    def pages(self, method: str, of: str, **params: Any) -> list[Any]:
        """What all pages of a list have."""
        found: list[Any] = []
        after = None
        while True:
            page = self.result(method, **params, **({} if after is None else {"after": after}))
            found += page[of]
            if page["next"] is None:
                return found
            assert after is None or page["next"] > after
            after = page["next"]

    def events(self) -> list[Any]:
        """All events of all logs, read to the end."""
        found: list[Any] = []
        after: dict[str, int] = {}
        while True:
            page = self.result("events.read", after=after, limit=7)
            found += page["events"]
            after = page["next"]
            if not page["more"]:
                return found

    def _make_id(self, _: int) -> str:
        self.made += 1
        return f"made/{self.made}"


def body(answer: Answer | None) -> Any:
    """What an answer says."""
    assert answer is not None
    return json.loads(answer.frames()[-1])
