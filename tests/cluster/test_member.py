"""A member by itself, fed by hand: rules that games seldom come to, and how quickly things go where nothing fails."""

import itertools
from collections import Counter
from random import Random

import pytest

from cluster.naive_postgres import MS
from cluster.test_membership_machine import LEASE_NS, SHARDS, MembershipMachine, S
from timer_server.cluster import actions as do
from timer_server.cluster import outcomes as came
from timer_server.cluster.balance import next_offer, parting_offers
from timer_server.cluster.formats import upgrade_fault
from timer_server.cluster.member import QUICK_BEAT_NS, Member
from timer_server.cluster.outlook import Outlook
from timer_server.cluster.silence import Silence
from timer_server.cluster.timelines import Timelines
from timer_server.cluster.wall import WallClock
from timer_server.store.membership import Moment, Offer, ServerRow, ShardRow, Tie, Told, View

CLOCK_NS = 1_700_000_000 * S
ME, OTHER, THIRD = "a", "b", "c"


def other(beat: int, name: str = OTHER, told: Told = Told(), clock_ns: int = CLOCK_NS) -> ServerRow:  # noqa: B008
    return ServerRow(name, ord(name), name, beat, clock_ns=clock_ns, told=told)


def owned(*owners: str | None, epoch: int = 1, tie: Tie | None = None) -> tuple[ShardRow, ...]:
    return tuple(ShardRow(number, epoch, owner, 0, tie) for number, owner in enumerate(owners))


class Driven:
    """A member whose statements all take 10 ms, and what it wanted last."""

    def __init__(self, *shards: ShardRow, others: tuple[ServerRow, ...] = ()) -> None:
        self.now_ns = 50 * S
        self.member = Member(ME, LEASE_NS, self.now_ns)
        self.beat(*shards, others=others)

    def beat(self, *shards: ShardRow, others: tuple[ServerRow, ...] = (), takes_ns: int = 10 * MS) -> list[do.Action]:
        self.member.step(self.now_ns)
        beaten = came.Beaten(ord(ME), CLOCK_NS + self.now_ns, View(others, shards))
        return self.tell(beaten, takes_ns)

    def tell(self, outcome: came.Outcome, takes_ns: int = 10 * MS) -> list[do.Action]:
        sent_ns, self.now_ns = self.now_ns, self.now_ns + takes_ns
        self.actions = self.member.observe(outcome, sent_ns, self.now_ns)
        return self.actions

    def serve(self, number: int = 0, last_at_ns: int = 0) -> do.Serve:
        """Takes a shard that is its own, and reads its log."""
        assert self.tell(came.Taken({number: (2, 5)})) == [do.Load(number, 2)]
        (served,) = self.tell(came.Loaded(number, 2, 5, last_at_ns))
        assert isinstance(served, do.Serve)
        return served


class TestLease:
    def test_it_runs_from_the_sending_and_a_tenth_is_left(self) -> None:
        driven = Driven(*owned(None))
        driven.serve()
        sent_ns = driven.now_ns
        driven.beat(*owned(ME, epoch=2), takes_ns=400 * MS)

        assert driven.member.serves(0, sent_ns + LEASE_NS * 9 // 10 - 1)
        assert not driven.member.serves(0, sent_ns + LEASE_NS * 9 // 10)

    def test_who_was_declared_dead_drops_all(self) -> None:
        driven = Driven(*owned(None))
        driven.serve()

        assert driven.tell(came.Beaten(None, CLOCK_NS, View((), ()))) == [do.BeginAnew()]
        assert not driven.member.serves(0, driven.now_ns)
        assert driven.member.step(driven.now_ns + S) == []


class TestSilence:
    """A query each half second, which takes 10 ms."""

    def silent_after(self, *gaps_ms: int, trips_ms: dict[int, int] | None = None) -> list[int]:
        """The numbers of the queries that find another silent which never beats."""
        silence, now_ns, found = Silence(LEASE_NS), S, []
        for number, gap_ms in enumerate((0, *gaps_ms)):
            now_ns += gap_ms * MS
            received_ns = now_ns + (trips_ms or {}).get(number, 10) * MS
            if silence.observe([other(1)], now_ns, received_ns):
                found.append(number)
        return found

    def test_it_runs_from_the_reply_to_the_sending(self) -> None:
        assert self.silent_after(500, 500, 500, 500) == []  # 1,990 ms
        assert self.silent_after(500, 500, 500, 500, 10) == [5]

    def test_a_slow_own_beat_begins_it_anew(self) -> None:
        assert self.silent_after(*[500] * 9, trips_ms={3: 501}) == [9]

    def test_so_does_a_pause_between_two(self) -> None:
        """Both may have slept on one machine, and the other wakes up later."""
        assert self.silent_after(500, 60_000, *[500] * 5) == [7]

    def test_so_does_one_that_failed(self) -> None:
        silence = Silence(LEASE_NS)
        for beat in range(4):
            assert silence.observe([other(1)], beat * 500 * MS, beat * 500 * MS) == []
        silence.begin_anew()
        assert silence.observe([other(1)], LEASE_NS, LEASE_NS) == []


class TestTime:
    def test_it_goes_on_by_what_passed_since_the_tie_was_read_and_not_by_the_clock_of_postgres(self) -> None:
        timelines, view = Timelines(), View((), owned(OTHER))
        timelines.observe(view, CLOCK_NS, 10 * S)
        told = Told(moments=(Moment(0, 1, 1_000 * S),))
        timelines.observe(View((other(1, told=told),), owned(OTHER)), CLOCK_NS + 3_600 * S, 11 * S)

        assert timelines.ahead_ns(0) == 1_000 * S - 11 * S

    @pytest.mark.parametrize(("passed_s", "counted_s"), [(60, 60), (-60, 0)])
    def test_of_a_tie_that_was_there_before_it_the_clock_of_postgres_tells_the_age(
        self, passed_s: int, counted_s: int
    ) -> None:
        timelines = Timelines()
        tie = Tie(0, 1, 1_000 * S, CLOCK_NS)
        timelines.observe(View((), owned(None, tie=tie)), CLOCK_NS + passed_s * S, 10 * S)

        assert timelines.ahead_ns(0) == (1_000 + counted_s - 10) * S
        assert timelines.read_in(0) is None

    def test_of_several_ties_the_one_that_came_in_quickest_counts(self) -> None:
        timelines = Timelines()
        for beat, delay_ms in enumerate((5, 400, 20, 300)):
            told = Told(moments=(Moment(0, 1, (1_000 + beat) * S),))
            timelines.observe(View((other(beat, told=told),), owned(OTHER)), CLOCK_NS, beat * S + delay_ms * MS)

        assert timelines.ahead_ns(0) == 1_000 * S - 20 * MS

    def test_it_does_not_go_back_behind_the_last_event(self) -> None:
        driven = Driven(*owned(None))
        last_at_ns = CLOCK_NS + 3_600 * S

        assert driven.serve(last_at_ns=last_at_ns).ahead_ns + driven.now_ns == last_at_ns

    def test_the_wall_clock_is_between_the_bounds_of_its_readings_and_follows_when_it_is_set(self) -> None:
        wall = WallClock()
        wall.observe(CLOCK_NS, 0, 10)
        assert wall.ahead_ns == CLOCK_NS - 10
        wall.observe(CLOCK_NS + 1_000, 900, 2_000)
        assert wall.ahead_ns == CLOCK_NS - 10
        wall.observe(CLOCK_NS - 5_000, 3_000, 3_100)
        assert wall.ahead_ns == CLOCK_NS - 8_100


class TestTaking:
    def test_a_log_that_ends_elsewhere_is_not_served(self) -> None:
        driven = Driven(*owned(None))
        driven.tell(came.Taken({0: (2, 5)}))

        assert driven.tell(came.Loaded(0, 2, 4, 0)) == [do.Refuse(0, 5, 4)]
        assert not driven.member.serves(0, driven.now_ns)

    def test_a_log_that_was_read_in_another_epoch_does_not_count(self) -> None:
        driven = Driven(*owned(None))
        driven.tell(came.Taken({0: (2, 5)}))

        assert driven.tell(came.Loaded(0, 1, 5, 0)) == []

    def test_the_others_are_told_at_once_that_it_serves(self) -> None:
        driven = Driven(*owned(None))
        driven.serve()

        assert driven.member.next_due_ns() == driven.now_ns

    @pytest.mark.parametrize("owner", [OTHER, THIRD])
    def test_it_looks_often_for_whoever_serves_a_shard_next_but_not_for_ever(self, owner: str) -> None:
        begun_ns = 50 * S + 10 * MS
        driven = Driven(*owned(owner), others=(other(7),))
        while driven.member.next_due_ns() - driven.now_ns <= QUICK_BEAT_NS:
            driven.now_ns = driven.member.next_due_ns()
            driven.beat(*owned(owner), others=(other(7 + driven.now_ns // MS),))

        assert LEASE_NS <= driven.now_ns - begun_ns <= LEASE_NS + QUICK_BEAT_NS
        serving = other(9, told=Told(moments=(Moment(0, 1, 0),)))
        assert Driven(*owned(OTHER), others=(serving,)).member.next_due_ns() > begun_ns + QUICK_BEAT_NS

    def test_the_silent_are_declared_dead_before_their_shards_are_taken(self) -> None:
        shards, silent = owned(OTHER, OTHER), other(7)
        driven = Driven(*shards, others=(silent,))
        while not driven.actions:
            driven.now_ns = driven.member.next_due_ns()
            driven.beat(*shards, others=(silent,))

        assert driven.actions == [do.DeclareDead((silent,))]
        assert driven.tell(came.DeclaredDead(frozenset())) == []
        driven.now_ns = driven.member.next_due_ns()
        assert driven.beat(*shards, others=(silent,)) == [do.DeclareDead((silent,))]
        (take,) = driven.tell(came.DeclaredDead(frozenset({OTHER})))
        assert isinstance(take, do.Take)
        assert [(claim.number, claim.epoch) for claim in take.claims] == [(0, 1), (1, 1)]

    def test_what_holds_the_lock_of_a_row_is_ended_after_half_a_second_and_again(self) -> None:
        driven = Driven(*owned(None))
        decided_ns = driven.now_ns
        driven.beat(*owned(None))
        assert do.EndBlockers(False) not in driven.member.step(decided_ns + 499 * MS)

        assert do.EndBlockers(False) in driven.member.step(decided_ns + 500 * MS)
        assert do.EndBlockers(False) in driven.member.step(decided_ns + 1_000 * MS)

    def test_an_orphan_whose_tie_it_has_not_read_is_left_to_an_older_server(self) -> None:
        tie = Tie(0, 1, 1_000 * S, CLOCK_NS)
        older = ServerRow(OTHER, 1, OTHER, 3)
        driven = Driven(*owned(None, tie=tie), others=(older,))
        for beat in range(4, 14):
            driven.now_ns += 490 * MS
            assert driven.beat(*owned(None, tie=tie), others=(ServerRow(OTHER, 1, OTHER, beat),)) == []


class TestGiving:
    def offered(self) -> Driven:
        """It owns two shards, another that has joined owns none: so it offers one."""
        driven = Driven(*owned(None, None))
        driven.tell(came.Taken({0: (2, 5), 1: (2, 5)}))
        for number in (0, 1):
            driven.tell(came.Loaded(number, 2, 5, 0))
        driven.now_ns += 490 * MS
        assert driven.beat(*owned(ME, ME, epoch=2), others=(other(1),)) == []
        return driven

    def test_it_is_given_when_the_receiver_has_read_ahead_and_not_served_any_more(self) -> None:
        driven = self.offered()
        (beat,) = driven.member.step(driven.now_ns + 100 * MS)
        assert isinstance(beat, do.Beat)
        assert beat.told.offers == (Offer(1, OTHER),)

        assert driven.beat(*owned(ME, ME, epoch=2), others=(other(2, told=Told(ready=(1,))),)) == [do.Give(1, 2, OTHER)]
        assert [driven.member.serves(number, driven.now_ns) for number in (0, 1)] == [True, False]
        assert driven.tell(came.Given(1)) == [do.Drop(1)]

    def test_what_is_being_given_is_let_go_once_its_commit_is_known_and_not_as_lost_by_a_beat_before(self) -> None:
        driven = self.offered()
        driven.beat(*owned(ME, ME, epoch=2), others=(other(2, told=Told(ready=(1,))),))
        driven.now_ns += 490 * MS

        assert driven.beat(ShardRow(0, 2, ME, 0), ShardRow(1, 3, OTHER, 0), others=(other(3),)) == []
        assert driven.tell(came.Given(1)) == [do.Drop(1)]

    def test_of_what_is_being_given_to_one_that_dies_nothing_is_taken_back_before_its_commit_is_known(self) -> None:
        """The answer to that commit would be taken for one about what was taken back."""
        driven, given = self.offered(), (ShardRow(0, 2, ME, 0), ShardRow(1, 3, OTHER, 0))
        silent = other(2, told=Told(ready=(1,)))
        assert driven.beat(*owned(ME, ME, epoch=2), others=(silent,)) == [do.Give(1, 2, OTHER)]
        while not driven.actions or do.DeclareDead((silent,)) not in driven.actions:
            driven.now_ns = driven.member.next_due_ns()
            driven.beat(*given, others=(silent,))
        assert driven.tell(came.DeclaredDead(frozenset({OTHER}))) == []
        driven.now_ns += LEASE_NS
        assert driven.beat(*given) == []

        assert driven.tell(came.Given(1)) == [do.Drop(1)]
        driven.now_ns = driven.member.next_due_ns()
        (take,) = driven.beat(*given)
        assert isinstance(take, do.Take)
        assert [(claim.number, claim.epoch) for claim in take.claims] == [(1, 3)]

    def test_who_does_not_get_ready_rests_so_that_others_have_it_and_is_given_more_time_then(self) -> None:
        driven = self.offered()
        told: list[tuple[int, tuple[Offer, ...]]] = []
        until_ns = driven.now_ns + 20 * LEASE_NS
        while (due_ns := driven.member.next_due_ns()) < until_ns:
            driven.now_ns = due_ns
            (beat,) = [action for action in driven.member.step(driven.now_ns) if isinstance(action, do.Beat)]
            if not told or told[-1][1] != beat.told.offers:
                told.append((driven.now_ns, beat.told.offers))
            both = (other(driven.now_ns), other(driven.now_ns, THIRD))
            driven.tell(came.Beaten(ord(ME), CLOCK_NS + driven.now_ns, View(both, owned(ME, ME, epoch=2))))

        offers = [told_offers for _, told_offers in told]
        assert offers == [(Offer(1, OTHER),), (Offer(1, THIRD),), (), (Offer(1, OTHER),), (Offer(1, THIRD),)]
        lasted = [round((after - before) / LEASE_NS) for (before, _), (after, _) in itertools.pairwise(told)]
        assert lasted == [3, 3, 3, 6]

    def test_what_was_not_given_after_all_is_served_on(self) -> None:
        driven = self.offered()
        driven.beat(*owned(ME, ME, epoch=2), others=(other(2, told=Told(ready=(1,))),))

        driven.tell(came.Raised(1, 3))
        assert driven.member.serves(1, driven.now_ns)

    def test_the_last_server_releases_to_nobody_and_departs(self) -> None:
        driven = Driven(*owned(None))
        driven.serve()
        driven.member.leave(driven.now_ns)

        assert driven.beat(*owned(ME, epoch=2)) == [do.Give(0, 2, None)]
        driven.tell(came.Given(0))
        assert driven.beat(*owned(None, epoch=3)) == [do.Depart()]
        driven.tell(came.Departed())
        assert driven.member.is_over


def test_an_offer_of_a_shard_that_there_is_not_is_passed_over() -> None:
    offered = (Offer(7, ME), Offer(-1, ME), Offer(0, ME))
    driven = Driven(*owned(OTHER), others=(other(1, told=Told(offers=offered)),))

    assert driven.actions == [do.ReadAhead(0)]


class TestBalance:
    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_the_beginning_all_own_equally_many_or_one_more(self, seed: int) -> None:
        chance = Random(seed)  # noqa: S311 - a game, not a secret
        servers = [f"s{number}" for number in range(chance.randint(1, 7))]
        owners = [chance.choice(servers) for _ in range(chance.randint(1, 40))]
        rows = [ServerRow(name, number) for number, name in enumerate(servers)]
        for _ in range(41):
            view = View(tuple(rows), owned(*owners))
            offers = [
                next_offer(Outlook(view, row), [n for n, owner in enumerate(owners) if owner == row.incarnation])
                for row in rows
            ]
            for offer in filter(None, offers):
                owners[offer.number] = offer.to

        assert offers == [None] * len(rows)
        counts = [owners.count(name) for name in servers]
        assert max(counts) - min(counts) <= 1

    def test_who_leaves_gives_to_those_that_own_least(self) -> None:
        rows = tuple(other(0, name) for name in (ME, OTHER, THIRD))
        outlook = Outlook(View(rows, owned(ME, ME, ME, OTHER)), rows[0])

        assert parting_offers(outlook, [0, 1, 2], []) == [Offer(0, THIRD), Offer(1, OTHER), Offer(2, THIRD)]


def test_a_format_is_raised_once_all_that_live_can_read_it() -> None:
    old, new = ServerRow("1", 1, "old", formats=(1,)), ServerRow("2", 2, "new", formats=(1, 2))
    dead = ServerRow("3", 3, "dead", is_dead=True, formats=(1,))

    assert "old; bring" in (upgrade_fault([old, new], 1, 2) or "")
    assert upgrade_fault([new, dead], 1, 2) is None
    assert "format 2 already" in (upgrade_fault([new], 2, 1) or "")


class TestWhereNothingElseIsWrong:
    @pytest.fixture
    def game(self) -> MembershipMachine:
        """Three servers that share the shards."""
        game = MembershipMachine()
        game.begin(seed=5, most_ppm=100, has_steps=False, count=3)
        assert game.world.run_until(game.is_balanced, 20 * S)
        game.world.run_for(2 * S)
        return game

    @pytest.mark.parametrize("more_ms", [0, 130, 260, 390, 480])
    def test_the_shards_of_one_that_is_killed_are_served_within_lease_and_a_second(
        self, game: MembershipMachine, more_ms: int
    ) -> None:
        game.world.run_for(more_ms * MS)
        game.servers[0].kill()

        assert game.world.run_until(game.all_is_served, LEASE_NS + S)

    def test_one_that_leaves_is_gone_within_two_seconds_and_each_shard_unserved_for_half_a_second(
        self, game: MembershipMachine
    ) -> None:
        longest: Counter[int] = Counter()
        game.servers[0].leave()
        for _ in range(200):
            game.world.run_for(10 * MS)
            served = game.served()
            for number in range(SHARDS):
                longest[number] = 0 if served[number] else longest[number] + 10
                assert longest[number] <= 500

        assert not game.servers[0].is_running
        assert game.all_is_served()
