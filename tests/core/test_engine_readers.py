"""The engine and those who read ends: what is logged for them, what stays, and what they find after a crash."""

from collections.abc import Callable

import pytest

from core.queue_bench import BEGIN_MS, DAY_NS, LARGE, LATER_NS, QueueBench, told
from drivers.builders import BEGIN_NS, NS_PER_S, Bench, entries_in
from timer_protocol.messages import CancelParams, ExtendParams, GetParams, ListParams, RestartParams
from timer_server.core.model import Countdown


class TestEntries:
    def test_where_nobody_reads_ends_there_are_events_alone(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(CancelParams("a"))
        bench.engine.start_server(BEGIN_NS)

        changes = bench.engine.take_changes()

        assert not changes.entries.has_others
        assert len(changes.events) == len(changes.records) == 2

    def test_what_a_queue_does_comes_before_the_ends_that_follow(self) -> None:
        bench = QueueBench()
        bench.start("a")
        bench.start("b")
        bench.end("a")
        bench.readers.put("q", BEGIN_MS)
        bench.end("b")
        bench.readers.delete("q", BEGIN_MS)

        changes = bench.engine.take_changes()

        assert [told(entry) for entry in changes.entries] == [
            "a started",
            "b started",
            "a cancelled",
            "q CHANGE",
            "b cancelled",
            "q GONE",
        ]
        assert [entry.place for entry in changes.entries] == [1, 2, 3, 4, 5, 6]
        assert [entry.seq for entry in changes.entries] == [1, 2, 3, 3, 4, 4]
        assert [event.seq for event in changes.events] == [1, 2, 3, 4]
        assert bench.engine.last_seq == 4

    def test_a_turn_may_have_no_event(self) -> None:
        bench = QueueBench()
        bench.readers.put("q", BEGIN_MS)

        assert bench.commit() == []
        assert bench.stored() == ["q CHANGE"]
        assert (bench.log.durable_place, bench.log.durable_seq) == (1, 0)
        assert bench.shard.take_writes() is None

    def test_moments_never_fall_within_a_turn(self) -> None:
        bench = QueueBench()
        bench.readers.put("q", BEGIN_MS)
        bench.start(now_ns=BEGIN_NS + NS_PER_S)

        moments_ms = [entry.at_ms for entry in bench.engine.take_changes().entries]

        assert moments_ms == [BEGIN_MS + 1000, BEGIN_MS + 1000]

    def test_an_end_of_this_turn_is_at_hand_beside_other_entries(self) -> None:
        bench = QueueBench()
        bench.start()
        place = bench.end()
        bench.readers.put("q", BEGIN_MS)
        bench.start("b")
        bench.ask(ExtendParams("b", seconds=1))

        cancelled = bench.engine.at(place)

        assert isinstance(cancelled, Countdown)
        assert (cancelled.id, cancelled.kind) == ("a", "cancelled")
        assert bench.engine.handle(GetParams("a"), BEGIN_NS) == cancelled
        bench.commit()
        assert bench.engine.at(place) is None


class TestHeldEnds:
    def test_one_stays_in_the_log_though_its_timer_is_forgotten(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        place = bench.end()

        bench.forget(LATER_NS)

        assert bench.stored() == ["q CHANGE", "a cancelled"]
        assert bench.log.event(place).id == "a"
        assert bench.engine.counts().cancelled == 0
        assert bench.list_page(ListParams()).entries == []
        assert bench.start(now_ns=LATER_NS).version == 1

    def test_one_goes_once_the_last_queue_lets_go_of_it(self) -> None:
        bench = QueueBench()
        bench.put("p")
        bench.put("q")
        bench.start()
        place = bench.end()
        bench.forget(LATER_NS)

        bench.let_go(place, queue="p")
        assert "a cancelled" in bench.stored()
        bench.let_go(place, queue="q")

        assert "a cancelled" not in bench.stored()

    def test_one_that_is_let_go_before_retention_passes_it_goes_with_the_others(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        bench.let_go(bench.end())
        assert "a cancelled" in bench.stored()

        bench.forget(LATER_NS)

        assert bench.stored() == ["q CHANGE", "q CHANGE"]

    def test_one_that_is_let_go_in_the_turn_in_which_retention_passes_it_goes_once(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        place = bench.end()
        bench.commit()
        bench.readers.let_go("q", [place], BEGIN_MS)

        bench.engine.forget(bench.log.oldest(0, 100), LATER_NS)

        assert bench.engine.take_changes().obsolete == [2, 3]

    def test_after_a_restart_it_is_held_and_its_timer_is_still_forgotten(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        place = bench.end()
        bench.forget(LATER_NS)

        after = bench.restarted()

        assert after.readers.queues == {"q": {place}}
        assert after.list_page(ListParams()).entries == []
        after.let_go(place)
        assert after.stored() == ["q CHANGE", "q CHANGE"]

    def test_retention_waits_for_readers(self) -> None:
        bench = QueueBench()
        for timer_id in "ab":
            bench.start(timer_id)
            bench.end(timer_id)
        bench.readers.waits_at = 2

        bench.forget(LATER_NS)

        assert bench.stored() == ["b started", "b cancelled"]
        bench.readers.waits_at = None
        bench.forget(LATER_NS)
        assert bench.stored() == []


def ended(bench: QueueBench) -> list[int]:
    bench.start(hours=1000, payload=LARGE)
    return [bench.end()]


def restarted_and_ended(bench: QueueBench) -> list[int]:
    return [*ended(bench), bench.ask(RestartParams("a")).place, bench.end()][::2]


def restarted(bench: QueueBench) -> list[int]:
    places = ended(bench)
    bench.ask(RestartParams("a"))
    return places


def begun_anew(bench: QueueBench) -> list[int]:
    """Forgotten, and another timer with the same id and as large a spec."""
    places = ended(bench)
    bench.forget(LATER_NS)
    bench.start(now_ns=LATER_NS, hours=1000, payload=LARGE)
    return [*places, bench.end(now_ns=LATER_NS)]


class TestLargeSpecs:
    @pytest.mark.parametrize("restart", ["none", "restarted", "with an older horizon"])
    @pytest.mark.parametrize("is_reversed", [False, True], ids=["first to last", "last to first"])
    @pytest.mark.parametrize("life", [ended, restarted_and_ended, restarted, begun_anew])
    def test_one_stays_as_long_as_a_held_end_refers_to_it(
        self, life: Callable[[QueueBench], list[int]], is_reversed: bool, restart: str
    ) -> None:
        bench = QueueBench()
        bench.put()
        places = life(bench)
        bench.forget(LATER_NS + 2 * DAY_NS, is_stored=restart == "restarted")

        for place in places[::-1] if is_reversed else places:
            if restart != "none":
                bench = bench.restarted()
                bench.forget(LATER_NS + 2 * DAY_NS)
            assert bench.log.event(place).payload == LARGE
            bench.let_go(place)

        left = {told(entry) for entry in entries_in(bench.store)} - {"q CHANGE"}
        assert left == ({"a started", "a restarted"} if life is restarted else set())
        assert bench.restarted().engine.counts() == bench.engine.counts()

    def test_one_goes_with_its_timer_where_the_end_was_let_go_before(self) -> None:
        bench = QueueBench()
        bench.put()
        (place,) = restarted(bench)
        bench.forget(LATER_NS)
        bench.let_go(place)

        bench = bench.restarted()
        bench.let_go(bench.end(now_ns=LATER_NS))
        bench.forget(LATER_NS + 2 * DAY_NS)

        assert {*bench.stored()} == {"q CHANGE"}
