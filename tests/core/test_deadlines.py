"""Deadlines: the heap gives out what a sorted list would, and does not keep the dead."""

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from core.builders import Bench, make_timer
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams
from timer_server.core.deadlines import Deadlines
from timer_server.core.model import Timer

ids = st.sampled_from("abcdef")
moments = st.integers(0, 20)


class DeadlinesMachine(RuleBasedStateMachine):
    """`timers` are the pending ones, as the ledger keeps them: a paused one has no deadline."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: dict[str, Timer] = {}
        self.deadlines = Deadlines(self.timers)

    @rule(timer_id=ids, due_at_ms=moments)
    def run(self, timer_id: str, due_at_ms: int) -> None:
        """A start, a resume, or a move to another deadline or to the same."""
        before = self.timers.get(timer_id)
        self.timers[timer_id] = make_timer(timer_id, due_at_ms=due_at_ms)
        self.deadlines.add(self.timers[timer_id])
        if before is not None and before.due_at_ms is not None:
            self.deadlines.leave()

    @rule(timer_id=ids)
    def pause(self, timer_id: str) -> None:
        before = self.timers.get(timer_id)
        if before is not None and before.due_at_ms is not None:
            self.timers[timer_id] = replace(before, state="paused", due_at_ms=None)
            self.deadlines.leave()

    @rule(timer_id=ids)
    def end(self, timer_id: str) -> None:
        before = self.timers.pop(timer_id, None)
        if before is not None and before.due_at_ms is not None:
            self.deadlines.leave()

    @rule(now_ms=moments)
    def pop(self, now_ms: int) -> None:
        in_order = self.in_order()
        popped = self.deadlines.pop_due(now_ms)
        if in_order and in_order[0][0] <= now_ms:
            assert popped == self.timers[in_order[0][1]]
            del self.timers[in_order[0][1]]
            self.deadlines.leave()
        else:
            assert popped is None

    @precondition(lambda self: self.timers)
    @rule()
    def rebuild(self) -> None:
        self.deadlines.rebuild(self.timers.values())

    @invariant()
    def earliest_is_that_of_a_sorted_list(self) -> None:
        in_order = self.in_order()
        assert self.deadlines.next_due_ms() == (in_order[0][0] if in_order else None)

    def in_order(self) -> list[tuple[int, str]]:
        return sorted((timer.due_at_ms, timer.id) for timer in self.timers.values() if timer.due_at_ms is not None)


TestDeadlines = DeadlinesMachine.TestCase


def test_all_come_out_in_order() -> None:
    timers = {f"{number}": make_timer(f"{number}", due_at_ms=number * 7919 % 1000) for number in range(1000)}
    deadlines = Deadlines(timers)
    for timer in timers.values():
        deadlines.add(timer)

    popped = []
    while (timer := deadlines.pop_due(2000)) is not None:
        popped.append(timer.due_at_ms)
        del timers[timer.id]
        deadlines.leave()

    assert popped == list(range(1000))


def test_the_dead_stay_few_where_one_timer_moves_again_and_again() -> None:
    timers = {f"{number}": make_timer(f"{number}", due_at_ms=10**9) for number in range(100)}
    deadlines = Deadlines(timers)
    deadlines.rebuild(timers.values())

    for move in range(10_000):
        # Each deadline is later than the last, so that no dead entry ever comes to the top.
        timers["0"] = make_timer("0", due_at_ms=2 * 10**9 + move)
        deadlines.add(timers["0"])
        deadlines.leave()

    assert len(deadlines._heap) < 100 * 2 + 200


def test_the_dead_stay_few_where_timers_end_before_their_time() -> None:
    timers = {"early": make_timer("early", due_at_ms=1)}
    deadlines = Deadlines(timers)
    deadlines.add(timers["early"])

    for number in range(10_000):
        timers[f"{number}"] = make_timer(f"{number}", due_at_ms=10**9 + number)
        deadlines.add(timers[f"{number}"])
        del timers[f"{number}"]
        deadlines.leave()

    assert len(deadlines._heap) < 200


class Counting(Deadlines):
    """Counts how often all deadlines were gone through."""

    rebuilt = 0

    def rebuild(self, timers: Iterable[Timer]) -> None:
        self.rebuilt += 1
        super().rebuild(timers)


def test_nothing_is_built_anew_where_timers_only_come_due() -> None:
    timers: dict[str, Timer] = {}
    deadlines = Counting(timers)
    for number in range(10_000):
        timers[f"{number}"] = make_timer(f"{number}", due_at_ms=number)
        deadlines.add(timers[f"{number}"])

    for number in range(10_000):
        popped = deadlines.pop_due(number)
        assert popped is not None
        del timers[popped.id]
        deadlines.leave()

    assert deadlines.rebuilt == 0


def test_nothing_is_built_anew_where_the_dead_are_met_soon() -> None:
    timers = {"late": make_timer("late", due_at_ms=10**9)}
    deadlines = Counting(timers)
    deadlines.add(timers["late"])

    for number in range(10_000):
        timers["early"] = make_timer("early", due_at_ms=number)
        deadlines.add(timers["early"])
        del timers["early"]
        deadlines.leave()
        assert deadlines.next_due_ms() == 10**9

    assert deadlines.rebuilt == 0


def test_the_engine_says_which_entries_have_died() -> None:
    bench = Bench()
    for number in range(5_000):
        bench.start(f"{number}", hours=1)
        bench.ask(RestartParams(f"{number}"))
        bench.ask(ExtendParams(f"{number}", hours=1))
        bench.ask(PauseParams(f"{number}"))
        bench.ask(ResumeParams(f"{number}"))
        bench.ask(CancelParams(f"{number}"))

    assert len(bench.engine._ledger._deadlines._heap) < 500


def test_a_timer_that_moved_away_and_back_comes_out_once() -> None:
    timers = {"a": make_timer("a", due_at_ms=5)}
    deadlines = Deadlines(timers)
    deadlines.add(timers["a"])
    for due_at_ms in (9, 5):
        timers["a"] = make_timer("a", due_at_ms=due_at_ms)
        deadlines.add(timers["a"])
        deadlines.leave()

    assert deadlines.pop_due(5) == timers["a"]
    del timers["a"]
    deadlines.leave()

    assert deadlines.pop_due(100) is None
    assert deadlines.next_due_ms() is None
