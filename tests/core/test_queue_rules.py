"""Rules of queues: what a home tells, late, twice, in any order or not at all, and how the others come to know it."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.queue_log import QueueLog
from drivers.builders import BEGIN_NS
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.queues.queues import Queues
from timer_server.core.queues.rules import Gone, Rule, Standing, untold

names = st.sampled_from(["q", "r"])
lease_ms = st.sampled_from([None, 1_000, 2_000])
shards = st.sampled_from([0, 1])


class Shard:
    """The queues of a log, and the log."""

    def __init__(self) -> None:
        self.log, self.queues = QueueLog(), Queues(lambda: 0.5)

    def put(self, name: str, **asked: Any) -> Rule:
        rule = self.queues.put(PutQueueParams(name, "a", **asked), self.log.horizon, self.log.last_place, BEGIN_NS)
        return rule.state.rule

    def hear(self, news: Rule | Gone) -> None:
        self.queues.hear(news, self.log.horizon, self.log.last_place, BEGIN_NS)

    def end(self, *ids: str) -> None:
        for timer_id in ids:
            self.log.end(timer_id, "fired", BEGIN_NS // 10**6, 1, self.queues)

    def known(self) -> dict[str, Standing]:
        return {rule.queue: rule.standing for rule in self.queues.rules()}

    def restart(self) -> None:
        self.log.take_drafts(self.queues)
        self.queues = Queues(lambda: 0.5)
        self.log.read_again(self.queues)


class RulesMachine(RuleBasedStateMachine):
    """A home, and two others that it tells. `told` is all that it has ever said."""

    def __init__(self) -> None:
        super().__init__()
        self.home, self.others = Shard(), [Shard(), Shard()]
        self.told: list[Rule | Gone] = []

    @rule(name=names, lease_ms=lease_ms, begin=st.sampled_from(["now", "start"]))
    def put(self, name: str, lease_ms: int | None, begin: Any) -> None:
        self.told.append(self.home.put(name, lease_ms=lease_ms, begin=begin))

    @rule(name=names)
    def delete(self, name: str) -> None:
        if (standing := self.home.queues.standing(name)) is not None:
            self.home.queues.delete(name, BEGIN_NS)
            self.told.append(Gone(name, standing.made))

    @rule(name=names, lease_ms=lease_ms)
    def make_again(self, name: str, lease_ms: int | None) -> None:
        self.delete(name)
        self.put(name, lease_ms, "now")

    @rule(shard=shards, at=st.integers(0, 30))
    def hear(self, shard: int, at: int) -> None:
        """One hears what was told now or long ago, perhaps once more."""
        if self.told:
            self.others[shard].hear(self.told[-1 - at % len(self.told)])

    @rule(shard=shards)
    def hear_all(self, shard: int) -> None:
        for news in self.told:
            self.others[shard].hear(news)
        assert by_name(self.others[shard].queues.rules()) == by_name(self.home.queues.rules())

    @rule(shard=st.sampled_from([0, 1, 2]))
    def restart(self, shard: int) -> None:
        [*self.others, self.home][shard].restart()

    @rule(shard=shards)
    def repair(self, shard: int) -> None:
        other = self.others[shard]
        for news in untold(self.home.queues.rules(), other.known()):
            other.hear(news)
        assert by_name(other.queues.rules()) == by_name(self.home.queues.rules())
        assert untold(self.home.queues.rules(), other.known()) == []

    @invariant()
    def nobody_knows_more_than_the_home_has_said(self) -> None:
        said = {(news.queue, news.standing): news for news in self.told if isinstance(news, Rule)}
        for other in self.others:
            assert all(said[rule.queue, rule.standing] == rule for rule in other.queues.rules())

    @invariant()
    def each_making_has_a_number_of_its_own(self) -> None:
        made = [news.made for news in self.told if isinstance(news, Rule) and news.version == 1]
        firsts = list(dict.fromkeys(made))
        assert firsts == sorted(firsts)


def by_name(rules: list[Rule]) -> dict[str, Rule]:
    return {rule.queue: rule for rule in rules}


TestRules = RulesMachine.TestCase
TestRules.settings = settings(max_examples=settings.default.max_examples * 2 // 5)


def test_a_log_that_hears_late_takes_up_what_it_has_where_the_queue_began_at_the_start() -> None:
    home, other = Shard(), Shard()
    other.end("a/1", "b/1", "a/2")
    since_start, from_now = home.put("q", begin="start"), home.put("r")

    for news in (since_start, from_now):
        other.hear(news)
    other.end("a/3")

    filling = other.queues.find("q").state.filling
    assert filling is not None
    assert (filling.after, filling.to, filling.prefix) == (0, 3, "a")
    assert [len(other.queues.find(name).state.later) for name in "qr"] == [1, 0]
    assert other.queues.find("r").state.ready_count == 1


def test_what_was_made_again_begins_empty_where_the_deletion_was_missed() -> None:
    home, other = Shard(), Shard()
    other.hear(home.put("q"))
    other.end("a/1")
    home.queues.delete("q", BEGIN_NS)

    other.hear(home.put("q"))

    assert other.queues.find("q").state.ready_count == 0
    other.restart()
    assert other.queues.rules() == home.queues.rules()


def test_a_log_that_hears_of_a_changed_queue_first_has_it_after_a_restart() -> None:
    home, other = Shard(), Shard()
    home.put("q")
    other.hear(home.put("q", lease_ms=5_000))

    other.restart()

    assert [rule.version for rule in other.queues.rules()] == [2]
    assert other.queues.rules() == home.queues.rules()


def test_a_rule_outlives_the_entries_that_told_it(monkeypatch: Any) -> None:
    monkeypatch.setattr("timer_server.core.queues.queue.SNAPSHOT_FLOOR_BYTES", 0)
    home, other = Shard(), Shard()
    home.put("q", begin="start")
    other.hear(home.put("q", lease_ms=5_000))
    for shard in (home, other):
        shard.queues.step(BEGIN_NS, 1_000)
        shard.log.take_drafts(shard.queues)
        shard.log.forget(shard.log.last_place, shard.queues)
        shard.restart()

    (rule,) = home.queues.rules()
    assert (rule.version, rule.begin, rule.settings.lease_ms) == (2, "start", 5_000)
    assert other.queues.rules() == [rule]
