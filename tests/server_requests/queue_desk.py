"""A server of several shards for tests of queues, in which each turn is the test's, and so is what a turn stores."""

from typing import Any

from msgspec import Raw

from drivers.cluster_desk import ClusterDesk
from drivers.sharded_desk import BUDGET, ShardedDesk, body
from timer_protocol.messages import StartParams
from timer_server.core.model import Countdown
from timer_server.requests.answers import Answer
from timer_server.requests.shard import Shard

PAYLOAD_BYTES = 4 * 1024 * 1024


class QueueDesk(ShardedDesk):
    """`all` are the shards that the server began with, `told` the events of the last turn by shard."""

    def __init__(self, count: int) -> None:
        super().__init__(count, max_payload_bytes=PAYLOAD_BYTES)
        self.told: list[list[Countdown]] = []

    def reload(self) -> None:
        super().reload()
        self.all: list[Shard] = [*self.shards.owned]
        for shard in self.all:
            shard.engine.start_server(shard.at(self.now_ns))

    def ask(self: ShardedDesk, method: str, **params: Any) -> Answer:
        """The answer to a request, which may have to wait."""
        answer = self.send((method, params))
        assert answer is not None
        return answer

    def call(self: ShardedDesk, method: str, **params: Any) -> Any:  # type: ignore[override]
        """The response to a request. Where it has to wait, turns end until it is there, at the same moment."""
        answer = QueueDesk.ask(self, method, **params)
        for _ in range(5):
            if answer.missing:
                self.turn()
        assert not answer.missing
        return body(answer)

    def begin(self: ShardedDesk, timer_id: str, payload: bytes = b"null") -> None:
        """Starts a timer of a second."""
        shard = self.shards.of(timer_id)
        shard.engine.handle(StartParams(timer_id, seconds=1, payload=Raw(payload)), shard.at(self.now_ns))

    def turn(self) -> list[Answer]:
        """One turn: does what is due, stores it, and returns the answers that have become complete."""
        self.chores.look()
        self.chores.step(self.now_ns, BUDGET)
        self.shards.serve_takes(self.now_ns)
        self.told = self.store()
        return self.parked.take_ready()

    def store(self, *numbers: int) -> list[list[Countdown]]:
        """Stores what has happened, in some shards or in all, and returns the events of each."""
        events: list[list[Countdown]] = []
        for shard in [self.all[number] for number in numbers] or self.all:
            writes = shard.take_writes()
            if writes is not None:
                shard.log.take_off(writes.changes)
                self.stores[shard.number].commit(writes.changes, writes.anchor)
            events.append([] if writes is None else shard.log.land().events)
        return events

    def ready_in(self, name: str) -> list[int]:
        """How many ends of a queue are ready in each shard."""
        return [shard.queues.find(name).state.ready_count for shard in self.all]


class QueueCluster(ClusterDesk):
    """The same for several servers. `told` are the events of the last turn by shard."""

    def __init__(self, count: int) -> None:
        super().__init__(count, max_payload_bytes=PAYLOAD_BYTES)
        self.told: list[list[Countdown]] = []

    def reload(self) -> None:
        super().reload()
        for shard in self.shards.owned:
            shard.engine.start_server(shard.at(self.now_ns))

    ask, call, begin = QueueDesk.ask, QueueDesk.call, QueueDesk.begin

    def turn(self) -> list[Answer]:
        """One turn: does what is due, stores it, and returns the answers that have become complete."""
        self.told = self.step()
        return self.parked_answers()
