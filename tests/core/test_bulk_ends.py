"""Ends in one step come to what ends one after the other come to."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from core.bulk_bench import LARGE, LATER_NS, TRACE, BulkBench, deeds
from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.messages import CancelParams, StartParams
from timer_server.core.model import FIRED, Traced
from timer_server.core.plans.rules import Amounts, Every
from timer_server.core.plans.standing import Settings


def one_by_one() -> BulkBench:
    """One that ends no timers together."""
    bench = BulkBench()
    bench.engine.expiry._end_together = lambda *_: 0  # type: ignore[method-assign]
    return bench


@settings(max_examples=10 * settings.default.max_examples)
@given(deeds, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_herd_ends_as_its_timers_would_one_after_the_other(
    earlier: list[tuple[Any, ...]], budgets: list[int]
) -> None:
    single, herd = one_by_one(), BulkBench()
    for deed in earlier:
        single.do(deed)
        herd.do(deed)
    for number in range(50):
        now_ns = LATER_NS + number * NS_PER_S // 10
        most = budgets[number % len(budgets)]
        assert herd.engine.expire(now_ns, most) == single.engine.expire(now_ns, most)
        assert herd.turn() == single.turn()
        assert (herd.engine.counts(), herd.engine.places.limits()) == (
            single.engine.counts(),
            single.engine.places.limits(),
        )
        assert herd.queues.queues == single.queues.queues
        assert herd.engine.next_due_ns() == single.engine.next_due_ns()
    herd.start_again()
    single.start_again()
    assert herd.turn() == single.turn()


def test_what_is_due_at_once_ends_in_one_step_in_the_order_of_deadlines() -> None:
    bench = Bench()
    for number in range(9):
        bench.start(f"{number}", seconds=9 - number)
    bench.ask(CancelParams("4"))
    bench.commit()

    assert bench.engine.expire(LATER_NS, 100) == 8
    entries = bench.engine.take_changes().entries
    assert [(one.kind_number, one.position, one.number) for one in entries.packed] == [(FIRED, 1, 7)]
    assert [event.id for event in entries.events] == ["8", "7", "6", "5", "3", "2", "1", "0"]


def test_timers_of_a_plan_end_by_themselves_and_others_together_again_behind_them() -> None:
    bench = Bench()
    rule = Settings(1, Every(Amounts(0, 0, 2)), None, None, None, "last", 10**9, "allow", "", b"null")
    bench.engine.plans.put("p", rule, is_paused=None, now_ns=BEGIN_NS)
    for number in range(3):
        bench.start(f"early/{number}", seconds=1)
        bench.start(f"late/{number}", seconds=3)
    bench.commit()

    bench.engine.expire(BEGIN_NS + 3 * NS_PER_S, 100)
    assert [one.number for one in bench.engine.take_changes().entries.packed] == [2, 2]


def test_with_a_trace_it_is_logged_with_the_trace() -> None:
    bench = Bench()
    for timer_id in ("a", "b", "c"):
        bench.ask(StartParams(timer_id, seconds=1, trace=TRACE if timer_id == "b" else UNSET))
    bench.commit()

    bench.engine.expire(LATER_NS, 100)
    assert [type(event) is Traced for event in bench.settle()] == [False, True, False]


def named(*kinds: str) -> list[tuple[Any, ...]]:
    """Deeds without a payload, key and trace."""
    return [(what, timer_id, 3, b"null", None, False) for what, timer_id in (kind.split(" of ") for kind in kinds)]


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param([("start", "a", 2, LARGE, None, False), *named("start of b", "forget of all")], id="spec is kept"),
        pytest.param(named("start of b", "start at of a", "pause of a", "resume of a"), id="moment is kept"),
        pytest.param(named("put queue of q", "start of a", "start of b", "forget of all"), id="ends are held"),
    ],
)
def test_what_is_rare_comes_out_the_same(earlier: list[tuple[Any, ...]]) -> None:
    single, herd = one_by_one(), BulkBench()
    for bench in (single, herd):
        bench.do(("start", "d", 1, b"null", None, False))  # the first one due ends by itself
        for deed in earlier:
            bench.do(deed)
    assert herd.engine.expire(LATER_NS, 100) == single.engine.expire(LATER_NS, 100)
    assert herd.turn() == single.turn()
    herd.start_again()
    single.start_again()
    assert herd.turn() == single.turn()
