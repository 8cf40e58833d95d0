"""Ends in one step come to what ends one after the other come to."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from core.fake_readers import FakeReaders
from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS, NS_PER_S, Bench
from timer_protocol.errors import Refusal
from timer_protocol.many import ChangeManyParams
from timer_protocol.messages import (
    CancelParams,
    Event,
    ExtendParams,
    ListParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    StartParams,
)
from timer_protocol.traces import Trace
from timer_server.core.bulk_ends import Ends
from timer_server.core.effects import WallClock
from timer_server.core.ledger import Changes
from timer_server.core.many import Timers, change_many
from timer_server.core.model import FIRED, Traced
from timer_server.core.plans.rules import Amounts, Every
from timer_server.core.plans.standing import Settings

IDS = ["a", "a/1", "a/2", "b", "c", "d"]
LARGE = b'"' + 300 * b"x" + b'"'
TRACE = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
LATER_NS = BEGIN_NS + 30 * NS_PER_S + 1

requests: dict[str, Any] = {
    "pause": PauseParams,
    "resume": ResumeParams,
    "cancel": CancelParams,
    "restart": RestartParams,
    "extend": lambda timer_id, key: ExtendParams(timer_id, seconds=7, key=key),
}
doings = ["start"] * 4 + ["start at", *requests, "commit", "forget", "put queue", "put plan"]
deeds = st.lists(
    st.tuples(
        st.sampled_from(doings),
        st.sampled_from(IDS),
        st.sampled_from([1, 2, 2, 3, 20, 90]),
        st.sampled_from([b"null", b"null", b'{"a": 1}', LARGE]),
        st.sampled_from([None, "k", "l"]),
        st.booleans(),
    ),
    max_size=25,
)


class HerdBench(Bench):
    """A shard whose plans, queues, wall clock and shares of places all have a part in how timers end."""

    def __init__(self) -> None:
        self.queues = FakeReaders()
        super().__init__(
            wall_clock=WallClock(lambda: 250 * NS_PER_MS, lambda *_: BEGIN_NS // NS_PER_MS + 2_000),
            readers=self.queues,
            retention_s=60,
        )
        self.engine.places.share_out({"a/": 10})

    def do(self, deed: tuple[Any, ...]) -> None:
        """Does one of the `deeds`, if that is possible."""
        what, timer_id, seconds, payload, key, is_traced = deed
        with suppress(Refusal):
            if what == "start":
                trace = {"trace": TRACE} if is_traced else {}
                self.ask(StartParams(timer_id, seconds=seconds, payload=Raw(payload), **trace))
            elif what == "start at":
                self.ask(StartParams(timer_id, at="2023-11-14T23:13:20+01:00", payload=Raw(payload)))
            elif what == "commit":
                self.commit()
            elif what == "forget":
                self.forget(BEGIN_NS + 61 * NS_PER_S)
            elif what == "put queue":
                self.queues.put(timer_id, BEGIN_NS // NS_PER_MS)
            elif what == "put plan":
                every = Every(Amounts(0, 0, seconds))
                rule = Settings(1, every, None, None, None, "last", 10**9, "allow", "", payload)
                self.engine.plans.put(timer_id, rule, is_paused=None, now_ns=BEGIN_NS)
            else:
                self.ask(requests[what](timer_id, key=key))

    def turn(self) -> tuple[list[Event], Changes] | None:
        """What a turn tells, and what it stores."""
        writes = self.shard.take_writes()
        if writes is None:
            return None
        told = [
            event
            for part in writes.changes.entries.parts()
            for event in (part.views(LOG_ID) if isinstance(part, Ends) else (one.event_view(LOG_ID) for one in part))
        ]
        self.log.take_off(writes.changes)
        self.store.commit(writes.changes, writes.anchor)
        return told, self.log.land()

    def start_again(self) -> None:
        """Forgets all that has ended, and starts timers with the same ids."""
        self.forget(LATER_NS + 3600 * NS_PER_S)
        for timer_id in IDS:
            self.do(("start", timer_id, 1, b"null", None, False))


def one_by_one() -> HerdBench:
    """One that ends no timers together."""
    bench = HerdBench()
    bench.engine.expiry._end_together = lambda *_: 0  # type: ignore[method-assign]
    return bench


@settings(max_examples=10 * settings.default.max_examples)
@given(deeds, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_herd_ends_as_its_timers_would_one_after_the_other(
    earlier: list[tuple[Any, ...]], budgets: list[int]
) -> None:
    single, herd = one_by_one(), HerdBench()
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


class OneByOne(Timers):
    """Cancels each timer by itself."""

    def look_at_all(self, *_: object) -> None:
        return None


@settings(max_examples=10 * settings.default.max_examples)
@given(deeds, st.sampled_from([None, "k", "m"]), st.booleans(), st.sampled_from([0, 700, 10_000]))
def test_cancelling_many_is_as_many_cancels(
    earlier: list[tuple[Any, ...]], key: str | None, is_fit: bool, most_bytes: int
) -> None:
    single, many = HerdBench(), HerdBench()
    for deed in earlier:
        single.do(deed)
        many.do(deed)
    now_ns = BEGIN_NS + NS_PER_S + 1
    ids = [entry.id for entry in many.list_page(ListParams()).entries]
    if is_fit:  # for one step, each by itself
        ids = [timer_id for timer_id in ids if many.engine.bulk_cancels.look_at([timer_id], key, now_ns)]
    params = ChangeManyParams("cancel", ids=ids, key=key)

    asked = [
        change_many(lambda _: [(kind(bench.engine, now_ns, bench.log.event), range(len(ids)))], ids, params, most_bytes)  # noqa: B023 - called at once
        for kind, bench in ((OneByOne, single), (Timers, many))
    ]

    assert asked[0] == asked[1]
    assert many.turn() == single.turn()
    assert many.engine.counts() == single.engine.counts()
    assert many.engine.places.limits() == single.engine.places.limits()
    assert many.queues.queues == single.queues.queues
    assert many.engine.next_due_ns() == single.engine.next_due_ns()
    many.start_again()
    single.start_again()
    assert many.turn() == single.turn()


def cancelled(bench: Bench, ids: list[str], key: str | None = None) -> tuple[int, int]:
    """How many are cancelled, and how many of those in one step."""
    timers = Timers(bench.engine, BEGIN_NS, bench.log.event)
    params = ChangeManyParams("cancel", ids=ids, key=key)
    page = change_many(lambda _: [(timers, range(len(ids)))], ids, params, 10_000)
    return page.changed, sum(one.number for one in bench.engine.take_changes().entries.packed)


def test_pending_timers_are_cancelled_in_one_step() -> None:
    bench = Bench()
    for timer_id in IDS:
        bench.start(timer_id)
    bench.ask(PauseParams("b", key="k"))
    bench.commit()

    assert cancelled(bench, IDS, "l") == (len(IDS), len(IDS))
    assert bench.engine.next_due_ns() is None
    assert not bench.engine._ledger._deadlines._heap or bench.engine._ledger._deadlines._dead == len(IDS) - 1


def test_one_that_is_named_twice_or_has_ended_is_for_requests_of_their_own() -> None:
    bench = Bench()
    bench.start("a")
    bench.start("b")
    bench.commit()

    assert cancelled(bench, ["a", "a"]) == (1, 0)
    bench.start("c")
    bench.commit()
    assert cancelled(bench, ["b", "c", "x"]) == (2, 0)


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
    single, herd = one_by_one(), HerdBench()
    for bench in (single, herd):
        bench.do(("start", "d", 1, b"null", None, False))  # the first one due ends by itself
        for deed in earlier:
            bench.do(deed)
    assert herd.engine.expire(LATER_NS, 100) == single.engine.expire(LATER_NS, 100)
    assert herd.turn() == single.turn()
    herd.start_again()
    single.start_again()
    assert herd.turn() == single.turn()
