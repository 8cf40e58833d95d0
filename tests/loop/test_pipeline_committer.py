"""Commits to PostgreSQL: nothing is taken for durable that a failover could take back, whatever happens on the way.

A machine of Hypothesis is PostgreSQL: it answers statements late, loses connections before, during and after them, does
what it was asked when nobody waits for it any more, fails over to a standby with or without the last commit, and lets
another server take shards. The server gives shards away as well, and is given others.
"""

import select
import socket
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, cast

import pytest
import zmq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from drivers.builders import NS_PER_MS
from store.stores import changes, event
from timer_protocol.messages import StateCounts
from timer_server.cluster.outcomes import Given, Raised
from timer_server.loop.pipeline_committer import SILENCE_MS, PipelineCommitter
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import ShardLost, StoreError
from timer_server.store.blocks import entries_of
from timer_server.store.postgres.commit import ShardCommit, Write, compose
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.exchange import Steps, Wait
from timer_server.store.postgres.line import Line
from timer_server.store.postgres.membership import Handover
from timer_server.store.postgres.own_session import Reply
from timer_server.store.postgres.primary import Primary
from timer_server.store.postgres.sentences import Failed, Fault, Lost
from timer_server.store.state import LogState

SHARDS = (0, 1, 2)
COUNTS = StateCounts(0, 0, 0, 0)


class Row:
    """The row of a shard, and the places in its blocks."""

    def __init__(self, number: int) -> None:
        self.epoch = 1
        self.is_mine = True
        self.state = LogState(f"log {number}")
        self.places: list[int] = []


Rows = dict[int, Row]


class Postgres:
    """A primary and what its standby has of it."""

    def __init__(self) -> None:
        self.rows: Rows = {number: Row(number) for number in SHARDS}
        self.standby: Rows = deepcopy(self.rows)
        self.earlier: list[Rows] = []
        """What the standby had before, each time something was acknowledged."""

    def replicate(self) -> None:
        """The standby has all that the primary has."""
        self.earlier.append(self.standby)
        self.standby = deepcopy(self.rows)

    def commit(self, commits: Sequence[ShardCommit]) -> frozenset[int]:
        done = []
        for commit in commits:
            row = self.rows[commit.number]
            if row.is_mine and (row.epoch, row.state.ends.last_place) == (commit.epoch, commit.last_place):
                row.state = commit.state
                row.places += [entry.place for block in commit.inserted for entry in entries_of(block)]
                done.append(commit.number)
        return frozenset(done)

    def raise_epochs(self, shards: Sequence[tuple[int, int]]) -> dict[int, tuple[int, LogState]]:
        done = {}
        for number, raised in shards:
            row = self.rows[number]
            if row.is_mine and row.epoch < raised:
                row.epoch = raised
                done[number] = row.epoch, row.state
        return done

    def hand_over(self, shards: Sequence[Handover]) -> frozenset[int]:
        done = []
        for number, epoch, last_place, *_ in shards:
            row = self.rows[number]
            if row.is_mine and (row.epoch, row.state.ends.last_place) == (epoch, last_place):
                row.is_mine, row.epoch = False, row.epoch + 1
                done.append(number)
        return frozenset(done)


class Session:
    """Stands in for `Primary`: what is asked is done, or not, when the test says so."""

    socket = None
    backend = None

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self.asked: Callable[[], Any] | None = None
        """What is under way does this to the primary; None where nothing is under way."""
        self.outcome: Reply[Any] | Fault | None = None
        self.is_broken = False

    def opening(self) -> Steps[None]:
        self.is_broken = False
        return self._under_way(lambda: None)

    def committing(self, commits: Sequence[ShardCommit]) -> Steps[Any]:
        return self._under_way(lambda: self._postgres.commit(commits))

    renaming = committing

    def raising(self, shards: Sequence[tuple[int, int]]) -> Steps[Any]:
        return self._under_way(lambda: self._postgres.raise_epochs(shards))

    def handing_over(self, shards: Sequence[Handover]) -> Steps[Any]:
        return self._under_way(lambda: self._postgres.hand_over(shards))

    def is_lost(self) -> bool:
        return self.is_broken

    def explain(self, fault: Fault) -> StoreError:
        return StoreError(str(fault))

    def close(self) -> None: ...

    def _under_way(self, do: Callable[[], Any]) -> Steps[Any]:
        self.asked, self.outcome = do, None
        try:
            while self.outcome is None:
                if not (yield Wait(-1, 1)):
                    raise Lost("no answer in time")
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome
        finally:
            self.asked = None


class LineToSession(Line):
    def __init__(self, session: Session) -> None:
        super().__init__(SILENCE_MS * NS_PER_MS)
        self._session = session

    def _is_ready(self) -> bool:
        return self._session.outcome is not None


class ShardInMemory:
    """Stands in for the store of a shard."""

    def __init__(self, number: int, row: Row) -> None:
        self.number, self.epoch, self.state = number, row.epoch, row.state

    def compose(self, writes: Sequence[Write]) -> ShardCommit:
        return compose(self.number, self.epoch, self.state, writes, lambda _: [])

    def landed(self, commit: ShardCommit) -> None:
        self.state = commit.state


class NumberedShard:
    """Stands in for a shard, which only has a number here."""

    def __init__(self, number: int) -> None:
        self.number = number


class Reads:
    """Stands in for the connection for reads, which is never opened again."""

    is_away = True

    def __init__(self, silent: socket.socket) -> None:
        self._silent = silent

    def reconnecting(self) -> Steps[None]:
        yield Wait(self._silent.fileno(), select.POLLIN)

    def take_refusal(self) -> str:
        return "refused"

    def close(self) -> None: ...


def test_while_the_primary_is_away_nothing_wakes_the_loop_up_for_reads(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session, now_ns = Session(Postgres()), 1
        primary, reads, line = cast("Primary", session), cast("Database", Reads(ours)), LineToSession(session)
        committer = PipelineCommitter([], primary, str, lambda: now_ns, reads, line)
        poller = zmq.Poller()
        committer.register(poller)
        committer.settled()
        session.outcome = Reply(None)
        committer.settled()
        assert ours.fileno() in dict(poller.sockets)

        session.is_broken = True
        committer.settled()
        for _ in range(3):
            assert ours.fileno() not in dict(poller.sockets)
            now_ns += (SILENCE_MS + 1) * NS_PER_MS
            committer.settled()
            assert (committer.next_due_ns() or 0) > now_ns
    said = [record.fields["reason"] for record in caplog.records]  # type: ignore[attr-defined]
    assert said.count("refused") == 1  # though it was so each time


class Commits(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.postgres = Postgres()
        self.session = Session(self.postgres)
        self.now_ns = 1
        self.ids = 0
        logs = [ShardInMemory(number, row) for number, row in self.postgres.rows.items()]
        primary, line = cast("Primary", self.session), LineToSession(self.session)
        self.committer = PipelineCommitter(logs, primary, self.new_log_id, lambda: self.now_ns, line=line)
        self.places = dict.fromkeys(SHARDS, 0)
        """The last place of each shard in the memory of the server."""
        self.submitted: list[dict[int, int]] = []
        """The last place of each shard that a turn wrote, by ticket."""
        self.told = 0
        self.commits = dict.fromkeys(SHARDS, 0)
        """How many turns that wrote in a shard were told."""
        self.lost: dict[int, int] = {}
        """Shards that were lost, and how many acknowledged events of each."""
        self.has_forgotten: set[int] = set()
        """Shards of which PostgreSQL has lost what it had acknowledged."""
        self.left_behind: list[Callable[[], Any]] = []
        """Statements of earlier sessions that may be done yet."""
        self.giving: set[int] = set()
        self.given: set[int] = set()

    def new_log_id(self) -> str:
        self.ids += 1
        return f"new log {self.ids}"

    @rule(counts=st.dictionaries(st.sampled_from(SHARDS), st.integers(0, 3), min_size=1))
    def a_turn_writes(self, counts: dict[int, int]) -> None:
        """With 0 it writes what has no place."""
        writes: list[tuple[Shard, Writes]] = []
        for number, count in counts.items():
            if number not in self.lost and number not in self.giving | self.given:
                places = range(self.places[number] + 1, self.places[number] + count + 1)
                self.places[number] += count
                part = Writes(changes(*map(event, places)), None, COUNTS)
                writes.append((cast("Shard", NumberedShard(number)), part))
        if writes:
            ticket = self.committer.submit(writes)
            self.submitted.append({shard.number: self.places[shard.number] for shard, _ in writes})
            assert ticket == len(self.submitted)
            self.look()

    @rule(number=st.sampled_from(SHARDS))
    def a_shard_is_given(self, number: int) -> None:
        if number not in self.lost and number not in self.giving | self.given:
            self.giving.add(number)
            self.committer.give(number, "another", lambda: self.now_ns)
            self.look()

    @rule(number=st.sampled_from(SHARDS))
    def a_shard_comes_back(self, number: int) -> None:
        """Its log was read after it was taken."""
        if number not in self.lost and number not in self.given:
            return
        row = self.postgres.rows[number]
        row.is_mine, row.epoch = True, row.epoch + 1
        self.postgres.replicate()
        self.lost.pop(number, None)
        self.given.discard(number)
        self.has_forgotten.discard(number)
        self.places[number], self.commits[number] = row.state.ends.last_place, row.state.commits
        self.committer.add(ShardInMemory(number, row))

    @rule(times=st.integers(1, 4))
    def it_answers(self, times: int) -> None:
        for _ in range(times):
            self.answer(is_replicated=True)

    @rule()
    def it_is_not_replicated(self) -> None:
        """The wait for the standby was cancelled, or there is none."""
        self.answer(is_replicated=False)

    def answer(self, is_replicated: bool) -> None:
        if self.session.asked is not None:
            value = self.session.asked()
            if is_replicated:
                self.postgres.replicate()
            self.session.outcome = Reply(value, None if is_replicated else "the standby may not have it")
            self.look()

    @rule(when=st.sampled_from(["before", "after", "replicated", "later", "never"]))
    @precondition(lambda self: self.session.asked)
    def it_does_not_answer(self, when: str) -> None:
        """The connection is lost before what is under way was done, after that, or long before. Or it is refused."""
        assert self.session.asked is not None
        if when == "later":
            self.left_behind.append(self.session.asked)
        elif when in ("after", "replicated"):
            self.session.asked()
        if when == "replicated":
            self.postgres.replicate()
        refused = Failed("53100", "no space left on device")
        self.session.outcome = refused if when == "never" else Lost("the connection is lost")
        self.look()

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.left_behind)
    def what_was_left_behind_is_done(self, number: int) -> None:
        self.left_behind.pop(number % len(self.left_behind))()

    @rule(milliseconds=st.sampled_from([1, 60, 1_000, SILENCE_MS]))
    def time_passes(self, milliseconds: int) -> None:
        """Whatever is not answered in the end was left behind."""
        asked = self.session.asked
        self.now_ns += milliseconds * NS_PER_MS
        self.look()
        if asked is not None and self.session.asked is not asked:
            self.left_behind.append(asked)

    @rule(what=st.sampled_from(["loss", "loss", "failover", "failover", "false failover", "takeover"]), data=st.data())
    def something_happens(self, what: str, data: st.DataObject) -> None:
        if what == "takeover":
            self.another_server_takes_a_shard(data.draw(st.sampled_from(SHARDS)))
        elif what == "loss":
            self.session.is_broken = True
        else:
            self.the_standby_takes_over(back=data.draw(st.integers(1, 3)) if what == "false failover" else 0)
        self.look()

    def the_standby_takes_over(self, back: int) -> None:
        """It has all that was acknowledged, unless it was no synchronous one."""
        if back and self.postgres.earlier:
            acknowledged = self.postgres.standby
            self.postgres.standby = self.postgres.earlier[-min(back, len(self.postgres.earlier))]
            self.has_forgotten |= {
                number for number in SHARDS if acknowledged[number].state != self.postgres.standby[number].state
            }
        self.postgres.rows = deepcopy(self.postgres.standby)
        self.left_behind.clear()
        self.session.is_broken = True
        if self.session.asked:
            self.session.outcome = Lost("the connection is lost")

    def another_server_takes_a_shard(self, number: int) -> None:
        row = self.postgres.rows[number]
        row.is_mine, row.epoch = False, row.epoch + 1
        self.postgres.replicate()

    def teardown(self) -> None:
        """Where all is well again, everything becomes durable."""
        for _ in range(20):
            self.now_ns += 1_000 * NS_PER_MS
            self.look()
            self.answer(is_replicated=True)
        assert self.told == len(self.submitted)
        assert not self.session.asked
        assert not self.committer.is_away
        assert not self.giving
        for number in SHARDS:
            if number not in self.lost and number not in self.has_forgotten:
                assert self.postgres.standby[number].places == list(range(1, self.places[number] + 1))

    def look(self) -> None:
        """What the loop would tell now is what a failover leaves."""
        while True:
            try:
                told = self.committer.settled()
                break
            except ShardLost as lost:
                (number,) = lost.numbers
                assert number not in self.lost
                self.lost[number] = lost.events
                self.let_go(number)
                if (row := self.postgres.rows[number]).is_mine:
                    assert number in self.has_forgotten
                    assert f"log {number}" in row.state.ancestors
        assert told >= self.told
        for places in self.submitted[self.told : told]:
            for number, place in places.items():
                row = self.postgres.standby[number]
                if number not in self.lost and number not in self.has_forgotten:
                    assert row.places == list(range(1, len(row.places) + 1))
                    assert row.state.ends.last_place == len(row.places) >= place
                    self.commits[number] += 1
                    assert row.state.commits >= self.commits[number]
        self.told = told
        for outcome in self.committer.take_outcomes():
            if isinstance(outcome, Given):
                assert outcome.number in self.giving
                self.let_go(outcome.number)
                self.given.add(outcome.number)
            elif isinstance(outcome, Raised):
                self.giving.discard(outcome.number)

    def let_go(self, number: int) -> None:
        """Nothing more is told of what was written to a shard. All of it was told where it was given away."""
        is_given = number in self.giving and number not in self.lost
        for places in self.submitted[self.told :]:
            assert places.pop(number, None) is None or not is_given
        self.giving.discard(number)


TestCommits = Commits.TestCase
TestCommits.settings = settings(stateful_step_count=40)
