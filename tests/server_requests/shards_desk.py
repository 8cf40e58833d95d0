"""The queues of a server with several shards, without sockets: the test says when a turn ends, and what is stored."""

from typing import Any

from msgspec import Raw

from drivers.builders import BEGIN_NS, CIVIL_TIME, NS_PER_MS
from drivers.desk import CODEC, ENVELOPE, body, request
from timer_protocol.frames import Message
from timer_protocol.limits import Limits
from timer_protocol.messages import StartParams
from timer_protocol.sender import EVERYBODY
from timer_server.core.effects import STANDING
from timer_server.core.engine import Engine
from timer_server.core.model import Countdown
from timer_server.core.queues.queues import Queues
from timer_server.loop.chores import QueueCare
from timer_server.requests.answers import JsonAnswer
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.parked import Parked
from timer_server.requests.placement import OneShard, Shards, shard_number
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.shard import Shard
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore

LIMITS = Limits(max_payload_bytes=4 * 1024 * 1024)


class ShardsDesk:
    """Shards, each with a store of its own. `now_ns` is the time at which requests come in."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.now_ns = BEGIN_NS
        self.stores = [MemoryStore(f"log{number:08}") for number in range(count)]
        self.open()

    def open(self) -> None:
        """Begins as a server does: with what is stored."""
        self.parked = Parked()
        self.all = [self._shard(number) for number in range(self.count)]
        self.shards = (
            OneShard(self.all[0], lambda _: "new")
            if self.count == 1
            else Shards(self.all, self.count, self.parked, lambda _: "new")
        )
        self.rules = QueueRules(self.shards)
        self.methods = QueueMethods(self.shards, self.rules)
        self.dispatcher = Dispatcher(
            CODEC, self.methods.handlers(), self.parked, LIMITS, self.shards.new_id, self.methods.prefix_of
        )

    def _shard(self, number: int) -> Shard:
        store = self.stores[number]
        header = store.open()
        queues, log = Queues(lambda: 0.5), Log(store, header)
        engine = Engine(LIMITS, lambda _: "new", STANDING, queues, CIVIL_TIME, log.event)
        shard = Shard(engine, queues, log, number, self.parked)
        engine.restore(store.load(), header.ends, log.holder)
        engine.start_server(self.now_ns)
        return shard

    # Requests

    def ask(self, method: str, **params: Any) -> JsonAnswer:
        answer = self.dispatcher.handle(Message([*ENVELOPE, request(method, **params)], EVERYBODY), self.now_ns)
        assert isinstance(answer, JsonAnswer)
        return answer

    def call(self, method: str, **params: Any) -> Any:
        """The response to a request. Where it has to wait, turns end until it is there, at the same moment."""
        answer = self.ask(method, **params)
        for _ in range(5):
            if answer.missing:
                self.turn()
        return body(answer)

    def result(self, method: str, **params: Any) -> Any:
        response = self.call(method, **params)
        assert "result" in response, response
        return response["result"]

    def start(self, timer_id: str, seconds: int = 1, payload: bytes = b"null") -> None:
        params = StartParams(timer_id, seconds=seconds, payload=Raw(payload))
        self.shards.of(timer_id).engine.handle(params, self.now_ns)

    # Time

    def wait(self, milliseconds: int) -> list[JsonAnswer]:
        """Lets time pass, and ends the turn that comes then."""
        self.now_ns += milliseconds * NS_PER_MS
        return self.turn()

    def turn(self) -> list[JsonAnswer]:
        """Does what is due, stores it, and returns the answers that have become complete."""
        for shard in self.all:
            shard.engine.expire(self.now_ns, 500)
        self.rules.step(self.now_ns, 500)
        for shard in self.all:
            QueueCare(shard).step(self.now_ns, 500)
        self.parked.expire(self.now_ns, 500)
        self.shards.serve_takes(self.now_ns)
        self.events = self.commit()
        return [answer for answer in self.parked.take_ready() if isinstance(answer, JsonAnswer)]

    def commit(self, *numbers: int) -> list[list[Countdown]]:
        """Stores what has happened, in some shards or in all, and returns the events of each."""
        events = []
        for shard in [self.all[number] for number in numbers] or self.all:
            writes = shard.take_writes()
            if writes is None:
                events.append([])
                continue
            shard.log.take_off(writes.changes)
            self.stores[shard.number].commit(writes.changes, writes.anchor)
            events.append(shard.log.land().events)
        return events

    # What there is

    def name_in(self, number: int, begin: str = "") -> str:
        """An id, or the name of a queue, of a shard."""
        return next(name for at in range(10_000) if shard_number(name := f"{begin}{at}", self.count) == number)

    def ready_in(self, name: str) -> list[int]:
        return [shard.queues.find(name).state.ready_count for shard in self.all]
