"""A server whose turns become durable when the test says so, and what stands in for its store, lease and wires."""

import json
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from typing import Any, cast

import zmq

from drivers.builders import LOG_ID, NS_PER_MS, NS_PER_S, Bench
from drivers.desk import Desk
from loop.wires import QuietWire
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import Message
from timer_protocol.messages import Beat
from timer_protocol.sender import EVERYBODY
from timer_server.core.model import Countdown
from timer_server.loop.clock import Boot, BootNs, Clock, Sources, WallNs
from timer_server.loop.committer import Ticket
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.turn import Loop
from timer_server.metrics import Metrics
from timer_server.requests.methods import Handler
from timer_server.requests.placement import Shards
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import Block, ShardLost, StoreError
from timer_server.store.memory import MemoryStore
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events

MOST_IN_FLIGHT = 3
OTHER_LOG_ID = "kQ3vWmZc8xA"
RETENTION_S = 60


class Recording(MemoryStore):
    """A store that remembers all it has ever made durable: each version of a timer, and where the log ends."""

    def __init__(self, log_id: str) -> None:
        super().__init__(log_id)
        self.versions: set[tuple[str, int, str]] = set()
        self.counts = {"running": 0, "paused": 0, "fired": 0, "cancelled": 0}
        self.last_seq = 0
        self.fault: StoreError | None = None
        """What reading the log raises."""

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        if self.fault is not None:
            raise self.fault
        return super().blocks_after_seq(seq)

    def note(self, writes: Writes) -> None:
        self.commit(writes.changes, writes.anchor)
        self.versions |= {(event.id, event.version, event.state) for event in writes.changes.events}
        self.counts = {state: getattr(writes.counts, state) for state in self.counts}
        self.last_seq = max([self.last_seq, *(event.seq for event in writes.changes.events)])


class SlowCommitter:
    """Makes turns durable when the test says so, in their order, or fails, or loses a shard."""

    is_inline = False
    most_in_flight = MOST_IN_FLIGHT
    is_away = False

    def __init__(self, stores: Sequence[Recording]) -> None:
        self._stores = stores
        self.waiting: deque[list[tuple[int, Writes]]] = deque()
        self.has_failed = False
        self._submitted = 0
        self._lost: set[int] = set()

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        self.waiting.append([(shard.number, part) for shard, part in writes])
        self._submitted += 1
        assert sum(map(bool, self.waiting)) <= self.most_in_flight
        return Ticket(self._submitted)

    def settled(self) -> Ticket:
        if self.has_failed:
            raise StoreError("the standby has not answered")
        if self._lost:
            lost, self._lost = self._lost, set()
            raise ShardLost(lost, "another server has taken it")
        return Ticket(self._submitted - len(self.waiting))

    def register(self, poller: zmq.Poller) -> None: ...

    def next_due_ns(self) -> None: ...

    def settle_next(self) -> None:
        for number, part in self.waiting.popleft():
            self._stores[number].note(part)

    def lose(self, number: int, are_durable: int) -> None:
        """Some of what is waiting of a shard is durable all the same, its oldest part first."""
        self._lost.add(number)
        for position, parts in enumerate(self.waiting):
            if position < are_durable:
                for part in (part for other, part in parts if other == number):
                    self._stores[number].note(part)
            parts[:] = [(other, part) for other, part in parts if other != number]


class Lease:
    """Stands in for the membership: whether the lease holds is for the test to say."""

    has_left = False

    def __init__(self) -> None:
        self.holds = True
        self.lost: list[ShardLost] = []

    def tells(self, _: int) -> bool:
        return self.holds

    def step(self, _: int) -> list[ShardLost]:
        lost, self.lost = self.lost, []
        return lost

    def next_due_ns(self) -> None: ...

    def register(self, poller: zmq.Poller) -> None: ...

    def leave(self, now_ns: int) -> None: ...


class Wire(QuietWire):
    """Stands in for both sockets, and judges what leaves by them."""

    def __init__(self, store: Recording, other: Recording, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._stores = {LOG_ID: store, OTHER_LOG_ID: other}
        self.requests: deque[bytes] = deque()
        self.answered: list[Any] = []
        self.messages: list[bytes] = []
        self.errors: list[str] = []
        self.succeeded: set[Any] = set()
        """The requests that were answered with a result."""
        self.published = {log: store.last_seq for log, store in self._stores.items()}
        self.lost: set[str] = set()

    def has_more(self) -> bool:
        return bool(self.requests)

    def receive(self) -> Message | None:
        return Message([b"peer", b"", self.requests.popleft()], EVERYBODY) if self.requests else None

    def beat(self, beat: Beat) -> None:
        for log, standing in beat.logs.items():
            assert standing.seq <= self._stores[log].last_seq

    def publish(self, log: str, events: Iterable[Countdown]) -> None:
        for event in events:
            assert log not in self.lost
            assert event.seq == self.published[log] + 1
            self.published[log] = event.seq
            assert (event.id, event.version, event.state) in self._stores[log].versions

    def reply(self, frames: list[bytes]) -> bool:
        self.messages.append(frames[-1])
        reply = json.loads(frames[-1])
        for response in reply if isinstance(reply, list) else [reply]:
            assert response["id"] not in self.answered
            self.answered.append(response["id"])
            if "error" in response:
                self.errors.append(response["error"]["data"]["name"])
            else:
                assert LOG_ID not in self.lost
                assert self._lease.holds
                self.succeeded.add(response["id"])
                self._judge(response["result"])
        return True

    def _judge(self, result: Any) -> None:
        """Whatever a result tells is durable."""
        if "logs" in result:
            assert result["logs"][LOG_ID]["seq"] <= self._store.last_seq
            assert result["cursor"][LOG_ID] <= self._store.last_seq
            assert sum(result["counts"].values()) <= len({timer_id for timer_id, _, _ in self._store.versions})
        elif "events" in result:
            assert result["next"][LOG_ID] <= self._store.last_seq
            for event in result["events"]:
                assert event["seq"] <= self._store.last_seq
                self._judge(event["timer"])
        else:
            for timer in result.get("timers", [result]):
                assert (timer["id"], timer["version"], timer["state"]) in self._store.versions, timer


class Server(Desk):
    """A loop on the test's committer, clock and wire, begun with what the store has."""

    def __init__(self, store: Recording, other: Recording, boot_ns: int) -> None:
        super().__init__(store, retention_s=RETENTION_S)
        header = store.open()
        self.engine.restore(store.load(), header.ends, self.log.holder)
        self.other = Bench(other, retention_s=RETENTION_S)
        self.other.reload()
        self.other.shard.number = 1
        self.served = Shards([self.shard, self.other.shard], 2, self.parked, self._new_id)
        self.boot_ns = boot_ns
        self.committer = SlowCommitter([store, other])
        self.lease = Lease()
        self.wire = Wire(store, other, self.lease)
        self.metrics = Metrics({shard.number: shard.engine.counts() for shard in self.served.owned})
        sources = Sources(lambda: Boot("boot"), self._read, lambda: WallNs(1_700_000_000 * NS_PER_S + self.boot_ns))
        clock = Clock(sources, header.anchor, header.last_at_ms * NS_PER_MS)
        wires = cast("Commands", self.wire), cast("Events", self.wire)
        self.signals = OperatorSignals()
        handlers = {name: self._if_served(handler) for name, handler in self.methods.handlers().items()}
        parts = Parts(
            clock,
            self.served,
            self.engine.places,
            self.queue_rules,
            self.committer,
            self.dispatching(handlers),
            *wires,
            self.wire.admission,
            self.metrics,
            self.servers,
            membership=self.lease,
        )
        self.clock = clock
        self.loop = Loop(parts, self.signals)

    @property
    def is_full(self) -> bool:
        return self.loop._is_full()

    def step(self, *ready: str) -> None:
        """A step of the loop, which begins a turn if one may begin."""
        self.loop._attend(self.lease)
        if self.is_full:
            self.loop._tell_settled()
            self.loop._wait_for_room(dict.fromkeys(ready, 1))
        else:
            self.loop._timeout_ms()  # which looks at what is due
            self.loop._turn(dict.fromkeys(ready, 1))

    def close(self) -> None:
        self.loop.close()
        self.signals.close()

    def _read(self) -> BootNs:
        self.boot_ns += 1_000
        return BootNs(self.boot_ns)

    def _if_served(self, handler: Handler) -> Handler:
        """All requests are about the first shard."""

        def handle(params: Any, now_ns: int, room: ReplyRoom) -> object:
            if self.shard not in self.served.owned:
                raise Refusal(ErrorCode.STORAGE_FAILED, "the shard is not here")
            return handler(params, now_ns, room)

        return handle
