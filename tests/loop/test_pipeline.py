"""Turns that take their time to become durable: nobody is told what is not, in whatever way commits are slow or fail.

A machine of Hypothesis sends requests of every kind, lets commits settle one by one, late or never, kills the server
and starts it on what its store had. Whatever is told is looked at as it leaves, against what the store has then.
"""

import json
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from typing import Any, cast

import pytest
import zmq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drivers.builders import LOG_ID, NS_PER_MS, NS_PER_S
from drivers.desk import Desk, batch, request
from loop.wires import QuietWire
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
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import Block, StoreError
from timer_server.store.memory import MemoryStore
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events

MOST_IN_FLIGHT = 3
IDS = ["a", "b", "c", "d"]
RETENTION_S = 60


class Recording(MemoryStore):
    """A store that remembers all it has ever made durable: each version of a timer, and where the log ends."""

    def __init__(self) -> None:
        super().__init__(LOG_ID)
        self.versions: set[tuple[str, int, str]] = set()
        self.counts = {"running": 0, "paused": 0, "fired": 0, "cancelled": 0}
        self.last_seq = 0
        self.reads_fail = False

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        if self.reads_fail:
            raise StoreError("the log cannot be read")
        return super().blocks_after_seq(seq)

    def note(self, writes: Writes) -> None:
        self.commit(writes.changes, writes.anchor)
        self.versions |= {(event.id, event.version, event.state) for event in writes.changes.events}
        self.counts = {state: getattr(writes.counts, state) for state in self.counts}
        self.last_seq = max([self.last_seq, *(event.seq for event in writes.changes.events)])


class SlowCommitter:
    """Makes turns durable when the test says so, in their order, or fails."""

    is_inline = False
    most_in_flight = MOST_IN_FLIGHT

    def __init__(self, store: Recording) -> None:
        self.store = store
        self.waiting: deque[Writes] = deque()
        self.has_failed = False
        self._submitted = 0

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        ((_, part),) = writes
        self.waiting.append(part)
        self._submitted += 1
        assert len(self.waiting) <= self.most_in_flight
        return Ticket(self._submitted)

    def settled(self) -> Ticket:
        if self.has_failed:
            raise StoreError("the standby has not answered")
        return Ticket(self._submitted - len(self.waiting))

    def register(self, poller: zmq.Poller) -> None: ...

    def settle_next(self) -> None:
        self.store.note(self.waiting.popleft())


class Wire(QuietWire):
    """Stands in for both sockets, and judges what leaves by them."""

    def __init__(self, store: Recording) -> None:
        self._store = store
        self.requests: deque[bytes] = deque()
        self.answered: list[Any] = []
        self.messages: list[bytes] = []
        self.errors: list[str] = []
        self.published = store.last_seq

    def receive(self) -> Message | None:
        return Message([b"peer", b"", self.requests.popleft()], EVERYBODY) if self.requests else None

    def beat(self, beat: Beat) -> None:
        assert beat.logs[LOG_ID].seq <= self._store.last_seq

    def publish(self, _: str, events: Iterable[Countdown]) -> None:
        for event in events:
            assert event.seq == self.published + 1
            self.published = event.seq
            assert (event.id, event.version, event.state) in self._store.versions

    def reply(self, frames: list[bytes]) -> bool:
        self.messages.append(frames[-1])
        reply = json.loads(frames[-1])
        for response in reply if isinstance(reply, list) else [reply]:
            self.answered.append(response["id"])
            if "error" in response:
                self.errors.append(response["error"]["data"]["name"])
            else:
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

    def __init__(self, store: Recording, boot_ns: int) -> None:
        super().__init__(store, retention_s=RETENTION_S)
        header = store.open()
        self.engine.restore(store.load(), header.ends, self.log.holder)
        self.boot_ns = boot_ns
        self.committer = SlowCommitter(store)
        self.wire = Wire(store)
        self.metrics = Metrics({0: self.engine.counts()})
        sources = Sources(lambda: Boot("boot"), self._read, lambda: WallNs(1_700_000_000 * NS_PER_S + self.boot_ns))
        clock = Clock(sources, header.anchor, header.last_at_ms * NS_PER_MS)
        wires = cast("Commands", self.wire), cast("Events", self.wire)
        self.signals = OperatorSignals()
        parts = Parts(
            clock,
            self.shards,
            self.engine.places,
            self.queue_rules,
            self.committer,
            self.dispatcher,
            *wires,
            self.wire.admission,
            self.metrics,
            self.servers,
        )
        self.loop = Loop(parts, self.signals)

    @property
    def is_full(self) -> bool:
        return self.loop._is_full()

    def turn(self, *ready: str) -> None:
        self.loop._timeout_ms()  # which looks at what is due
        self.loop._turn(dict.fromkeys(ready, 1))

    def close(self) -> None:
        self.loop.close()
        self.signals.close()

    def _read(self) -> BootNs:
        self.boot_ns += 1_000
        return BootNs(self.boot_ns)


calls = st.one_of(
    st.tuples(st.just("timer.start"), st.fixed_dictionaries({"id": st.sampled_from(IDS), "seconds": st.just(20)})),
    st.tuples(
        st.sampled_from(["timer.pause", "timer.resume", "timer.cancel", "timer.restart", "timer.get"]),
        st.fixed_dictionaries({"id": st.sampled_from(IDS)}),
    ),
    st.tuples(st.just("timer.wait"), st.fixed_dictionaries({"id": st.sampled_from(IDS), "wait_ms": st.just(8_000)})),
    st.tuples(st.just("events.read"), st.fixed_dictionaries({"after": st.just({}), "limit": st.just(3)})),
    st.tuples(st.just("events.read"), st.just({"after": {LOG_ID: 10**6}})),
    st.tuples(st.just("timer.list"), st.just({})),
    st.tuples(st.just("server.info"), st.just({})),
)


class Pipeline(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store = Recording()
        self.server = Server(self.store, 0)
        self.asked = 0
        self.in_order: list[int] = []

    def teardown(self) -> None:
        self.server.close()

    @rule(bodies=st.lists(st.lists(calls, min_size=1, max_size=3), max_size=4))
    @precondition(lambda self: not self.server.is_full)
    def turn(self, bodies: list[list[tuple[str, dict[str, Any]]]]) -> None:
        """Requests come in, alone and in batches, and are applied in one turn."""
        for body in bodies:
            requests = []
            for method, params in body:
                self.asked += 1
                requests.append(request(method, self.asked, **params))
            if not any("wait" in method for method, _ in body):
                self.in_order.append(self.asked)
            self.server.wire.requests.append(requests[0] if len(requests) == 1 else batch(*requests))
        self.server.turn("commands")

    @rule(call=calls)
    @precondition(lambda self: not self.server.is_full)
    def read_what_comes_next(self, call: tuple[str, dict[str, Any]]) -> None:
        """A request that waits for the event after the last durable one, in a batch behind another."""
        self.asked += 2
        waiting = request("events.read", self.asked, after={LOG_ID: self.store.last_seq}, wait_ms=9_000)
        self.server.wire.requests.append(batch(request(call[0], self.asked - 1, **call[1]), waiting))
        self.server.turn("commands")

    @rule(milliseconds=st.integers(1, 30_000))
    def time_passes(self, milliseconds: int) -> None:
        self.server.boot_ns += milliseconds * NS_PER_MS
        if not self.server.is_full:
            self.server.turn()

    @rule()
    @precondition(lambda self: self.server.committer.waiting)
    def commit_settles(self) -> None:
        self.server.committer.settle_next()

    @rule()
    def what_has_settled_is_told(self) -> None:
        self.server.loop._tell_settled()

    @rule()
    def connections_have_to_be_cut(self) -> None:
        """Those who wait are told so, perhaps with a part of their reply that is in flight."""
        self.server.loop._upkeep._reason_to_cut = "a key was taken away"
        self.server.loop._tell_settled()

    @rule(are_durable=st.integers(0, MOST_IN_FLIGHT))
    @precondition(lambda self: self.server.committer.waiting)
    def commit_fails(self, are_durable: int) -> None:
        """Perhaps after it has reached the disk; nobody is told that anything of it has been done."""
        server = self.server
        server.loop._tell_settled()
        told = len(server.wire.answered)
        owed = [answer for turn in server.loop.in_flight for answer in turn.answers]
        server.wire.errors.clear()
        server.committer.has_failed = True
        with pytest.raises(StoreError) as raised:
            server.loop._tell_settled()
        server.loop._give_up(raised.value)
        assert len(server.wire.errors) == len(server.wire.answered) - told >= len(owed)
        assert set(server.wire.errors) <= {"storage_failed"}
        self.restart(are_durable)

    @rule()
    @precondition(lambda self: self.server.loop.in_flight)
    def reads_fail(self) -> None:
        """The log cannot be read for those who are woken: what has settled is told all the same, or refused."""
        server = self.server
        owed = {answer for turn in server.loop.in_flight for answer in turn.answers}
        told = len(server.wire.messages)
        while server.committer.waiting:
            server.committer.settle_next()
        self.store.reads_fail = True
        try:
            server.loop._tell_settled()
        except StoreError as error:
            server.loop._give_up(error)
        self.store.reads_fail = False
        assert len(server.wire.messages) - told >= len(owed)
        self.restart(0)

    @rule(are_durable=st.integers(0, MOST_IN_FLIGHT))
    def kill(self, are_durable: int) -> None:
        """The process is gone; some of what was in flight may have reached the disk, its oldest part first."""
        self.restart(are_durable)

    def restart(self, are_durable: int) -> None:
        before = self.server
        for _ in range(min(are_durable, len(before.committer.waiting))):
            before.committer.settle_next()
        before.close()
        self.server = Server(self.store, before.boot_ns)
        self.in_order.clear()

    @invariant()
    def metrics_tell_what_is_durable(self) -> None:
        assert sum(self.server.metrics.events) <= self.store.last_seq

    @invariant()
    def replies_come_in_the_order_of_the_requests(self) -> None:
        asked = set(self.in_order)
        last_of_each = [number for number in self.server.wire.answered if number in asked]
        assert last_of_each == sorted(last_of_each)


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
