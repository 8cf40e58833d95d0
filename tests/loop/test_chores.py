"""Chores: each says when it is due and does no more in one step than its budget; what is left is due at once."""

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import pytest

from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS, NS_PER_S
from drivers.desk import Desk
from drivers.sharded_desk import ShardedDesk
from loop.hall import Hall
from timer_protocol.limits import BEAT_INTERVAL_MS
from timer_server.loop import noting
from timer_server.loop.chores import NEVER_NS, REST_MS, Chore, Expiry, InEachShard, Retention, Schedule, Waking
from timer_server.loop.parts import Parts
from timer_server.loop.tell import Teller
from timer_server.loop.upkeep import Upkeep
from timer_server.metrics import Metrics
from timer_server.requests.queue_views import QueueTotals
from timer_server.requests.shard import Shard
from timer_server.store.base import Anchor, StoreAway

MINUTE_NS = 60 * NS_PER_S
RETENTION_S = 100


@pytest.fixture
def desk() -> Desk:
    return Desk(retention_s=RETENTION_S)


def steps(chore: Chore, now_ns: int, budget: int) -> int:
    """How many steps it takes until nothing is due any more."""
    count = 0
    while (due_ns := chore.next_due_ns()) is not None and due_ns <= now_ns:
        chore.step(now_ns, budget)
        count += 1
    return count


def test_expiry_is_due_with_the_first_deadline_and_fires_within_its_budget(desk: Desk) -> None:
    expiry = Expiry(desk.shard)
    assert expiry.next_due_ns() is None
    for number in range(5):
        desk.start(f"{number}")
    assert expiry.next_due_ns() == BEGIN_NS + MINUTE_NS

    expiry.step(BEGIN_NS + MINUTE_NS - 1, budget=5)
    assert desk.engine.counts().fired == 0
    assert steps(expiry, BEGIN_NS + MINUTE_NS, budget=2) == 3
    assert desk.engine.counts().fired == 5
    assert expiry.next_due_ns() is None


class TestInEachShard:
    """A budget of 500 is for all shards together, in parts of 50 or more."""

    @pytest.mark.parametrize(("shards", "due", "fired"), [(4, 1, 300), (4, 2, 500), (4, 3, 498), (20, 20, 500)])
    def test_those_that_are_due_share_a_budget(self, shards: int, due: int, fired: int) -> None:
        desk = ShardedDesk(shards)
        for number in range(due):
            for at in range(300):
                desk.call("timer.start", id=desk.name_in(number, f"{at}/"), seconds=60)
        expiry = InEachShard(Expiry, desk.shards)
        assert expiry.next_due_ns() == BEGIN_NS + MINUTE_NS

        expiry.step(BEGIN_NS + MINUTE_NS, 500)

        assert desk.result("server.info")["counts"]["fired"] == fired

    def test_none_is_left_waiting_by_the_others(self) -> None:
        desk = ShardedDesk(4)
        stepped: list[int] = []

        class Busy:
            def __init__(self, shard: Shard) -> None:
                self._number = shard.number

            def next_due_ns(self) -> int:
                return 0

            def step(self, _: int, budget: int) -> None:
                assert budget == 50
                stepped.append(self._number)

        chore = InEachShard(Busy, desk.shards)
        assert chore.next_due_ns() == 0
        for _ in range(4):
            chore.step(0, 150)

        assert stepped == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]

    def test_follows_the_shards_that_come_and_go(self) -> None:
        desk = ShardedDesk(3)
        expiry = InEachShard(Expiry, desk.shards)
        desk.call("timer.start", id=desk.name_in(1), seconds=60)
        assert expiry.next_due_ns() == BEGIN_NS + MINUTE_NS

        desk.commit()
        desk.shards.remove(1)
        assert expiry.next_due_ns() is None
        desk.shards.add(desk.open(1))
        assert expiry.next_due_ns() == BEGIN_NS + MINUTE_NS


def test_waking_is_due_at_once_while_somebody_is_awake_and_with_the_first_whose_time_is_up(desk: Desk) -> None:
    waking = Waking(desk.parked)
    assert waking.next_due_ns() is None
    desk.start("a")
    desk.settle()
    for number in range(5):
        desk.park("timer.wait", number, id="a", wait_ms=2_000)
    desk.park("events.read", after={LOG_ID: 1}, prefix="other", wait_ms=1_000)
    assert waking.next_due_ns() == BEGIN_NS + NS_PER_S

    desk.call("timer.cancel", id="a")
    desk.parked.notify(desk.settle())
    assert waking.next_due_ns() == 0
    for answered in (2, 2, 1):
        waking.step(BEGIN_NS, budget=4)
        assert waking.next_due_ns() == 0
        assert len(desk.parked.take_ready()) == answered

    assert waking.next_due_ns() == BEGIN_NS + NS_PER_S
    waking.step(BEGIN_NS + NS_PER_S, budget=1)
    assert len(desk.parked.take_ready()) == 1
    assert waking.next_due_ns() is None


def test_those_whose_time_is_up_are_answered_within_the_budget(desk: Desk) -> None:
    desk.start("a")
    desk.settle()
    for number in range(5):
        desk.park("timer.wait", number, id="a", wait_ms=1_000)
    waking = Waking(desk.parked)

    waking.step(BEGIN_NS + NS_PER_S, budget=3)

    assert len(desk.parked.take_ready()) == 3
    assert waking.next_due_ns() == BEGIN_NS + NS_PER_S


def test_retention_is_due_when_the_oldest_durable_entry_is_old_enough_and_looks_at_few_at_a_time(desk: Desk) -> None:
    retention = Retention(desk.shard)
    for number in range(5):
        desk.start(f"{number}")
        desk.call("timer.cancel", id=f"{number}")
    assert retention.next_due_ns() is None

    desk.settle()
    assert retention.next_due_ns() == 0
    assert steps(retention, BEGIN_NS, budget=4) == 1
    old_ns = BEGIN_NS + RETENTION_S * NS_PER_S
    assert retention.next_due_ns() == old_ns

    retention.step(old_ns - 1, budget=4)
    assert desk.engine.horizon == 0
    retention.step(old_ns, budget=4)
    assert desk.engine.horizon == 2
    assert retention.next_due_ns() == 0
    assert steps(retention, old_ns, budget=4) == 4
    assert desk.engine.horizon == 10
    assert retention.next_due_ns() is None


def test_the_first_of_several_is_due_first(desk: Desk) -> None:
    chores = Schedule([Expiry(desk.shard), Waking(desk.parked), Retention(desk.shard)])
    assert chores.look() == NEVER_NS
    desk.start("a")
    assert chores.look() == BEGIN_NS + MINUTE_NS
    desk.settle()
    assert chores.look() == 0


class AwayUntil:
    """A chore that is always due, and whose store does not answer before a moment."""

    def __init__(self, until_ns: int) -> None:
        self._until_ns = until_ns
        self.stepped_ns: list[int] = []

    def next_due_ns(self) -> int:
        return 0

    def step(self, now_ns: int, _budget: int) -> None:
        self.stepped_ns.append(now_ns)
        if now_ns < self._until_ns:
            raise StoreAway("PostgreSQL does not answer")


def test_one_whose_store_is_away_rests_for_a_second_and_holds_no_other_up() -> None:
    second_ns = REST_MS * NS_PER_MS
    away, other = AwayUntil(second_ns), AwayUntil(0)
    chores = Schedule([away, other])

    for now_ns in (0, 1, second_ns - 1, second_ns, second_ns + 1):
        assert chores.look() == 0
        chores.step(now_ns, budget=1)

    assert away.stepped_ns == [0, second_ns, second_ns + 1]
    assert other.stepped_ns == [0, 1, second_ns - 1, second_ns, second_ns + 1]


def test_chores_come_and_go_also_while_one_rests() -> None:
    away, coming = AwayUntil(2 * REST_MS * NS_PER_MS), AwayUntil(0)
    chores = Schedule([away])
    for now_ns in (0, 1):
        chores.look()
        chores.step(now_ns, budget=1)
    assert chores.look() == REST_MS * NS_PER_MS

    chores.add(coming)
    for now_ns in (2, REST_MS * NS_PER_MS):
        assert chores.look() == 0
        chores.step(now_ns, budget=1)
    assert (away.stepped_ns, coming.stepped_ns) == ([0, REST_MS * NS_PER_MS], [2, REST_MS * NS_PER_MS])

    chores.remove(coming)
    chores.remove(away)
    assert chores.look() == 2 * REST_MS * NS_PER_MS, "until then one rested"
    chores.step(3 * REST_MS * NS_PER_MS, budget=1)
    assert chores.look() == NEVER_NS
    assert len(coming.stepped_ns) == 2


class TestUpkeep:
    @pytest.fixture
    def hall(self) -> Iterator[Hall]:
        with closing(Hall()) as hall:
            yield hall

    def test_beats_once_a_second_with_what_is_durable(self, hall: Hall) -> None:
        upkeep = Upkeep(hall.parts, Teller(hall.parts.commands, hall.parts.events, hall.parts.metrics))
        hall.wire.beats.clear()
        now_ns = hall.clock.now_ns()
        hall.start("flying", now_ns)
        assert upkeep.next_due_ns() == 0

        upkeep.step(now_ns)

        second_ns = now_ns + BEAT_INTERVAL_MS * NS_PER_MS
        assert upkeep.next_due_ns() == second_ns
        upkeep.step(second_ns - 1)
        assert [(beat.logs[LOG_ID].seq, beat.logs[LOG_ID].now_ms) for beat in hall.wire.beats] == [
            (1, now_ns // NS_PER_MS)
        ]
        upkeep.step(second_ns)
        assert len(hall.wire.beats) == 2

    def test_tells_and_ties_the_timeline_of_each_log(self, hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
        upkeep = Upkeep(hall.parts, Teller(hall.parts.commands, hall.parts.events, hall.parts.metrics))
        (shard,) = hall.parts.shards.owned
        shard.ahead_ns = -7 * NS_PER_S
        now_ns = hall.clock.now_ns()
        anchor = Anchor("boot", 0, now_ns, now_ns)
        monkeypatch.setattr(hall.clock, "new_anchor", lambda: anchor)

        upkeep.step(now_ns)

        assert hall.wire.beats[-1].logs[LOG_ID].now_ms == now_ns // NS_PER_MS - 7_000
        assert shard.anchor == anchor._replace(timeline_ns=now_ns - 7 * NS_PER_S)

    def test_is_due_at_once_where_subscribers_have_to_be_cut_off_and_a_second_later_if_that_fails(
        self, hall: Hall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upkeep = Upkeep(hall.parts, Teller(hall.parts.commands, hall.parts.events, hall.parts.metrics))
        now_ns = hall.clock.now_ns()
        upkeep.step(now_ns)
        monkeypatch.setattr(hall.wire, "reason_to_reopen", "too much waits")
        assert upkeep.next_due_ns() <= now_ns

        hall.wire.refusals = 1
        upkeep.step(now_ns)
        assert upkeep.next_due_ns() >= now_ns + BEAT_INTERVAL_MS * NS_PER_MS
        upkeep.step(now_ns)
        assert hall.wire.cut_ns == []


def test_no_chore_is_stepped_in_a_turn_before_which_none_was_due(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped: list[Chore] = []
    chores: list[Chore] = [Expiry(desk.shard), Waking(desk.parked)]
    for chore in chores:
        monkeypatch.setattr(chore, "step", lambda *_, chore=chore: stepped.append(chore))
    schedule = Schedule(chores)
    desk.start("a")
    due_ns = schedule.look()

    schedule.step(due_ns - 1, budget=5)
    assert stepped == []
    schedule.step(due_ns, budget=5)
    assert stepped == chores


def test_of_many_queues_in_many_shards_some_are_counted_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "_QUEUES_LOOKED_AT", 4)
    desk = ShardedDesk(4)
    for name in ("one", "two"):
        desk.send(("queue.put", {"queue": name, "prefix": ""}))
    desk.wait(1_000)  # until all shards have heard of them
    for number in range(4):
        desk.call("timer.start", id=desk.name_in(number, "a/"), seconds=60)
    metrics = Metrics({})
    parts = cast("Parts", SimpleNamespace(metrics=metrics, shards=desk.shards, places=desk.places, peer_traffic=None))
    looking = noting.Noting(parts, ())
    desk.wait(60_000)

    seen = []
    for _ in range(3):
        looking.note_durable(desk.now_ns)
        seen.append(metrics.queue_totals.ready)
    assert seen == [4, 8, 8], "two queues in each of two shards, and then in all"

    for shard in desk.shards.owned:
        for name in ("one", "two"):
            shard.queues.delete(name, desk.now_ns)
    looking.note_durable(desk.now_ns)
    looking.note_durable(desk.now_ns)
    assert metrics.queue_totals == QueueTotals()
