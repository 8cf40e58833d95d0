"""What every store does, whatever it is made of: the promises of `Store`, one by one."""

from contextlib import closing
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.builders import LOG_ID, entries_in
from store.stores import KINDS, Kind, OpenStore, changes, event, other, places
from timer_server.core.entries import Part, ServerStarted
from timer_server.core.ledger import LogEnds
from timer_server.core.model import Countdown, NewEntry, Referring, Traced, as_logged
from timer_server.store.base import Anchor, Header, Store, StoreError
from timer_server.store.log import Log

ANCHOR = Anchor("a boot", 11, 22, 33)
LATER_ANCHOR = Anchor("another boot", 2**40, 2**60, 2**61)


class TestOpen:
    def test_a_new_store_is_empty(self, reopen: OpenStore) -> None:
        store, header = reopen()

        assert header == Header(LOG_ID)
        assert entries_in(store) == []

    def test_what_was_committed_is_there_again(self, reopen: OpenStore) -> None:
        events = [event(1), event(2, "b"), event(3, "a", "fired")]
        reopen()[0].commit(changes(*events), ANCHOR)

        store, header = reopen()

        assert entries_in(store) == events
        assert header == Header(LOG_ID, LogEnds(0, 0, 3, 3), 3000, ANCHOR)

    def test_closing_twice_does_no_harm(self, reopen: OpenStore) -> None:
        store, _ = reopen()

        store.close()
        store.close()


class TestCommit:
    def test_events_are_there_in_order(self, store: Store) -> None:
        store.commit(changes(event(1), event(2)))
        store.commit(changes(event(3)))

        assert places(entries_in(store)) == [1, 2, 3]

    def test_obsolete_events_go_and_the_others_stay(self, store: Store) -> None:
        store.commit(changes(event(1), event(2), event(3)))

        store.commit(changes(event(4), obsolete=(1, 3), horizon=3))

        assert places(entries_in(store)) == [2, 4]

    def test_an_event_may_be_obsolete_in_the_turn_that_made_it(self, store: Store) -> None:
        store.commit(changes(event(1), event(2), obsolete=(1,), horizon=1))

        assert places(entries_in(store)) == [2]

    def test_obsolete_event_that_is_not_there_is_nothing(self, store: Store) -> None:
        store.commit(changes(event(1), obsolete=(7,)))

        assert places(entries_in(store)) == [1]

    def test_horizon_is_kept(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1), event(2)))
        store.commit(changes(obsolete=(1,), horizon=1))
        store.commit(changes(event(3), horizon=1))

        assert reopen()[1].ends == LogEnds(1, 1, 3, 3)

    def test_anchor_is_kept_until_there_is_a_new_one(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(), ANCHOR)
        store.commit(changes(event(1)))
        assert reopen()[1].anchor == ANCHOR

        reopen()[0].commit(changes(), LATER_ANCHOR)

        assert reopen()[1].anchor == LATER_ANCHOR

    def test_the_end_outlives_all_events(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1), event(2)))
        store.commit(changes(obsolete=(1, 2), horizon=2))

        store, header = reopen()

        assert entries_in(store) == []
        assert header.ends == LogEnds(2, 2, 2, 2)

    def test_the_end_outlives_the_last_events_where_an_old_one_stays(self, reopen: OpenStore) -> None:
        """The old one is the last of a pending timer; those after it are past the horizon."""
        store, _ = reopen()
        store.commit(changes(event(1, "pending"), event(2), event(3)))
        store.commit(changes(obsolete=(2, 3), horizon=3))

        store, header = reopen()

        assert places(entries_in(store)) == [1]
        assert header.ends == LogEnds(3, 3, 3, 3)

    def test_empty_changes_are_nothing(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1)), ANCHOR)
        store.commit(changes())

        store, header = reopen()

        assert places(entries_in(store)) == [1]
        assert header == Header(LOG_ID, LogEnds(0, 0, 1, 1), 1000, ANCHOR)

    def test_a_turn_may_be_large(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(*(event(place, f"id/{place}") for place in range(1, 5001))))
        store.commit(changes(obsolete=tuple(range(1, 5000)), horizon=4999))

        assert places(entries_in(reopen()[0])) == [5000]


class TestEntry:
    def test_is_the_one_at_that_place(self, store: Store) -> None:
        store.commit(changes(event(1), event(2, label="two"), event(3)))

        assert store.entry(2) == event(2, label="two")

    @pytest.mark.parametrize("place", [2, 3, 5])
    def test_one_that_is_not_there_is_a_store_error_that_names_it(self, store: Store, place: int) -> None:
        store.commit(changes(event(1), event(2), event(3), event(4)))
        store.commit(changes(obsolete=(2, 3), horizon=3))

        with pytest.raises(StoreError, match=f"entry {place}"):
            store.entry(place)

    def test_one_that_refers_to_another_for_its_spec_comes_without_it(self, store: Store) -> None:
        store.commit(changes(event(1, spec_place=1, label="large"), event(2, spec_place=1)))

        assert [type(entry) for entry in entries_in(store)] == [Countdown, Referring]
        assert store.entry(2) == as_logged(event(2, spec_place=1))

    def test_a_trace_stands_with_the_spec(self, reopen: OpenStore) -> None:
        small, large = event(1).traced(b"small"), event(2, "b", spec_place=2, label="large").traced(b"large")
        later = event(3, "b", "cancelled", spec_place=2, label="large").traced(b"large")
        reopen()[0].commit(changes(small, large, later))

        store, header = reopen()

        assert entries_in(store) == [small, large, as_logged(later)]
        assert [type(entry) for entry in entries_in(store)] == [Traced, Traced, Referring]
        assert Log(store, header).events([1, 2, 3]) == [small, large, later]


class TestOtherEntries:
    """Entries that are no events of timers."""

    ENTRIES = (
        other(1, 1, "q", b"\x80"),
        event(2, others=1),
        ServerStarted(None, 3, 2, 3000),
        other(4, 3, "k\u00fcche", b"x" * 10_000, Part.WHOLE),
    )

    def test_they_come_back_in_order(self, reopen: OpenStore) -> None:
        reopen()[0].commit(changes(*self.ENTRIES))

        store, header = reopen()

        assert entries_in(store) == list(self.ENTRIES)
        assert [store.entry(place) for place in (1, 2, 3, 4)] == list(self.ENTRIES)
        assert header.ends == LogEnds(0, 0, 4, 1)
        assert header.last_at_ms == 4000

    def test_a_turn_may_have_no_others(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(event(1)))
        store.commit(changes(other(2), other(3, 2)))

        store, header = reopen()

        assert places(entries_in(store)) == [1, 2, 3]
        assert header.ends == LogEnds(0, 0, 3, 1)

    def test_they_stay_behind_the_horizon_and_go_when_they_are_obsolete(self, reopen: OpenStore) -> None:
        store, _ = reopen()
        store.commit(changes(*self.ENTRIES))
        store.commit(changes(obsolete=(2,), horizon=4, horizon_seq=1))
        assert places(entries_in(reopen()[0])) == [1, 3, 4]

        store, _ = reopen()
        store.commit(changes(event(5, others=3), obsolete=(1, 3), horizon=4, horizon_seq=1))

        store, header = reopen()
        assert places(entries_in(store)) == [4, 5]
        assert header.ends == LogEnds(4, 1, 5, 2)

    def test_an_event_behind_many_is_found(self, store: Store) -> None:
        store.commit(changes(event(1), *(other(place, place - 1) for place in range(2, 1000)), event(1000, others=998)))

        blocks = [block.entries for block in store.blocks_after_seq(1)]

        assert len(blocks) <= 2
        assert blocks[-1][-1] == event(1000, others=998)


TURNS = st.lists(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=3), max_size=8)
"""What is committed at once: so many entries that are events of timers or not, some of each."""


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
@example([[(False, 40)], [(True, 40)], [(False, 5)]], set(), [40])  # two blocks that could be read in vain
@given(TURNS, st.sets(st.integers(1, 400), max_size=200), st.lists(st.integers(0, 400), max_size=20))
def test_blocks_after_an_event_are_those_that_a_linear_search_finds(
    kind: Kind, turns: list[list[tuple[bool, int]]], gone: set[int], afters: list[int]
) -> None:
    with TemporaryDirectory() as folder, closing(kind.make(Path(folder))()) as store:
        store.open()
        made: list[NewEntry] = []
        others = 0
        for turn in turns:
            begin = len(made)
            for is_other, count in turn:
                for _ in range(count):
                    others += is_other
                    made.append((other if is_other else event)(len(made) + 1, others=others))
            store.commit(changes(*made[begin:]))
        obsolete = tuple(gone & set(places(made)))
        store.commit(changes(obsolete=obsolete, horizon=len(made), horizon_seq=len(made) - others))
        left = [entry for entry in made if entry.place not in gone]

        for after in {after % (len(made) - others + 2) for after in afters}:
            by_seq = [block.entries for block in store.blocks_after_seq(after)]
            assert [entry for entry in chain(*by_seq) if entry.seq > after] == [e for e in left if e.seq > after]
            assert all(entries[-1].seq > after for entries in by_seq[1:]), "more than one block is read in vain"
            by_place = [block.entries for block in store.blocks_after(after)]
            assert [entry for entry in chain(*by_place) if entry.place > after] == [e for e in left if e.place > after]
            assert all(entries[0].place > after for entries in by_place[1:])
