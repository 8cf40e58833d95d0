"""The engine's log: what is handed over, what is recalled, what retention forgets, and how pages are cut."""

import pytest

from drivers.builders import BEGIN_NS, NS_PER_S, Bench, entries_in
from timer_protocol.messages import CancelParams, ExtendParams, ListParams, PauseParams, RestartParams, ResumeParams
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.listing import Listing
from timer_server.core.model import Countdown, Recall

DAY_NS = 86_400 * NS_PER_S
LARGE = b'"%s"' % (b"x" * 300)


def stored(bench: Bench) -> list[tuple[str, str]]:
    return [(event.id, event.kind) for event in entries_in(bench.store)]


class TestChanges:
    def test_are_handed_over_once(self) -> None:
        bench = Bench()
        bench.start("a")
        bench.start("b")

        assert [event.seq for event in bench.engine.take_changes().events] == [1, 2]
        assert bench.engine.take_changes().events == []

    def test_hold_each_timer_as_it_was_right_after(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(PauseParams("a"))
        bench.ask(CancelParams("a"))

        events = bench.engine.take_changes().events

        assert [event.state for event in events] == ["running", "paused", "cancelled"]
        assert [event.version for event in events] == [1, 2, 3]

    def test_an_end_of_this_turn_is_at_hand_and_one_that_is_stored_is_recalled(self) -> None:
        bench = Bench()
        bench.start()
        cancelled = bench.ask(CancelParams("a"))
        bench.start("b")

        assert bench.list_page(ListParams("a")).entries == [cancelled]
        bench.commit()
        assert bench.list_page(ListParams("a")).entries == [Recall("a", cancelled.place)]

    def test_what_is_recalled_from_another_place_is_not_taken_for_it(self) -> None:
        bench = Bench()
        running = bench.start()
        bench.ask(CancelParams("a"))
        bench.commit()

        assert bench.engine.handle(CancelParams("a"), BEGIN_NS, running) == Recall("a", 2)


class TestRetention:
    def test_nothing_to_forget_in_an_empty_log(self) -> None:
        assert Bench().engine.next_forget_ns(0) is None

    def test_an_ended_timer_is_there_for_the_whole_of_retention_and_then_gone(self) -> None:
        bench = Bench(retention_s=86_400)
        bench.start()
        bench.ask(CancelParams("a"))

        bench.forget(BEGIN_NS + DAY_NS - 1)
        assert bench.engine.counts().cancelled == 1
        bench.forget(BEGIN_NS + DAY_NS)

        assert bench.engine.counts().cancelled == 0
        assert stored(bench) == []
        assert bench.engine.horizon == bench.engine.last_seq == 2
        assert bench.engine.next_forget_ns(bench.log.durable_place) is None

    def test_a_pending_timer_is_never_forgotten_but_its_earlier_events_are(self) -> None:
        bench = Bench()
        bench.start(hours=1000)
        bench.ask(ExtendParams("a", hours=1))

        bench.forget(BEGIN_NS + 2 * DAY_NS)

        assert stored(bench) == [("a", "extended")]
        assert bench.engine.horizon == 2
        assert bench.get(now_ns=BEGIN_NS + 2 * DAY_NS).state == "running"

    def test_an_old_row_goes_when_its_timer_moves_on(self) -> None:
        bench = Bench()
        bench.start(hours=1000)
        bench.forget(BEGIN_NS + 2 * DAY_NS)

        bench.ask(PauseParams("a"), BEGIN_NS + 2 * DAY_NS)
        bench.commit()

        assert stored(bench) == [("a", "paused")]

    def test_an_old_pending_timer_keeps_no_other_row(self) -> None:
        bench = Bench()
        bench.start("old", hours=1000)
        for number in range(10):
            bench.start(f"{number}")
            bench.ask(CancelParams(f"{number}"))

        bench.forget(BEGIN_NS + 2 * DAY_NS)

        assert stored(bench) == [("old", "started")]

    def test_too_many_ended_timers_go_early_the_oldest_first(self) -> None:
        bench = Bench(max_timers=3)
        for timer_id in "abcde":
            bench.start(timer_id)
            bench.ask(CancelParams(timer_id))

        bench.forget(BEGIN_NS)

        assert [timer_id for timer_id, kind in stored(bench) if kind == "cancelled"] == ["c", "d", "e"]
        assert bench.engine.counts().cancelled == 3
        assert bench.engine.next_forget_ns(bench.log.durable_place) == BEGIN_NS + DAY_NS

    def test_an_id_that_was_forgotten_can_be_started_again(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(CancelParams("a"))
        bench.forget(BEGIN_NS + 2 * DAY_NS)

        timer = bench.start(now_ns=BEGIN_NS + 2 * DAY_NS, seconds=5)

        assert (timer.version, timer.seq) == (1, 3)
        assert bench.list_page(ListParams()).entries == [timer]

    def test_a_timer_that_was_restarted_is_not_forgotten_with_its_old_end(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(CancelParams("a"))
        bench.commit()
        bench.ask(RestartParams("a"), BEGIN_NS + DAY_NS)

        bench.forget(BEGIN_NS + DAY_NS)

        assert stored(bench) == [("a", "restarted")]
        assert bench.engine.counts().running == 1


LIVES: dict[str, list[TimerParams]] = {
    "running": [],
    "extended": [ExtendParams("a", seconds=1, key="k")],
    "paused": [PauseParams("a")],
    "resumed": [PauseParams("a"), ResumeParams("a")],
    "cancelled": [CancelParams("a")],
    "cancelled and restarted": [CancelParams("a"), RestartParams("a")],
    "cancelled again": [CancelParams("a"), RestartParams("a"), CancelParams("a")],
    "restarted and paused": [CancelParams("a"), RestartParams("a"), PauseParams("a")],
    "fired": [],
    "fired and restarted": [RestartParams("a")],
    "fired and later cancelled": [RestartParams("a"), CancelParams("a")],
}


class TestLargeSpecs:
    def test_one_is_written_once_and_stays_as_long_as_an_entry_refers_to_it(self) -> None:
        bench = Bench()
        bench.start(hours=1000, payload=LARGE)
        for _ in range(3):
            bench.ask(ExtendParams("a", hours=1))
        bench.forget(BEGIN_NS + 2 * DAY_NS)
        assert stored(bench) == [("a", "started"), ("a", "extended")]

        bench.ask(CancelParams("a"), BEGIN_NS + 2 * DAY_NS)
        bench.commit()
        assert stored(bench) == [("a", "started"), ("a", "cancelled")]
        assert bench.get().payload == LARGE

        bench.forget(BEGIN_NS + 4 * DAY_NS)
        assert stored(bench) == []

    def test_all_others_stand_in_each_entry(self) -> None:
        bench = Bench()
        bench.start("small", label=63 * "\U0001f570", payload=b"1234")
        bench.start("large", label=63 * "\U0001f570", payload=b"12345")
        for timer_id in ("small", "large"):
            bench.ask(PauseParams(timer_id))

        changes = bench.engine.take_changes()

        assert [event.spec_place for event in changes.events] == [0, 2, 0, 2]
        assert [len(record) > 256 for record in changes.records] == [True, True, True, False]


class TestRestore:
    @pytest.mark.parametrize("payload", [b"1", LARGE], ids=["small", "large"])
    @pytest.mark.parametrize("life", LIVES)
    def test_engine_is_as_it_was(self, life: str, payload: bytes) -> None:
        bench = Bench()
        bench.start("a", seconds=30, payload=payload)
        bench.start("b")
        if life.startswith("fired"):
            bench.engine.expire(BEGIN_NS + 30 * NS_PER_S, 1)
        for params in LIVES[life]:
            bench.commit()
            bench.ask(params, BEGIN_NS)
        bench.commit()

        restored = Bench()
        restored.store, restored.log = bench.store, bench.log
        restored.engine.restore(bench.store.load(), bench.store.open().ends, bench.log.holder)

        assert restored.engine.counts() == bench.engine.counts()
        assert restored.engine.next_due_ns() == bench.engine.next_due_ns()
        assert restored.list_page(ListParams()) == bench.list_page(ListParams())
        assert restored.get() == bench.get()
        assert restored.start("new").seq == bench.engine.last_seq + 1

    def test_what_came_due_meanwhile_fires_at_once(self) -> None:
        bench = Bench()
        started = bench.start()
        bench.commit()

        engine = Engine(bench.limits, str)
        engine.restore(bench.store.load(), bench.store.open().ends, bench.log.holder)

        assert engine.expire(BEGIN_NS + DAY_NS, 10) == 1
        assert [event.due_at_ms for event in engine.take_changes().events] == [started.due_at_ms]


class TestPages:
    @pytest.mark.parametrize(
        ("limit", "page", "after"),
        [(1, ["a"], "a"), (2, ["a", "b"], "b"), (3, ["a", "b", "c"], None), (4, ["a", "b", "c"], None)],
    )
    def test_next_is_null_exactly_at_the_end(self, limit: int, page: list[str], after: str | None) -> None:
        bench = Bench()
        for timer_id in "bca":
            bench.start(timer_id)

        listing = bench.list_page(ListParams(limit=limit))

        assert [entry.id for entry in listing.entries if isinstance(entry, Countdown)] == page
        assert listing.next == after

    def test_order_is_that_of_code_points(self) -> None:
        bench = Bench()
        in_order = ["-", "/", "1", "A", "Z", "_", "a", "a-", "a/", "b"]
        for timer_id in reversed(in_order):
            bench.start(timer_id)

        entries = bench.list_page(ListParams()).entries

        assert [entry.id for entry in entries if isinstance(entry, Countdown)] == in_order

    def test_a_page_that_looked_at_too_much_tells_where_to_go_on(self) -> None:
        bench = Bench()
        for timer_id in "abcd":
            bench.start(timer_id)
        bench.ask(PauseParams("d"))

        first = bench.list_page(ListParams(state="paused"), scan=2)
        second = bench.list_page(ListParams(state="paused", after="b"), scan=2)

        assert first == Listing([], "b", 2)
        assert [entry.id for entry in second.entries if isinstance(entry, Countdown)] == ["d"]
        assert second.next is None


def test_a_page_counts_what_was_forgotten_among_what_it_looks_at() -> None:
    bench = Bench(retention_s=1)
    for number in range(50):
        bench.start(f"gone/{number:02}", seconds=1)
    bench.start("kept", seconds=100)
    bench.commit()
    later_ns = BEGIN_NS + 10 * NS_PER_S
    bench.engine.expire(later_ns, 500)
    bench.commit()
    bench.engine.forget(bench.log.oldest(0, 500), later_ns + 10 * NS_PER_S)

    listing = bench.list_page(ListParams(), scan=10)
    assert (listing.entries, listing.scanned) == ([], 10)
    assert listing.next is not None
    while listing.next is not None:
        listing = bench.list_page(ListParams(after=listing.next), scan=10)
    assert [timer.id for timer in listing.entries if isinstance(timer, Countdown)] == ["kept"]
