"""Games of deadlines: runs and heaps give out what a sorted list would."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from types import ModuleType

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.due_records import make_record
from drivers.builders import make_timer
from timer_server.core import deadlines as deadlines_module
from timer_server.core import runs as runs_module
from timer_server.core.deadlines import Deadlines
from timer_server.core.model import Countdown
from timer_server.core.records import ID_IN_ROW, Record, pack, unpack

ids = st.sampled_from("abcdefgh")
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
        self.deadlines.add_all([self.timers[timer_id] for timer_id in running])
        self.deadlines.leave(len(running))

    @rule(due_ms=st.dictionaries(ids, moments), in_order=st.booleans())
    def start_together(self, due_ms: dict[str, int], in_order: bool) -> None:
        """Starts of several timers, which may come in the order of their deadlines."""
        new = [one for one in due_ms.items() if one[0] not in self.timers]
        records = []
        for timer_id, due_at_ms in sorted(new, key=itemgetter(1)) if in_order else new:
            self.place += 1
            records.append(pack(make_timer(timer_id, due_at_ms=due_at_ms, place=self.place)))
            self.timers[timer_id] = records[-1]
        self.deadlines.add_all(records)

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
    def the_dead_are_counted(self) -> None:
        assert self.deadlines._dead == len(self.deadlines) - len(self.in_order())
        assert len(self.deadlines) == sum(1 for _ in self.deadlines.in_order())

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


class PatchedMachine(DeadlinesMachine):
    """The same with other numbers."""

    patches: Sequence[tuple[ModuleType, str, int]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        for module, name, value in self.patches:
            self._patch.setattr(module, name, value)

    def teardown(self) -> None:
        self._patch.undo()


SHORT_RUNS = ((runs_module, "_LEAST", 1), (runs_module, "_MOST", 2), (deadlines_module, "CHUNK", 2))
EAGER = ((deadlines_module, "_SLACK", 0), (deadlines_module, "_LOOKS", 1), (deadlines_module, "_DROPS", 1))


class RunsMachine(PatchedMachine):
    """Two runs at most, of small chunks, which begin with any record."""

    patches = SHORT_RUNS


class EagerMachine(PatchedMachine):
    """Hardly anything has to die before records are looked at, and little is done at a time."""

    patience = 100
    patches = (*SHORT_RUNS, *EAGER)


class EagerHeapMachine(PatchedMachine):
    """The same without runs."""

    patience = 100
    patches = EAGER


TestDeadlines = DeadlinesMachine.TestCase
TestRuns = RunsMachine.TestCase
TestEagerDeadlines = EagerMachine.TestCase
TestEagerHeap = EagerHeapMachine.TestCase
