"""Turns that take their time to become durable: nobody is told what is not, in whatever way commits are slow or fail.

A machine of Hypothesis sends requests of every kind, lets commits settle one by one, late or never, takes shards away,
kills the server and starts it on what its stores had. Whatever is told is looked at as it leaves, against what the
stores have then.
"""

import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drivers.builders import LOG_ID, NS_PER_MS, NS_PER_S
from drivers.desk import batch, request
from loop.slow_commits import MOST_IN_FLIGHT, OTHER_LOG_ID, Recording, Server
from timer_server.loop.commit_care import ANSWER_WITHIN_MS
from timer_server.requests.answers import Answer
from timer_server.store.base import ShardLost, StoreAway, StoreError

IDS = ["a", "b", "c", "d"]


def ids_of(message: Any) -> list[Any]:
    """The ids in a message, or in a batch of them."""
    return [one["id"] for one in (message if isinstance(message, list) else [message])]


def ids_in(answer: Answer) -> list[Any]:
    """The ids of the requests that an answer is to."""
    return ids_of(json.loads(answer.frames()[-1]))


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
        self.store, self.other = Recording(LOG_ID), Recording(OTHER_LOG_ID)
        self.server = Server(self.store, self.other, 0)
        self.asked = 0
        self.in_order: list[int] = []
        self.taken_in_ns: dict[int, int] = {}
        """When the requests were received that need not wait for anything else."""

    def teardown(self) -> None:
        self.server.close()

    @rule(bodies=st.lists(st.lists(calls, min_size=1, max_size=3), max_size=4))
    def requests_come_in(self, bodies: list[list[tuple[str, dict[str, Any]]]]) -> None:
        """Alone and in batches. They are applied in one turn if one may begin."""
        for body in bodies:
            requests = []
            for method, params in body:
                self.asked += 1
                requests.append(request(method, self.asked, **params))
            if not any("wait" in method for method, _ in body):
                self.in_order.append(self.asked)
            self.server.wire.requests.append(requests[0] if len(requests) == 1 else batch(*requests))
        self.server.step("commands")
        self.note_taken_in()

    @rule(timer_id=st.sampled_from(IDS))
    @precondition(lambda self: self.server.other.shard in self.server.served.owned and not self.server.is_full)
    def the_other_shard_changes(self, timer_id: str) -> None:
        self.server.other.start(timer_id, self.server.clock.now_ns(), seconds=20)
        self.server.step()

    @rule(call=calls)
    @precondition(lambda self: not self.server.is_full)
    def read_what_comes_next(self, call: tuple[str, dict[str, Any]]) -> None:
        """A request that waits for the event after the last durable one, in a batch behind another."""
        self.asked += 2
        waiting = request("events.read", self.asked, after={LOG_ID: self.store.last_seq}, wait_ms=9_000)
        self.server.wire.requests.append(batch(request(call[0], self.asked - 1, **call[1]), waiting))
        self.server.step("commands")
        self.note_taken_in()

    def note_taken_in(self) -> None:
        waiting = {number for body in self.server.wire.requests for number in ids_of(json.loads(body))}
        for number in self.in_order:
            if number not in waiting:
                self.taken_in_ns.setdefault(number, self.server.boot_ns)

    @rule(milliseconds=st.integers(1, 30_000))
    def time_passes(self, milliseconds: int) -> None:
        """Whoever has waited for a commit for too long is told so."""
        self.server.boot_ns += milliseconds * NS_PER_MS
        too_long_ns = self.server.boot_ns - ANSWER_WITHIN_MS * NS_PER_MS
        self.server.step("commands")
        answered = set(self.server.wire.answered)
        assert all(number in answered for number, begun_ns in self.taken_in_ns.items() if begun_ns < too_long_ns)
        self.note_taken_in()

    @rule()
    @precondition(lambda self: self.server.committer.waiting)
    def commit_settles(self) -> None:
        self.server.committer.settle_next()

    @rule()
    def what_has_settled_is_told(self) -> None:
        self.server.loop._tell_settled()

    @rule(holds=st.booleans())
    def the_lease_runs_out_or_goes_on(self, holds: bool) -> None:
        self.server.lease.holds = holds
        self.server.step()

    @rule()
    def the_server_was_declared_dead(self) -> None:
        """It has joined again. Nothing that it computed before may be told."""
        asked = {number for turn in self.server.loop.in_flight for answer in turn.answers for number in ids_in(answer)}
        self.server.lease.lost.append(ShardLost((), "declared dead"))
        self.server.lease.holds = True
        self.server.step()
        assert not asked & self.server.wire.succeeded

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
        server.lease.holds = True
        self.store.fault = StoreError("the log cannot be read")
        try:
            server.loop._tell_settled()
        except StoreError as error:
            server.loop._give_up(error)
        self.store.fault = None
        assert len(server.wire.messages) - told >= len(owed)
        self.restart(0)

    @rule()
    def log_is_away(self) -> None:
        """The log cannot be read for a while: those who need it are refused, and the server goes on."""
        self.store.fault = StoreAway("PostgreSQL does not answer")
        self.server.step("commands")
        self.store.fault = None
        self.note_taken_in()

    @rule(number=st.integers(0, 1), are_durable=st.integers(0, MOST_IN_FLIGHT))
    @precondition(lambda self: self.server.served.owned)
    def shard_is_lost(self, number: int, are_durable: int) -> None:
        """Another server has taken it: what of it is in flight is told nobody, and the rest goes on."""
        server = self.server
        shard = (server.shard, server.other.shard)[number]
        if shard not in server.served.owned:
            return
        server.committer.lose(number, are_durable)
        server.wire.lost.add(shard.log.id)
        server.loop._settled()
        assert shard not in server.served.owned

    @rule(are_durable=st.integers(0, MOST_IN_FLIGHT))
    def kill(self, are_durable: int) -> None:
        """The process is gone; some of what was in flight may have reached the disk, its oldest part first."""
        self.restart(are_durable)

    def restart(self, are_durable: int) -> None:
        before = self.server
        for _ in range(min(are_durable, len(before.committer.waiting))):
            before.committer.settle_next()
        before.close()
        self.server = Server(self.store, self.other, before.boot_ns)
        self.in_order.clear()
        self.taken_in_ns.clear()

    @invariant()
    def metrics_tell_what_is_durable(self) -> None:
        assert sum(self.server.metrics.events) <= self.store.last_seq + self.other.last_seq

    @invariant()
    def each_request_is_counted_once_as_it_is_told(self) -> None:
        counted = [(error, count) for _, error, count in self.server.metrics.requests.by_method_and_error()]
        assert sum(count for _, count in counted) == len(self.server.wire.answered)
        assert sum(count for error, count in counted if error) == len(self.server.wire.errors)

    @invariant()
    def replies_come_in_the_order_of_the_requests(self) -> None:
        asked = set(self.in_order)
        last_of_each = [number for number in self.server.wire.answered if number in asked]
        assert last_of_each == sorted(last_of_each)


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=settings.default.max_examples * 3 // 5, stateful_step_count=30)


def test_of_a_lost_shard_nothing_in_flight_is_told_and_of_the_others_all_is() -> None:
    with closing(Server(Recording(LOG_ID), Recording(OTHER_LOG_ID), 0)) as server:
        server.wire.requests.append(request("timer.start", 1, id="a", seconds=20))
        server.step("commands")
        server.other.start("b", server.clock.now_ns())
        server.step()
        server.committer.lose(0, are_durable=0)

        while server.committer.waiting:
            server.committer.settle_next()
        server.step()

        assert server.wire.errors == ["storage_failed"]
        assert server.wire.published == {LOG_ID: 0, OTHER_LOG_ID: 1}
        assert server.served.owned == (server.other.shard,)


def test_past_the_lease_nothing_is_told_not_even_what_was_only_read() -> None:
    with closing(Server(Recording(LOG_ID), Recording(OTHER_LOG_ID), 0)) as server:
        server.wire.requests.append(request("timer.start", 1, id="a", seconds=20))
        server.step("commands")
        server.committer.settle_next()
        server.lease.holds = False
        server.wire.requests.append(request("timer.get", 2, id="a"))
        server.step("commands")
        server.loop._commit_care.step(server.clock.now_ns())
        assert (server.wire.answered, server.wire.published[LOG_ID]) == ([], 0)

        server.lease.holds = True
        server.step()
        assert (server.wire.succeeded, server.wire.published[LOG_ID]) == ({1, 2}, 1)


def test_requests_are_refused_only_behind_all_answers_that_are_in_flight() -> None:
    with closing(Server(Recording(LOG_ID), Recording(OTHER_LOG_ID), 0)) as server:
        for number in range(1, MOST_IN_FLIGHT + 1):
            server.wire.requests.append(request("timer.start", number, id=f"{number}", seconds=20))
            server.step("commands")
            server.boot_ns += 1_000 * NS_PER_MS
        assert server.is_full
        server.wire.requests.append(request("timer.get", MOST_IN_FLIGHT + 1, id="1"))
        answered = []
        for _ in range(ANSWER_WITHIN_MS // 1_000):
            server.boot_ns += 1_000 * NS_PER_MS
            server.step("commands")
            answered.append(list(server.wire.answered))

        assert answered == [[1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 4]]
        assert set(server.wire.errors) == {"storage_failed"}


def test_an_end_that_is_in_flight_for_long_is_overdue() -> None:
    with closing(Server(Recording(LOG_ID), Recording(OTHER_LOG_ID), 0)) as server:
        server.start("a", server.clock.now_ns(), seconds=20)
        server.step()
        server.committer.settle_next()
        server.boot_ns += 21 * NS_PER_S
        server.step()  # which fires it
        assert server.metrics.overdue_s(server.clock.now_ns()) == 0
        server.boot_ns += 59 * NS_PER_S
        server.step()
        assert 59.9 < server.metrics.overdue_s(server.clock.now_ns()) < 60.1

        server.committer.settle_next()
        server.step()
        server.boot_ns += 2 * NS_PER_S
        server.step()
        assert server.metrics.overdue_s(server.clock.now_ns()) == 0
