"""Several members in games of any length over a naive PostgreSQL, with every fault that servers and sessions may have.

Clocks run at different rates. Servers are killed, stopped, or frozen with their clocks; statements and answers are slow
or lost; sessions hang with their locks; PostgreSQL is away, stands still, or has another clock all of a sudden.
"""

from collections import Counter
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cluster.naive_postgres import MS, Postgres, Shard
from cluster.naive_server import UNANSWERED_NS, Server, Trouble
from cluster.world import World
from timer_server.cluster.holdings import Stage
from timer_server.store.membership import ShardRow

S = 1_000 * MS
HOUR = 3_600 * S
LEASE_NS = 2 * S
SHARDS = 5

RESTS_NS = 2 * 24 * LEASE_NS
"""How long one that did not get ready is waited for at most, and then rests."""

MOST_RUNNING = 4
MOST_JOINS = 12
"""How many servers join in one game at most, those that are there at its beginning among them."""

servers = st.integers(0, 9)
spans_ms = st.sampled_from([50, 300, 900, 1_900, 2_300, 4_000, 9_000])


class MembershipMachine(RuleBasedStateMachine):
    @initialize(
        seed=st.integers(0, 2**32),
        most_ppm=st.sampled_from([0, 100, 30_000]),
        has_steps=st.booleans(),
        count=st.integers(1, 3),
    )
    def begin(self, seed: int, most_ppm: int, has_steps: bool, count: int) -> None:
        self.chance = Random(seed)  # noqa: S311 - a game, not a secret
        self.most_ppm = most_ppm
        self.has_steps = has_steps
        self.world = World()
        self.postgres = Postgres(self.world, self.chance)
        for number in range(SHARDS):
            self.postgres.shards[number] = Shard(ShardRow(number, 0, None, 0))
        self.servers: list[Server] = []
        self.balance_ns = 15 * S
        """How long it takes at most, once nothing is wrong, until all serve equally many shards."""
        self.begun: dict[int, tuple[int, int]] = {}
        """When time began in each shard: true time, and the timeline."""
        for _ in range(count):
            self.join()
            self.world.run_for(30 * MS)

    def join(self) -> Server:
        name = f"s{len(self.servers)}"
        rate_ppm = self.chance.randint(-self.most_ppm, self.most_ppm)
        server = Server(name, self.world, self.postgres, self.chance, LEASE_NS, rate_ppm)
        server.check = self.check
        self.servers.append(server)
        return server

    def chosen(self, index: int) -> Server | None:
        """A server that runs. Where PostgreSQL's clock is set nothing happens to the first, which knows the time."""
        running = [server for server in self.servers[int(self.has_steps) :] if server.is_running]
        return running[index % len(running)] if running else None

    @rule(span_ms=spans_ms)
    def time_passes(self, span_ms: int) -> None:
        self.world.run_for(span_ms * MS)

    def may_join(self) -> bool:
        return len(self.servers) < MOST_JOINS

    @precondition(lambda self: self.may_join() and sum(server.is_running for server in self.servers) < MOST_RUNNING)
    @rule()
    def one_joins(self) -> None:
        self.join()

    @rule(index=servers)
    def one_is_killed(self, index: int) -> None:
        if (server := self.chosen(index)) is not None:
            server.kill()

    @precondition(may_join)
    @rule(index=servers, hours=st.sampled_from([0, 1]))
    def one_is_replaced(self, index: int, hours: int) -> None:
        if (server := self.chosen(index)) is not None:
            server.kill()
            self.world.run_for(30 * MS)
            self.clock_of_postgres_is_set(hours)
            self.join()

    @rule(index=servers)
    def one_leaves(self, index: int) -> None:
        if (server := self.chosen(index)) is not None:
            server.leave()

    @rule(index=servers, span_ms=spans_ms, with_clock=st.booleans())
    def one_stands_still(self, index: int, span_ms: int, with_clock: bool) -> None:
        if (server := self.chosen(index)) is not None and not server.is_stopped:
            if with_clock:
                server.freeze()
            else:
                server.stop()
            self.world.after(span_ms * MS, server.go_on)

    @rule(
        index=servers,
        kind=st.sampled_from(["slow", "unheard", "unsent", "hang"]),
        sessions=st.sampled_from([("",), ("beat",), ("change",), ("write",), ("change", "write")]),
        chance=st.sampled_from([0.5, 1]),
        span_ms=spans_ms,
    )
    def one_has_trouble(self, index: int, kind: str, sessions: tuple[str, ...], chance: float, span_ms: int) -> None:
        if (server := self.chosen(index)) is not None:
            server.trouble = Trouble(kind, sessions, chance, self.world.now_ns + span_ms * MS)

    @rule(index=servers, span_ms=spans_ms)
    def one_does_not_get_ready(self, index: int, span_ms: int) -> None:
        if (server := self.chosen(index)) is not None:
            self.balance_ns = 15 * S + RESTS_NS
            server.reads_nothing_until_ns = self.world.now_ns + span_ms * MS

    @rule(span_ms=spans_ms)
    def postgres_stands_still(self, span_ms: int) -> None:
        self.postgres.stalled_until_ns = self.world.now_ns + span_ms * MS

    @rule(hours=st.sampled_from([-1, 1]))
    def clock_is_set(self, hours: int) -> None:
        self.clock_of_postgres_is_set(hours)

    def clock_of_postgres_is_set(self, hours: int) -> None:
        if self.has_steps and self.begun.keys() == self.postgres.shards.keys():
            self.postgres.ahead_ns += hours * HOUR

    def check(self, server: Server) -> None:
        """After each outcome of a server, since nothing else lets it begin to serve."""
        if server.is_stale:
            return
        for number in server.member.holdings:
            if server.serves(number):
                self.check_time(server, number)
                for other in self.servers:
                    assert other is server or other.is_stale or not other.serves(number), "two serve one shard"

    def check_time(self, server: Server, number: int) -> None:
        now_ns = self.world.now_ns
        timeline_ns = server.clock_ns() + server.member.holdings[number].ahead_ns
        began_ns, first_ns = self.begun.setdefault(number, (now_ns, timeline_ns))
        passed_ns = now_ns - began_ns
        assert timeline_ns <= first_ns + passed_ns + passed_ns * self.most_ppm // 1_000_000 + 1, "time ran ahead"

    @invariant()
    def owners_know_what_they_own(self) -> None:
        for server in getattr(self, "servers", []):
            if server.is_killed:
                continue
            for number, holding in server.member.holdings.items():
                row = self.postgres.shards[number].row
                assert holding.epoch <= row.epoch
                assert holding.epoch < row.epoch or row.owner == server.incarnation

    def teardown(self) -> None:
        if not hasattr(self, "servers"):
            return
        for server in self.servers:
            server.trouble, server.reads_nothing_until_ns = Trouble(), 0
            server.go_on()
        self.postgres.stalled_until_ns = 0
        assert not self.has_steps or self.servers[0].runs == 1, "who beats in time is not declared dead"
        if not any(server.is_running and server.is_staying for server in self.servers):
            self.join()
        assert self.world.run_until(self.all_is_served, 16 * S), self.served()
        self.world.run_for(UNANSWERED_NS + LEASE_NS)  # who still waits for an answer may yet be declared dead
        assert self.world.run_until(self.is_balanced, self.balance_ns), self.counts()
        owners = {number: shard.row.owner for number, shard in self.postgres.shards.items()}
        self.world.run_for(3 * S)
        assert owners == {number: shard.row.owner for number, shard in self.postgres.shards.items()}
        assert self.all_is_served()

    def all_is_served(self) -> bool:
        return self.served() == Counter(dict.fromkeys(self.postgres.shards, 1))

    def is_balanced(self) -> bool:
        counts = self.counts()
        is_quiet = all(server.is_staying for server in self.servers if server.is_running)
        return is_quiet and max(counts) - min(counts) <= 1 and sum(counts) == SHARDS

    def counts(self) -> list[int]:
        """How many shards each server serves that runs."""
        return [len(server.member.holdings.in_stage(Stage.SERVED)) for server in self.servers if server.is_running]

    def served(self) -> Counter[int]:
        return Counter(number for server in self.servers for number in self.postgres.shards if server.serves(number))


TestMembership = MembershipMachine.TestCase
TestMembership.settings = settings(
    max_examples=settings.default.max_examples // 2,
    stateful_step_count=settings.default.stateful_step_count // 2,
)
