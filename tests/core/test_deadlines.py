"""Deadlines: the heap gives out what a sorted list would, and does not keep the dead."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from drivers.builders import Bench, make_timer
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams
from timer_server.core import deadlines as deadlines_module
from timer_server.core.deadlines import _DROPS, _MOVES, Deadlines
from timer_server.core.model import Countdown
from timer_server.core.records import ID_IN_ROW, Record, pack, unpack


def make_record(timer_id: str, due_at_ms: int | None) -> Record:
    """The record of a timer that has just been started with this deadline."""
    return pack(make_timer(timer_id, due_at_ms=due_at_ms))


ids = st.sampled_from("abcdef")
moments = st.integers(0, 20)


def is_running(record: Record | None) -> bool:
    return record is not None and unpack(record).due_at_ms is not None


class DeadlinesMachine(RuleBasedStateMachine):
    """`timers` are the records of the pending ones, as the ledger keeps them: a paused one has no deadline.

    `patience` is how often has to be asked: once, as long as few entries are dead.
    """

    patience = 1

    def __init__(self) -> None:
        super().__init__()
        self.place = 0
        self.timers: dict[str, Record] = {}
        self.deadlines = Deadlines(self.timers)

    @rule(timer_id=ids, due_at_ms=moments)
    def run(self, timer_id: str, due_at_ms: int) -> None:
        """A start, a resume, or a move to another deadline or to the same."""
        before = self.timers.get(timer_id)
        self.place += 1
        self.timers[timer_id] = pack(make_timer(timer_id, due_at_ms=due_at_ms, place=self.place))
        self.deadlines.add(self.timers[timer_id])
        if is_running(before):
            self.deadlines.leave()

    @rule(timer_ids=st.sets(ids), due_at_ms=moments)
    def move_all(self, timer_ids: set[str], due_at_ms: int) -> None:
        """Moves several at once."""
        running = [timer_id for timer_id in sorted(timer_ids) if is_running(self.timers.get(timer_id))]
        for timer_id in running:
            self.place += 1
            self.timers[timer_id] = pack(make_timer(timer_id, due_at_ms=due_at_ms, place=self.place))
        self.deadlines.add_all(self.timers[timer_id] for timer_id in running)
        self.deadlines.leave(len(running))

    @rule(timer_id=ids)
    def pause(self, timer_id: str) -> None:
        before = self.timers.get(timer_id)
        if is_running(before):
            self.timers[timer_id] = make_record(timer_id, due_at_ms=None)
            self.deadlines.leave()

    @rule(timer_id=ids)
    def end(self, timer_id: str) -> None:
        before = self.timers.pop(timer_id, None)
        if is_running(before):
            self.deadlines.leave()

    @rule(now_ms=moments)
    def pop(self, now_ms: int) -> None:
        in_order = self.in_order()
        popped = self.asked_until_told(lambda: self.deadlines.pop_due(now_ms))
        if in_order and in_order[0][0] <= now_ms:
            assert popped == unpack(self.timers[in_order[0][2]])
            del self.timers[in_order[0][2]]
        else:
            assert popped is None

    @rule(now_ms=moments, most=st.integers(0, 4), mark=ids)
    def take(self, now_ms: int, most: int, mark: str) -> None:
        """Some are taken together: the first that are due and alive, none behind one with the mark."""
        due = [timer_id for due_ms, _, timer_id in self.in_order() if due_ms <= now_ms]
        none_is_dead = not self.deadlines._dead
        taken = [row[ID_IN_ROW] for row in self.deadlines.take_due(now_ms, most, mark)]
        assert mark not in taken
        assert taken == due[: len(taken)]
        assert len(taken) <= most
        if none_is_dead and mark not in due:
            assert len(taken) == min(most, len(due))
        for timer_id in taken:
            del self.timers[timer_id]

    @rule()
    def load(self) -> None:
        self.deadlines.load(filter(is_running, self.timers.values()))

    @invariant()
    def earliest_is_that_of_a_sorted_list(self) -> None:
        in_order = self.in_order()
        earliest = in_order[0][0] if in_order else None
        for _ in range(self.patience):
            told = self.deadlines.next_due_ms()
            if told == earliest:
                return
            assert told is not None
            assert earliest is None or told < earliest
        raise AssertionError(f"{told} is not {earliest}")

    @invariant()
    def those_that_live_are_listed_in_order(self) -> None:
        listed = [record for record in self.deadlines.in_order() if record in self.timers.values()]
        assert [unpack(record).id for record in listed] == [timer_id for *_, timer_id in self.in_order()]

    def asked_until_told(self, ask: Callable[[], Countdown | None]) -> Countdown | None:
        return next((timer for timer in (ask() for _ in range(self.patience)) if timer is not None), None)

    def in_order(self) -> list[tuple[int, int, str]]:
        timers = map(unpack, self.timers.values())
        return sorted((timer.due_at_ms, timer.place, timer.id) for timer in timers if timer.due_at_ms is not None)


class EagerMachine(DeadlinesMachine):
    """The same where hardly anything has to die before a new heap is begun, and little is done at a time."""

    patience = 100

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        for name, value in {"_SLACK": 0, "_MOVES": 1, "_DROPS": 1}.items():
            self._patch.setattr(deadlines_module, name, value)

    def teardown(self) -> None:
        self._patch.undo()


TestDeadlines = DeadlinesMachine.TestCase
TestEagerDeadlines = EagerMachine.TestCase


def test_all_come_out_in_order() -> None:
    timers = {f"{number}": make_record(f"{number}", due_at_ms=number * 7919 % 1000) for number in range(1000)}
    deadlines = Deadlines(timers)
    for timer in timers.values():
        deadlines.add(timer)

    popped = []
    while (timer := deadlines.pop_due(2000)) is not None:
        popped.append(timer.due_at_ms)
        del timers[timer.id]

    assert popped == list(range(1000))


def test_a_mark_elsewhere_than_in_the_id_does_not_count() -> None:
    timers = {"a": pack(make_timer("a", due_at_ms=5, label="x~", payload=b'"~"'))}
    deadlines = Deadlines(timers)
    deadlines.load(timers.values())

    assert [row[ID_IN_ROW] for row in deadlines.take_due(5, 9, "~")] == ["a"]


def test_the_dead_stay_few_where_one_timer_moves_again_and_again() -> None:
    timers = {f"{number}": make_record(f"{number}", due_at_ms=10**9) for number in range(100)}
    deadlines = Deadlines(timers)
    deadlines.load(timers.values())

    for move in range(10_000):
        # Each deadline is later than the last, so that no dead entry ever comes to the top.
        timers["0"] = make_record("0", due_at_ms=2 * 10**9 + move)
        deadlines.add(timers["0"])
        deadlines.leave()

    assert len(deadlines) < 100 * 2 + 200


def test_the_dead_stay_few_where_timers_end_before_their_time() -> None:
    timers = {"early": make_record("early", due_at_ms=1)}
    deadlines = Deadlines(timers)
    deadlines.add(timers["early"])

    for number in range(10_000):
        timers[f"{number}"] = make_record(f"{number}", due_at_ms=10**9 + number)
        deadlines.add(timers[f"{number}"])
        del timers[f"{number}"]
        deadlines.leave()

    assert len(deadlines) < 200


def test_nothing_is_built_anew_where_timers_only_come_due() -> None:
    timers: dict[str, Record] = {}
    deadlines = Deadlines(timers)
    for number in range(10_000):
        timers[f"{number}"] = make_record(f"{number}", due_at_ms=number)
        deadlines.add(timers[f"{number}"])

    for number in range(10_000):
        popped = deadlines.pop_due(number)
        assert popped is not None
        del timers[popped.id]
        assert not deadlines._old


def test_nothing_is_built_anew_where_the_dead_are_met_soon() -> None:
    timers = {"late": make_record("late", due_at_ms=10**9)}
    deadlines = Deadlines(timers)
    deadlines.add(timers["late"])

    for number in range(10_000):
        timers["early"] = make_record("early", due_at_ms=number)
        deadlines.add(timers["early"])
        del timers["early"]
        deadlines.leave()
        assert deadlines.next_due_ms() == 10**9
        assert not deadlines._old


class Counted(dict[str, Record]):
    """Counts how many timers were looked at."""

    looked_at = 0

    def get(self, timer_id: str, default: object = None) -> Record | None:  # type: ignore[override]
        self.looked_at += 1
        return super().get(timer_id, default)  # type: ignore[call-overload,no-any-return]


def of_many(count: int) -> tuple[Counted, Deadlines]:
    """Deadlines of many timers, due one after the other."""
    timers = Counted((f"{number}", make_record(f"{number}", due_at_ms=number)) for number in range(count))
    deadlines = Deadlines(timers)
    deadlines.load(timers.values())
    return timers, deadlines


@pytest.mark.parametrize("order", [1, -1], ids=["earliest first", "latest first"])
def test_no_call_takes_long_where_most_of_many_end_before_their_time(order: int) -> None:
    timers, deadlines = of_many(20_000)
    most = 0
    for number in list(range(1, 19_000))[::order]:
        del timers[f"{number}"]
        for call in (deadlines.leave, deadlines.next_due_ms):
            timers.looked_at = 0
            call()
            most = max(most, timers.looked_at)

    assert most <= 2 * (_DROPS + 1)
    assert len(deadlines) < 2 * len(timers) + 2 * 64
    left = []
    while len(left) < 1001:
        timer = deadlines.pop_due(20_000)
        if timer is not None:
            left.append(timer.due_at_ms)
            del timers[timer.id]
    assert left == [0, *range(19_000, 20_000)]


def test_many_that_leave_at_once_move_as_many_as_if_each_left_by_itself() -> None:
    timers, deadlines = of_many(20_000)
    most = 0
    for number in range(0, 19_000, 500):
        for dead in range(number, number + 500):
            del timers[f"{dead}"]
        timers.looked_at = 0
        deadlines.leave(500)
        most = max(most, timers.looked_at)

    assert most == 500 * _MOVES
    assert len(deadlines) < 2 * len(timers) + 2 * 64 + 1_000


def test_where_none_of_many_leaves_nothing_is_looked_at() -> None:
    timers, deadlines = of_many(1_000)
    for number in range(600):
        del timers[f"{number}"]
    deadlines.leave(600)
    assert deadlines._old
    timers.looked_at = 0

    deadlines.leave(0)  # all were paused
    assert timers.looked_at == 0


def test_many_dead_before_the_first_living_are_dropped_bit_by_bit() -> None:
    timers, deadlines = of_many(5_000)
    for number in range(2_000):
        del timers[f"{number}"]
        deadlines.leave()

    asked = []
    while not asked or asked[-1] != 2_000:
        timers.looked_at = 0
        due_at_ms = deadlines.next_due_ms()
        assert timers.looked_at <= _DROPS + 1
        assert due_at_ms is not None
        asked.append(due_at_ms)

    assert asked == [500, 1000, 1500, 2000]


def test_the_engine_says_which_entries_have_died() -> None:
    bench = Bench()
    for number in range(5_000):
        bench.start(f"{number}", hours=1)
        bench.ask(RestartParams(f"{number}"))
        bench.ask(ExtendParams(f"{number}", hours=1))
        bench.ask(PauseParams(f"{number}"))
        bench.ask(ResumeParams(f"{number}"))
        bench.ask(CancelParams(f"{number}"))

    assert len(bench.engine._ledger._deadlines) < 500


def test_a_timer_that_moved_away_and_back_comes_out_once() -> None:
    timers = {"a": make_record("a", due_at_ms=5)}
    deadlines = Deadlines(timers)
    deadlines.add(timers["a"])
    for due_at_ms in (9, 5):
        timers["a"] = make_record("a", due_at_ms=due_at_ms)
        deadlines.add(timers["a"])
        deadlines.leave()

    assert deadlines.pop_due(5) == unpack(timers["a"])
    del timers["a"]

    assert deadlines.pop_due(100) is None
    assert deadlines.next_due_ms() is None
