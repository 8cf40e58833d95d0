"""The entries of queues in the log: how long they stay, and what goes with a queue that is deleted."""

import pytest

from core.queue_bench import BEGIN_MS, LATER_NS, QueueBench
from drivers.builders import BEGIN_NS, entries_in
from timer_server.core import ledger
from timer_server.core.entries import SHARED, Draft, Part, ServerStarted


class TestEntriesOfQueues:
    def test_they_stay_until_a_snapshot_is_complete(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        bench.end()
        bench.readers.begin_snapshot("q", BEGIN_MS)
        bench.forget(LATER_NS)
        assert bench.stored() == ["q CHANGE", "a cancelled", "q FIRST"]

        bench.readers.end_snapshot("q", BEGIN_MS)
        bench.commit()

        assert bench.stored() == ["a cancelled", "q FIRST", "q LAST"]
        assert bench.restarted().readers.queues == bench.readers.queues

    def test_one_that_is_obsolete_goes_only_behind_the_horizon(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.readers.snapshot("q", BEGIN_MS)
        bench.commit()
        assert bench.stored() == ["q CHANGE", "q WHOLE"]

        bench.forget(LATER_NS)

        assert bench.stored() == ["q WHOLE"]

    def test_of_a_queue_that_was_deleted_nothing_stays(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.start()
        bench.end()
        bench.forget(LATER_NS)
        bench.readers.delete("q", BEGIN_MS)
        bench.forget(LATER_NS)

        assert bench.stored() == []
        assert bench.restarted().readers.queues == {}

    def test_what_queues_share_is_no_queue(self) -> None:
        bench = QueueBench()
        for number in range(3):
            bench.readers._drafts.append(Draft(BEGIN_MS, SHARED, Part.WHOLE, b"%d" % number))
        bench.engine.start_server(BEGIN_NS)

        bench.forget(LATER_NS)

        assert bench.stored() == [f"{SHARED} WHOLE"]


class TestMany:
    """What is needed no more goes in small parts, so that no turn takes long."""

    @pytest.fixture(autouse=True)
    def few_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "_REMOVED_MOST", 4)

    @pytest.fixture
    def bench(self) -> QueueBench:
        """A queue with ten ends and eleven entries of its own, all behind the horizon, which is deleted."""
        bench = QueueBench()
        bench.put()
        for number in range(10):
            bench.start(f"{number}")
            bench.end(f"{number}")
            bench.readers.let_go("q", [0], BEGIN_MS)
        bench.forget(LATER_NS)
        assert len(bench.stored()) == 21
        bench.readers.delete("q", BEGIN_MS)
        return bench

    def test_each_turn_removes_some_and_the_next_is_due_at_once(self, bench: QueueBench) -> None:
        removed = []
        while not removed or bench.engine.next_forget_ns(bench.log.durable_place) == 0:
            changes = bench.engine.take_changes()
            removed.append(len(changes.obsolete))
            bench.log.take_off(changes)
            bench.store.commit(bench.log.land())
            if len(removed) == 1:  # the last entry of the queue comes behind the horizon too
                bench.engine.forget(bench.log.oldest(bench.engine.horizon, 10), LATER_NS)

        assert removed == [4, 4, 4, 4, 4, 2]
        assert bench.stored() == []

    @pytest.mark.parametrize("turns", [1, 2, 3, 4])
    def test_after_a_crash_the_rest_goes_and_the_queue_stays_deleted(self, bench: QueueBench, turns: int) -> None:
        for _ in range(turns):
            bench.commit()

        after = bench.restarted()

        assert after.readers.queues == {}
        assert after.engine.counts().cancelled == 0
        after.forget(LATER_NS)
        assert after.stored() == []


class TestServerStarts:
    def test_one_is_logged_where_there_is_a_queue(self) -> None:
        bench = QueueBench()
        bench.engine.start_server(BEGIN_NS)
        assert bench.commit() == []
        assert bench.stored() == []
        bench.put()
        bench.commit()

        after = bench.restarted()
        after.engine.start_server(BEGIN_NS + 1)
        after.commit()

        assert list(entries_in(after.store))[1:] == [ServerStarted(None, 2, 2, BEGIN_MS + 1)]
        assert after.readers.starts == after.restarted().readers.starts == [BEGIN_MS + 1]

    def test_it_stays_until_every_queue_has_a_newer_snapshot(self) -> None:
        bench = QueueBench()
        bench.put("p")
        bench.put("q")
        bench.commit()
        bench.engine.start_server(BEGIN_NS)
        bench.readers.snapshot("p", BEGIN_MS)
        bench.forget(LATER_NS)
        assert "server started" in bench.stored()

        bench.readers.snapshot("q", BEGIN_MS)
        bench.commit()

        assert bench.stored() == ["p WHOLE", "q WHOLE"]

    def test_it_goes_with_the_last_queue(self) -> None:
        bench = QueueBench()
        bench.put()
        bench.commit()
        bench.engine.start_server(BEGIN_NS)
        bench.forget(LATER_NS)
        bench.readers.delete("q", BEGIN_MS)

        bench.forget(LATER_NS)

        assert bench.stored() == []
