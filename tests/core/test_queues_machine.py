"""Queues in games of any length, against queues told in the plainest way, and against what is promised of them.

After each move both must hold the same ends in the same states, after crashes and restarts too; and the log must hold
what is needed for that, however far retention has come.
"""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.naive_queues import HELD, NaiveQueue, ceil_ms, floor_ms
from core.queue_log import QueueLog
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.model import Countdown
from timer_server.core.queues import ends, queue, snapshots
from timer_server.core.queues.changes import Settings
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.queues import Queues

NS_PER_MS = 1_000_000
BUDGET = 10_000

names = st.sampled_from(["q", "q", "q", "q", "r"])
prefixes = st.sampled_from(["", "a", "a", "a/", "b"])
ids = st.sampled_from(["a", "a/1", "a/2", "b"])
some = st.lists(st.integers(0, 5) | st.integers(0, 30), min_size=1, max_size=4)
times_ms = st.sampled_from([0, 1, 5, 999, 1_000, 1_001, 2_000, 5_000, 15_000, 30_000, 60_000])
choices = {
    "states": st.sampled_from([["fired"], ["cancelled", "fired"]]),
    "lease_ms": st.sampled_from([1_000, 2_000, 30_000]),
    "max_deliveries": st.sampled_from([0, 1, 2, 3]),
    "backoff_ms": st.sampled_from([[0], [1_000], [1_000, 5_000]]),
    "max_backlog": st.sampled_from([1, 3, 5]),
    "max_dead": st.sampled_from([0, 1, 3]),
    "max_bytes": st.sampled_from([50, 200]),
    "keep_ms": st.sampled_from([5_000, 60_000]),
}
one_choice = st.one_of([value.map(lambda v, k=key: {k: v}) for key, value in choices.items()])  # type: ignore[misc]
two_choices = st.tuples(one_choice, one_choice).map(lambda two: two[0] | two[1])
thens = st.sampled_from(["retry", "return", "dead"])
COMPARED = ("place", "state", "attempts", "is_open", "kept_since_ms", "reason", "at_ms")
DEFAULTS = {name: getattr(Settings(""), name) for name in Settings.__struct_fields__}


class QueuesMachine(RuleBasedStateMachine):
    """`given` are all numbers that were ever seen; `leases` the times of each lease, by queue and place."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(queue, "SNAPSHOT_FLOOR_BYTES", 300)
        self.patch.setattr(queue, "PIECE_COST", 10 * BUDGET)
        self.patch.setattr(snapshots, "DELIVERIES_A_PART", 2)
        self.patch.setattr(snapshots, "RECEIPTS_A_PART", 3)
        self.patch.setattr(ends, "CHUNK_ENDS", 3)
        self.log = QueueLog()
        self.queues = Queues(lambda: 0.5)
        self.naive: dict[str, NaiveQueue] = {}
        self.given: list[int] = []
        self.now_ns = 0
        self.saved = deepcopy((self.log, self.naive))

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(fraction_ns=st.sampled_from([0, 1, 999_999]))
    def begin(self, fraction_ns: int) -> None:
        self.now_ns = 1_700_000_000_000 * NS_PER_MS + fraction_ns
        self.put("q", "a", "now", {})

    # Queues

    @rule(name=names, prefix=prefixes, begin=st.sampled_from(["now", "start"]), asked=st.just({}) | two_choices)
    def put(self, name: str, prefix: str, begin: Any, asked: dict[str, Any]) -> None:
        self.log.take_drafts(self.queues)
        params = PutQueueParams(name, prefix, begin=begin, **asked)
        before = self.naive.get(name)
        put = self.queues.put(params, self.log.horizon, self.log.last_place, self.now_ns)

        chosen = {key: tuple(value) if isinstance(value, list) else value for key, value in asked.items()}
        chosen = {key: value for key, value in chosen.items() if value is not None} | {"prefix": prefix}
        if before is None:
            self.naive[name] = naive = NaiveQueue({**DEFAULTS, **chosen})
            there = self.log.ends(0, self.log.last_place, 10**6)
            if begin == "start" and self.log.horizon < self.log.last_place:
                naive.to_fill = [seen for event in there if naive.matches(seen := view(event))]
        elif before.settings != {**before.settings, **chosen}:
            before.settings |= chosen
            before.version += 1
        assert put.state.version == self.naive[name].version
        assert {key: getattr(put.state.settings, key) for key in DEFAULTS} == self.naive[name].settings

    @rule(name=st.sampled_from(["q", "r", "r", "r"]))
    def delete(self, name: str) -> None:
        assert self.queues.delete(name, self.now_ns) == (self.naive.pop(name, None) is not None)

    @rule(most=st.integers(1, 4))
    def fill(self, most: int) -> None:
        """A step of taking up what was there before a queue."""
        self.log.take_drafts(self.queues)
        request = self.queues.fill_request()
        assert (request is None) == all(naive.to_fill is None for naive in self.naive.values())
        if request is not None:
            events = self.log.ends(request.after, request.to, most)
            scanned_to = events[-1].place if len(events) == most else request.to
            self.queues.fill(request.queue, events, scanned_to, self.now_ns)
            self.naive[request.queue].fill(scanned_to, scanned_to >= request.to)

    @rule(most=st.integers(1, 3), is_lost=st.booleans())
    def fill_a_new_queue(self, most: int, is_lost: bool) -> None:
        """From ends that are there, while others come, workers take, and retention goes on."""
        self.delete("r")
        self.many_end(4)
        self.put("r", "a", "start", {})
        for _ in range(3):
            self.end("a", "fired", 1)
            self.fill(most)
            self.take("r", 1, 10**6, None)
            self.forget(0)
        if is_lost:
            self.crash(is_committed=False, is_started=True)
        self.fill(10)
        self.take("r", 5, 10**6, None)

    # Ends

    @rule(timer_id=ids, state=st.sampled_from(["fired", "fired", "cancelled"]), size=st.sampled_from([1, 30, 100]))
    def end(self, timer_id: str, state: Any, size: int) -> None:
        event = self.log.end(timer_id, state, ceil_ms(self.now_ns), size, self.queues)
        for naive in self.naive.values():
            naive.offer(view(event))

    @rule(count=st.integers(2, 9))
    def many_end(self, count: int) -> None:
        for number in range(count):
            self.end(f"a/{number}", "fired", 10)

    # Workers

    @rule(name=names, most=st.integers(1, 5), most_bytes=st.sampled_from([10**6, 40]), key=st.sampled_from([None, "k"]))
    def take(self, name: str, most: int, most_bytes: int, key: str | None) -> None:
        if not self.is_there(name, lambda: self.queues.take(name, most, most_bytes, key, self.now_ns)):
            return
        naive = self.naive[name]
        known = naive.remembered(key, self.now_ns)
        expected = naive.first_ready(most, most_bytes, self.now_ns) if known is None else known
        taken = self.queues.take(name, most, most_bytes, key, self.now_ns)
        assert [delivery.place for delivery in taken] == [end["place"] for end in expected]
        if known is None:
            numbers = [delivery.number for delivery in taken]
            self.check_new(numbers)
            naive.lease(expected, numbers, key, self.now_ns)
        for delivery, end in zip(taken, expected, strict=True):
            assert (delivery.number, delivery.attempts, delivery.at_ms) == (
                end["number"],
                end["attempts"],
                end["at_ms"],
            )

    @rule(name=names, some=some)
    def ack(self, name: str, some: list[int]) -> None:
        numbers = self.chosen(name, some)
        if self.is_there(name, lambda: self.queues.ack(name, numbers, self.now_ns)):
            assert self.queues.ack(name, numbers, self.now_ns) == self.naive[name].ack(numbers)

    @rule(rest=st.sampled_from(["ack", "nack", "wait"]), then=thens, some=some, times=st.integers(1, 3))
    def work(self, rest: str, then: str, some: list[int], times: int) -> None:
        """Some ends, of which a part is taken; what becomes of it, and receipts that are used again."""
        self.many_end(4)
        for _ in range(times):
            self.take("q", 2, 10**6, "k" if times == 1 else None)
            if rest == "ack":
                self.ack("q", some)
            elif rest == "nack":
                self.nack("q", some, then, None, "again")
                self.nack("q", some, "retry", None, None)
            else:
                self.wait_for_what_is_due(0)
                self.step()
            self.ack("q", some[:1])
            self.take("q", 1, 10**6, "k")

    @rule(ms=st.sampled_from([-1, 0, 0, 1]))
    def wait_for_what_is_due(self, ms: int) -> None:
        moments = [due_ms for naive in self.naive.values() if (due_ms := naive.next_due_ms()) is not None]
        if moments:
            self.now_ns = max(self.now_ns, (min(moments) + ms) * NS_PER_MS)

    @rule(name=names)
    def ack_all(self, name: str) -> None:
        if name in self.naive:
            numbers = [end["number"] for end in self.naive[name].in_state("leased")]
            assert self.queues.ack(name, numbers, self.now_ns) == (numbers, [])
            self.naive[name].ack(numbers)

    @rule(
        name=names,
        some=some,
        then=thens,
        delay_ms=st.sampled_from([None, None, 0, 1_000]),
        reason=st.sampled_from([None, "late", "ill"]),
    )
    def nack(self, name: str, some: list[int], then: Any, delay_ms: int | None, reason: str | None) -> None:
        numbers = self.chosen(name, some)
        giving = GivingBack(then, delay_ms, reason)
        if self.is_there(name, lambda: self.queues.nack(name, numbers, giving, self.now_ns)):
            outcome = self.queues.nack(name, numbers, giving, self.now_ns)
            assert outcome == self.naive[name].nack(numbers, then, delay_ms, reason, self.now_ns)

    @rule(name=names, some=some, lease_ms=st.sampled_from([None, 1_000, 60_000]))
    def renew(self, name: str, some: list[int], lease_ms: int | None) -> None:
        numbers = self.chosen(name, some)
        if self.is_there(name, lambda: self.queues.renew(name, numbers, lease_ms, self.now_ns)):
            renewal = self.queues.renew(name, numbers, lease_ms, self.now_ns)
            assert (renewal.leased, renewal.lost) == self.naive[name].renew(numbers, lease_ms, self.now_ns)

    # Dead letters

    @rule(name=names, limit=st.integers(1, 3))
    def read_dead(self, name: str, limit: int) -> None:
        if name not in self.naive:
            return
        found, after = [], 0
        while True:
            page, following = self.queues.dead(name, after, limit)
            found += [letter for _, letter in page]
            assert len(page) <= limit
            if following is None:
                break
            after = following
        self.learn_numbers()
        dead = self.naive[name].dead()
        assert [(letter.place, letter.reason, letter.attempts, letter.at_ms, letter.number) for letter in found] == [
            (end["place"], end["reason"], end["attempts"], end["at_ms"], end["number"]) for end in dead
        ]

    @rule(name=names, count=st.integers(1, 3), revive=st.booleans())
    def move_dead(self, name: str, count: int, revive: bool) -> None:
        if name not in self.naive:
            return
        self.learn_numbers()
        numbers = [end["number"] for end in self.naive[name].dead()][:count]
        asked = [*numbers, 10**9]
        outcome = (self.queues.revive if revive else self.queues.drop)(name, asked, self.now_ns)
        assert outcome == (numbers, [10**9])
        if revive:
            self.naive[name].revive(numbers, self.now_ns)
        else:
            self.naive[name].drop(numbers)

    # Time

    @rule(ms=times_ms, fraction_ns=st.sampled_from([0, 1, 500_000]))
    def wait(self, ms: int, fraction_ns: int) -> None:
        self.now_ns += ms * NS_PER_MS + fraction_ns

    @rule()
    def step(self) -> None:
        """Until nothing is due: it has to come to an end."""
        for _ in range(100):
            self.step_once()
            due_ns = self.queues.next_due_ns()
            if due_ns is None or due_ns > self.now_ns:
                break
        else:
            raise AssertionError("there is always something due")
        for name, naive in self.naive.items():
            if naive.to_fill is None:
                assert naive.count("ready", "delayed") <= naive.settings["max_backlog"]
            assert self.queues.find(name).state.ready_count == naive.count("ready")

    def step_once(self) -> None:
        """So often that each queue had its turn: a piece of a snapshot takes the whole budget of a step."""
        for _ in range(max(len(self.naive), 1)):
            self.queues.step(self.now_ns, BUDGET)
        for naive in self.naive.values():
            naive.step(self.now_ns)

    @rule(turns=st.integers(2, 6), is_lost=st.booleans())
    def work_while_a_snapshot_is_made(self, turns: int, is_lost: bool) -> None:
        for _ in range(turns):
            self.end("a", "fired", 1)
            self.take("q", 1, 10**6, None)
            self.ack("q", [0])
            self.step_once()
        if is_lost:
            self.crash(is_committed=True, is_started=False)

    # The log

    @rule()
    def commit(self) -> None:
        self.log.take_drafts(self.queues)
        self.learn_numbers()
        self.saved = deepcopy((self.log, self.naive))

    @rule(back=st.integers(0, 10))
    def forget(self, back: int) -> None:
        """Retention looks at what is durable."""
        self.commit()
        self.log.forget(max(self.log.last_place - back, 0), self.queues)
        self.saved = deepcopy((self.log, self.naive))

    @rule(is_committed=st.booleans(), is_started=st.booleans())
    def crash(self, is_committed: bool, is_started: bool) -> None:
        """What was not committed is lost, and nobody was told of it."""
        if is_committed:
            self.commit()
        self.log, self.naive = deepcopy(self.saved)
        self.given = [number for number in self.given if number < 10**9 and number in self.known_numbers()]
        self.queues = Queues(lambda: 0.5)
        self.log.read_again(self.queues)
        if is_started:
            self.queues.server_started(ceil_ms(self.now_ns))
            for naive in self.naive.values():
                naive.server_started(ceil_ms(self.now_ns))

    # What must hold

    @invariant()
    def both_hold_the_same(self) -> None:
        assert sorted(q.state.name for q in self.queues.page("", None, 10)[0]) == sorted(self.naive)
        for name, naive in self.naive.items():
            now_ms = floor_ms(self.now_ns)
            expected = [tuple(end[key] for key in COMPARED) for end in naive.in_state(*HELD)]
            held = held_by(self.queues.find(name).state)
            assert sorted(as_of(now_ms, held), key=str) == sorted(as_of(now_ms, expected), key=str)
            assert self.queues.find(name).state.dropped == naive.count("dropped")
            assert (self.queues.find(name).state.filling is None) == (naive.to_fill is None)

    @invariant()
    def nothing_that_is_due_is_forgotten(self) -> None:
        due_ns = self.queues.next_due_ns()
        for naive in self.naive.values():
            next_ms = naive.next_due_ms()
            assert next_ms is None or (due_ns is not None and due_ns <= max(next_ms * NS_PER_MS, self.now_ns))

    @invariant()
    def the_log_has_what_is_held(self) -> None:
        places = {entry.place for entry in self.log.entries if isinstance(entry, Countdown)}
        held = {end["place"] for naive in self.naive.values() for end in naive.in_state(*HELD)}
        assert held <= places
        assert all(self.queues.is_held(place) == (place in held) for place in places if place <= self.log.horizon)

    @precondition(lambda self: not self.queues.has_news)
    @invariant()
    def what_nobody_holds_is_gone_behind_the_horizon(self) -> None:
        held = {end["place"] for naive in self.naive.values() for end in naive.in_state(*HELD)}
        behind = {e.place for e in self.log.entries if isinstance(e, Countdown) and e.place <= self.log.horizon}
        assert behind <= held

    # Parts

    def is_there(self, name: str, call: Any) -> bool:
        if name in self.naive:
            return True
        with pytest.raises(Refusal) as refused:
            call()
        assert refused.value.code == ErrorCode.QUEUE_NOT_FOUND
        return False

    def chosen(self, name: str, some: list[int]) -> list[int]:
        """Numbers of receipts: those that are leased first, then the latest, and some that were never given."""
        ends = self.naive[name].in_state("leased") if name in self.naive else []
        leased = [end["number"] for end in ends]
        numbers = [*leased[:2], *reversed(self.given), 0, 10**6]
        return [numbers[at % len(numbers)] for at in some]

    def known_numbers(self) -> set[int]:
        return {
            number
            for naive in self.naive.values()
            for number in [*(end["number"] for end in naive.ends), *naive.settled, *sum_of(naive.takes)]
            if number
        }

    def check_new(self, numbers: list[int]) -> None:
        assert sorted(set(numbers)) == numbers
        assert not numbers or numbers[0] > max(self.given, default=0)
        self.given += numbers

    def learn_numbers(self) -> None:
        """Ends that died without a lease have got numbers meanwhile."""
        fresh = []
        for name, naive in self.naive.items():
            number_of = {letter.place: letter.number for letter in self.queues.find(name).state.dead}
            for end in naive.dead():
                if end["number"] is None:
                    end["number"] = number_of[end["place"]]
                    fresh.append(end["number"])
        assert len(set(fresh)) == len(fresh)
        assert not set(fresh) & set(self.given)
        self.given = sorted({*self.given, *fresh})


def sum_of(takes: dict[str, tuple[list[int], int]]) -> list[int]:
    return [number for numbers, _ in takes.values() for number in numbers]


def view(event: Countdown) -> dict[str, Any]:
    return {
        "id": event.id,
        "state": event.state,
        "place": event.place,
        "at_ms": event.at_ms,
        "size": len(event.payload),
    }


def held_by(state: Any) -> list[tuple[Any, ...]]:
    """All that a queue of the core holds, as the naive one tells it."""
    found: list[tuple[Any, ...]] = []
    for new in (state.new, state.later):
        for columns in new.frozen():
            found += [(place, "ready", 0, False, at_ms, None, 0) for place, at_ms, _ in zip(*columns, strict=True)]
    kinds = [("leased", state.leases), ("delayed", state.waiting), ("dead", state.dead)]
    for kind, deliveries in kinds:
        for d in deliveries:
            is_in = kind if d.at_ms else "ready"
            found.append((d.place, is_in, d.attempts, d.is_open, d.kept_since_ms, d.reason, d.at_ms))
    return found


def as_of(now_ms: int, held: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What is held, with those ready whose delay is over: that is not logged, since nothing depends on it."""
    return [(e[0], "ready", *e[2:6], 0) if e[1] == "delayed" and e[6] <= now_ms else e for e in held]


TestQueues = QueuesMachine.TestCase
