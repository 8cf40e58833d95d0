"""What every store does, whatever it is made of: the promises of `Store`, one by one."""

import pytest

from store.stores import OpenStore, changes, event, seqs
from timer_server.store.base import Anchor, Header, Store

ANCHOR = Anchor("a boot", 11, 22, 33)
LATER_ANCHOR = Anchor("another boot", 2**40, 2**60, 2**61)


class TestOpen:
    def test_a_new_store_is_empty(self, reopen: OpenStore) -> None:
        store, header = reopen()

        assert header == Header(horizon=0, last_seq=0, last_at_ms=0, anchor=None)
        assert list(store.load()) == []

    def test_what_was_committed_is_there_again(self, reopen: OpenStore) -> None:
        events = [event(1), event(2, "b"), event(3, "a", "fired")]
        reopen()[0].commit(changes(*events), ANCHOR)

        store, header = reopen()

        assert list(store.load()) == events
        assert header == Header(horizon=0, last_seq=3, last_at_ms=3000, anchor=ANCHOR)

    def test_closing_twice_does_no_harm(self, reopen: OpenStore) -> None:
        store, _ = reopen()

        store.close()
        store.close()


class TestCommit:
    def test_events_are_there_in_the_order_of_seq(self, store: Store) -> None:
        store.commit(changes(event(1), event(2)))
        store.commit(changes(event(3)))

        assert seqs(store.load()) == [1, 2, 3]

    def test_obsolete_events_go_and_the_others_stay(self, store: Store) -> None:
        store.commit(changes(event(1), event(2), event(3)))

        store.commit(changes(event(4), obsolete=(1, 3), horizon=3))

        assert seqs(store.load()) == [2, 4]

    def test_an_event_may_be_obsolete_in_the_turn_that_made_it(self, store: Store) -> None:
        store.commit(changes(event(1), event(2), obsolete=(1,), horizon=1))

        assert seqs(store.load()) == [2]

    def test_obsolete_event_that_is_not_there_is_nothing(self, store: Store) -> None:
        store.commit(changes(event(1), obsolete=(7,)))

        assert seqs(store.load()) == [1]

    def test_horizon_is_kept(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1), event(2)))
        store.commit(changes(obsolete=(1,), horizon=1))
        store.commit(changes(event(3), horizon=1))

        assert reopen()[1].horizon == 1

    def test_anchor_is_kept_until_there_is_a_new_one(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(), ANCHOR)
        store.commit(changes(event(1)))
        assert reopen()[1].anchor == ANCHOR

        reopen()[0].commit(changes(), LATER_ANCHOR)

        assert reopen()[1].anchor == LATER_ANCHOR

    def test_last_seq_outlives_all_events(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1), event(2)))
        store.commit(changes(obsolete=(1, 2), horizon=2))

        store, header = reopen()

        assert list(store.load()) == []
        assert (header.horizon, header.last_seq) == (2, 2)

    def test_last_seq_outlives_the_last_events_where_an_old_one_stays(self, reopen: OpenStore) -> None:
        """The old one is the last of a pending timer; those after it are past the horizon."""
        store, _ = reopen()
        store.commit(changes(event(1, "pending"), event(2), event(3)))
        store.commit(changes(obsolete=(2, 3), horizon=3))

        store, header = reopen()

        assert seqs(store.load()) == [1]
        assert header.last_seq == 3

    def test_empty_changes_are_nothing(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1)), ANCHOR)
        store.commit(changes())

        store, header = reopen()

        assert seqs(store.load()) == [1]
        assert header == Header(0, 1, 1000, ANCHOR)

    def test_a_turn_may_be_large(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(*(event(seq, f"id/{seq}") for seq in range(1, 5001))))
        store.commit(changes(obsolete=tuple(range(1, 5000)), horizon=4999))

        assert seqs(reopen()[0].load()) == [5000]


class TestReadTimer:
    def test_is_the_timer_of_that_event(self, store: Store) -> None:
        store.commit(changes(event(1), event(2, label="two"), event(3)))

        assert store.read_timer(2) == event(2, label="two")


class TestReadEvents:
    @pytest.fixture(autouse=True)
    def fill(self, store: Store) -> None:
        """Ids in turn: a/1, b, a/2, b, a/1, ...; the events 4 and 5 are gone."""
        ids = ["a/1", "b", "a/2", "b"]
        store.commit(changes(*(event(seq, ids[(seq - 1) % 4]) for seq in range(1, 13))))
        store.commit(changes(obsolete=(4, 5), horizon=5))

    @pytest.mark.parametrize(
        ("after", "prefix", "limit", "scan", "found"),
        [
            (0, "", 100, 100, [1, 2, 3, 6, 7, 8, 9, 10, 11, 12]),
            (3, "", 2, 100, [6, 7]),
            (4, "", 2, 100, [6, 7]),
            (0, "b", 100, 100, [2, 6, 8, 10, 12]),
            (0, "a/", 100, 100, [1, 3, 7, 9, 11]),
            (0, "a/2", 2, 100, [3, 7]),
            (0, "a/2", 100, 3, [3]),
            (3, "a/1", 100, 3, []),
            (12, "", 100, 100, []),
            (99, "", 100, 100, []),
            (0, "c", 100, 100, []),
            (0, "B", 100, 100, []),
            (0, "%", 100, 100, []),
            (0, "a_1", 100, 100, []),
            (0, "é", 100, 100, []),
            (0, "a/1\0", 100, 100, []),
            (0, "a/1x", 100, 100, []),
        ],
    )
    def test_finds(self, store: Store, after: int, prefix: str, limit: int, scan: int, found: list[int]) -> None:
        window = store.read_events(after, prefix, limit, scan)

        assert seqs(window.events) == found
        assert all(event.id.startswith(prefix) for event in window.events)

    def test_scanned_to_the_last_event_looked_at(self, store: Store) -> None:
        assert store.read_events(0, "c", 100, 4).scanned_to == 6
        assert store.read_events(0, "c", 100, 100).scanned_to == 12
        assert store.read_events(0, "", 2, 100).scanned_to == 2

    def test_scanned_to_where_it_began_if_there_is_nothing_after(self, store: Store) -> None:
        assert store.read_events(12, "", 100, 100).scanned_to == 12
        assert store.read_events(99, "", 100, 100).scanned_to == 99

    @pytest.mark.parametrize(
        ("after", "prefix", "limit", "scan"), [(0, "", 100, 100), (0, "c", 1, 11), (10, "a", 100, 3), (12, "", 1, 1)]
    )
    def test_end_is_told_where_there_is_nothing_further(
        self, store: Store, after: int, prefix: str, limit: int, scan: int
    ) -> None:
        window = store.read_events(after, prefix, limit, scan)

        assert (window.is_end, window.scanned_to) == (True, 12)

    @pytest.mark.parametrize(("prefix", "limit", "scan"), [("", 9, 100), ("", 100, 9), ("a", 1, 100), ("c", 100, 5)])
    def test_end_is_not_told_where_more_is_to_be_looked_at(
        self, store: Store, prefix: str, limit: int, scan: int
    ) -> None:
        assert not store.read_events(0, prefix, limit, scan).is_end

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("scan", [1, 2, 5, 100])
    @pytest.mark.parametrize("prefix", ["", "a/", "b", "a/2"])
    def test_windows_one_after_the_other_miss_and_repeat_nothing(
        self, store: Store, limit: int, scan: int, prefix: str
    ) -> None:
        found, at, is_end = [], 0, False
        while not is_end:
            window = store.read_events(at, prefix, limit, scan)
            assert window.scanned_to > at or window.is_end
            found += seqs(window.events)
            at, is_end = window.scanned_to, window.is_end

        assert found == [event.seq for event in store.load() if event.id.startswith(prefix)]
