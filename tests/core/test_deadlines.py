"""Deadlines of many timers: which are in runs, what a call costs, and that the dead are not kept."""

import pytest

from core.due_records import make_record
from drivers.builders import Bench, make_timer
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams
from timer_server.core.deadlines import _DROPS, _LOOKS, Deadlines
from timer_server.core.records import ID_IN_ROW, Record, pack, unpack
from timer_server.core.runs import _MOST, CHUNK


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


def of_many(count: int, is_in_order: bool = True) -> tuple[Counted, Deadlines]:
    """Deadlines of many timers, due one after the other, and started in that order or in none."""
    numbers = [number * (1 if is_in_order else 7919) % count for number in range(count)]
    timers = Counted((f"{number}", make_record(f"{number}", due_at_ms=number)) for number in numbers)
    deadlines = Deadlines(timers)
    deadlines.load(timers.values())
    assert len(deadlines._heap) == (0 if is_in_order else count)
    return timers, deadlines


@pytest.mark.parametrize("is_in_order", [True, False], ids=["in order", "in no order"])
@pytest.mark.parametrize("order", [1, -1], ids=["earliest first", "latest first"])
def test_no_call_takes_long_where_most_of_many_end_before_their_time(order: int, is_in_order: bool) -> None:
    timers, deadlines = of_many(20_000, is_in_order)
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


@pytest.mark.parametrize("is_in_order", [True, False], ids=["in order", "in no order"])
def test_of_many_that_leave_at_once_as_many_are_looked_at_as_if_each_left_by_itself(is_in_order: bool) -> None:
    timers, deadlines = of_many(20_000, is_in_order)
    most = 0
    for number in range(0, 19_000, 500):
        for dead in range(number, number + 500):
            del timers[f"{dead}"]
        timers.looked_at = 0
        deadlines.leave(500)
        most = max(most, timers.looked_at)

    assert abs(most - 500 * _LOOKS) < CHUNK
    assert len(deadlines) < 2 * len(timers) + 2 * 64 + 1_000


@pytest.mark.parametrize("is_in_order", [True, False], ids=["in order", "in no order"])
def test_where_none_of_many_leaves_nothing_is_looked_at(is_in_order: bool) -> None:
    timers, deadlines = of_many(1_000, is_in_order)
    for number in range(600):
        del timers[f"{number}"]
    deadlines.leave(600)
    assert deadlines._unswept if is_in_order else deadlines._old
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


def started_together(deadlines: Deadlines, timers: dict[str, Record], name: str, *dues_ms: int) -> None:
    """Adds the records of timers that were started together."""
    places = range(len(timers) + 1, len(timers) + 1 + len(dues_ms))
    records = [
        pack(make_timer(f"{name}/{place}", due_at_ms=due_ms, place=place))
        for place, due_ms in zip(places, dues_ms, strict=True)
    ]
    timers.update({unpack(record).id: record for record in records})
    deadlines.add_all(records)


def test_what_comes_in_order_is_in_runs_and_the_rest_in_the_heap() -> None:
    timers: dict[str, Record] = {}
    deadlines = Deadlines(timers)
    started_together(deadlines, timers, "first", *100 * [5])
    started_together(deadlines, timers, "behind", *range(5, 105))
    started_together(deadlines, timers, "before", *range(100))
    started_together(deadlines, timers, "in no order", *range(50), *range(50))
    started_together(deadlines, timers, "few", 7, 8, 9)
    deadlines.add(make_record("one", 200))

    assert [run.count for run in deadlines._runs] == [200, 100]
    assert len(deadlines._heap) == 104


def test_where_there_are_enough_runs_one_that_is_no_longer_gives_way() -> None:
    timers: dict[str, Record] = {}
    deadlines = Deadlines(timers)
    for number in range(_MOST):
        started_together(deadlines, timers, f"{number}", *(64 if number == 3 else 128) * [1000 - number])
    started_together(deadlines, timers, "shorter", *63 * [10])
    assert len(deadlines._heap) == 63
    started_together(deadlines, timers, "as long", *64 * [9])

    assert [run.count for run in deadlines._runs] == [*(_MOST - 1) * [128], 64]
    assert len(deadlines._heap) == 63 + 64
    assert len(deadlines.take_due(2000, 10_000, "~")) == len(timers) == len(set(timers))


def test_a_herd_that_was_started_in_order_is_taken_from_its_run_whatever_was_started_since() -> None:
    timers: dict[str, Record] = {}
    deadlines = Deadlines(timers)
    for batch in range(20):
        started_together(deadlines, timers, f"herd/{batch}", *500 * [1000 + batch % 3])
    started_together(deadlines, timers, "later", *100 * [5000])
    deadlines.add(make_record("alone", 6000))

    assert len(deadlines._heap) == 1
    taken = [row[1] for row in deadlines.take_due(2000, 100_000, "~")]
    assert taken == sorted(taken)
    assert len(taken) == 10_000
    assert [run.count for run in deadlines._runs] == [100]
