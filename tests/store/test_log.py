"""A log as its readers see it: pages, the oldest entries, and turns whose commit is under way."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product

import pytest

from store.stores import KINDS, OpenStore, changes, event, other, places
from timer_server.core.model import Countdown, NewEntry
from timer_server.store import log as log_module
from timer_server.store.base import StoreError
from timer_server.store.blocks import BLOCK_ENTRIES
from timer_server.store.log import Log, Page


def log_of(
    reopen: OpenStore,
    *entries: NewEntry,
    obsolete: tuple[int, ...] = (),
    horizon: int = 0,
    horizon_seq: int | None = None,
) -> Log:
    """A log that holds these entries but the obsolete ones."""
    store, _ = reopen()
    store.commit(changes(*entries))
    store.commit(changes(obsolete=obsolete, horizon=horizon, horizon_seq=horizon_seq))
    return Log(*reopen())


def seqs(page: Page) -> list[int]:
    return [event.seq for event in page.events]


class TestPage:
    @pytest.fixture
    def log(self, reopen: OpenStore) -> Log:
        """Ids in turn: a/1, b, a/2, b, a/1, ...; the events 4 and 5 are gone."""
        ids = ["a/1", "b", "a/2", "b"]
        events = [event(place, ids[(place - 1) % 4]) for place in range(1, 13)]
        return log_of(reopen, *events, obsolete=(4, 5), horizon=5)

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
    def test_finds(self, log: Log, after: int, prefix: str, limit: int, scan: int, found: list[int]) -> None:
        assert places(log.page(after, prefix, limit, scan).events) == found

    @pytest.mark.parametrize(
        ("after", "prefix", "limit", "scan", "scanned_to", "is_end"),
        [
            (0, "c", 100, 4, 6, False),
            (0, "", 2, 100, 2, False),
            (0, "", 9, 100, 11, False),
            (0, "", 100, 9, 11, False),
            (0, "a", 1, 100, 1, False),
            (0, "", 100, 100, 12, True),
            (0, "c", 1, 11, 12, True),
            (0, "", 10, 10, 12, True),
            (10, "a", 100, 3, 12, True),
            (12, "", 1, 1, 12, True),
            (99, "", 100, 100, 99, True),
        ],
    )
    def test_tells_how_far_it_looked(
        self, log: Log, after: int, prefix: str, limit: int, scan: int, scanned_to: int, is_end: bool
    ) -> None:
        page = log.page(after, prefix, limit, scan)

        assert (page.scanned_to, page.is_end) == (scanned_to, is_end)

    def test_one_after_the_other_miss_and_repeat_nothing(self, log: Log) -> None:
        events = [one for one in log.oldest(0, 100) if isinstance(one, Countdown)]
        for limit, scan, prefix in product([1, 2, 3, 100], [1, 2, 5, 100], ["", "a/", "b", "a/2"]):
            found, at, is_end = [], 0, False
            while not is_end:
                page = log.page(at, prefix, limit, scan)
                assert page.scanned_to > at or page.is_end
                found += places(page.events)
                at, is_end = page.scanned_to, page.is_end

            assert found == [one.place for one in events if one.id.startswith(prefix)], (limit, scan, prefix)

    def test_ends_where_enough_was_read(self, reopen: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A page always gets on by something, however large that is."""
        monkeypatch.setattr(log_module, "SCAN_BYTES", 1_000)
        payload = b'"%s"' % (b"x" * 40_000)
        log = log_of(reopen, *(event(place, f"id/{place}", payload=payload) for place in range(1, 101)))

        ends, at, is_end = [], 0, False
        while not is_end:
            page = log.page(at, "id/100", 10, 100)
            ends.append(at := page.scanned_to)
            is_end = page.is_end

        assert ends[-1] == 100
        assert max(after - before for before, after in zip([0, *ends], ends, strict=False)) <= BLOCK_ENTRIES


class TestLargeSpecs:
    EVENTS = (
        event(1, spec_place=1, label="large", payload=b'"%s"' % (b"x" * 600)),
        *(event(place, spec_place=1, label="large", payload=b'"%s"' % (b"x" * 600)) for place in (2, 3, 4)),
    )

    def test_events_are_whole(self, reopen: OpenStore) -> None:
        log = log_of(reopen, *self.EVENTS)

        assert [log.event(place) for place in (1, 2, 3, 4)] == list(self.EVENTS)
        assert log.page(0, "", 10, 100).events == list(self.EVENTS)
        assert log.holder(1) == self.EVENTS[0]

    def test_one_that_is_read_for_its_spec_counts_as_looked_at(
        self, reopen: OpenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = log_of(reopen, *self.EVENTS)

        assert log.page(0, "", 10, 5).scanned_to == 3
        assert log.page(0, "a", 10, 100).scanned == 7
        assert log.page(0, "b", 10, 100).scanned == 4
        monkeypatch.setattr(log_module, "SCAN_BYTES", 1_000)
        assert log.page(0, "", 10, 100).scanned_to == 3

    def test_one_whose_spec_is_gone_is_a_store_error(self, reopen: OpenStore) -> None:
        log = log_of(reopen, *self.EVENTS, obsolete=(1,), horizon=4)

        for read in (lambda: log.event(2), lambda: log.page(0, "", 10, 100)):
            with pytest.raises(StoreError, match="entry 1"):
                read()


MANY = 30_000
"""Entries in a row that are no events: three times as many as one page looks at."""


@pytest.fixture(scope="module", params=KINDS, ids=[kind.name for kind in KINDS])
def long_log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A log in which many entries are no events: between the events 2 and 3, and behind event 4."""
    entries: list[NewEntry] = [event(1, "a"), event(2, "b")]
    entries += (other(3 + number, 1 + number) for number in range(MANY))
    entries += event(MANY + 3, "a", others=MANY), event(MANY + 4, "b", others=MANY)
    entries += (other(MANY + 5 + number, MANY + 1 + number) for number in range(MANY))
    make = request.param.make(tmp_path_factory.mktemp("log"))
    with closing(make()) as store:
        store.open()
        store.commit(changes(*entries))
    with closing(make()) as store:
        yield Log(store, store.open())


class TestOtherEntries:
    def test_a_page_looks_at_no_more_of_them_than_it_may(self, long_log: Log) -> None:
        page = long_log.page(0, "", 10, 1_000)

        assert (seqs(page), page.scanned_to, page.scanned, page.is_end) == ([1, 2], 2, 1_000, False)

    def test_the_next_page_begins_behind_them(self, long_log: Log) -> None:
        page = long_log.page(2, "", 10, 2)

        assert (seqs(page), page.scanned_to, page.scanned, page.is_end) == ([3, 4], 4, 2, True)

    def test_a_page_ends_with_the_last_event(self, long_log: Log) -> None:
        assert long_log.page(3, "", 10, 1_000)[1:] == (4, 2, True)
        assert long_log.page(3, "c", 10, 1_000)[1:] == (4, 2, True)
        assert long_log.page(4, "", 10, 1_000)[1:] == (4, 0, True)

    @pytest.mark.parametrize("scan", [1, 7, 10_000])
    @pytest.mark.parametrize(("prefix", "found"), [("", [1, 2, 3, 4]), ("b", [2, 4]), ("c", [])])
    def test_pages_one_after_the_other_find_all_events(
        self, long_log: Log, scan: int, prefix: str, found: list[int]
    ) -> None:
        read, at, pages, is_end = [], 0, 0, False
        while not is_end:
            page = long_log.page(at, prefix, 3, scan)
            read += seqs(page)
            at, is_end, pages = page.scanned_to, page.is_end, pages + 1
            assert page.scanned <= scan

        assert read == found
        assert pages <= 4

    def test_the_oldest_are_entries_of_all_types(self, long_log: Log) -> None:
        assert places(long_log.oldest(1, 4)) == [2, 3, 4, 5]

    def test_one_that_is_taken_for_an_event_is_a_store_error(self, long_log: Log) -> None:
        for read in (long_log.event, long_log.holder):
            with pytest.raises(StoreError, match="entry 3 "):
                read(3)

    def test_those_that_stay_behind_the_horizon_hide_no_event(self, reopen: OpenStore) -> None:
        """The events 2 and 3 are gone, and what stands behind them is still needed."""
        entries = [event(1), event(2), event(3), *(other(place, place - 3) for place in range(4, 104))]
        end = event(104, others=100)
        log = log_of(reopen, *entries, end, obsolete=(1, 2, 3), horizon=103, horizon_seq=3)

        pages, at = [], 0
        while not pages or not pages[-1].is_end:
            pages.append(log.page(at, "", 10, 10))
            at = pages[-1].scanned_to

        assert [one.events for one in pages] == [[], [end]]


def test_the_oldest_are_those_after_a_place(reopen: OpenStore) -> None:
    log = log_of(reopen, *(event(place) for place in range(1, 100)), obsolete=(2, 3), horizon=3)

    assert places(log.oldest(0, 3)) == [1, 4, 5]
    assert places(log.oldest(50, 1000)) == list(range(51, 100))
    assert log.oldest(99, 10) == []


def test_turns_under_way_may_hold_entries_that_are_no_events(reopen: OpenStore) -> None:
    store, header = reopen()
    log = Log(store, header)
    for turn in ([event(1), other(2)], [other(3, 2), other(4, 3)], [other(5, 4), event(6, others=4)]):
        log.take_off(changes(*turn))

    assert log.event(6) == event(6, others=4)
    with pytest.raises(StoreError, match="entry 3 "):
        log.event(3)
    for durable in ((2, 1), (4, 1), (6, 2)):
        store.commit(log.land())
        assert (log.durable_place, log.durable_seq) == durable
        assert log.event(6) == event(6, others=4)


def test_a_turn_under_way_is_read_from_itself_and_told_to_nobody(reopen: OpenStore) -> None:
    store, header = reopen()
    log = Log(store, header)
    events = [event(place, label=f"{place}") for place in range(1, 6)]
    for turn in (events[:2], [], events[2:]):
        log.take_off(changes(*turn))

    assert [log.event(place) for place in range(1, 6)] == events
    for durable in (2, 2, 5):
        assert log.page(0, "", 10, 10).events == events[: log.durable_place]
        assert log.oldest(0, 10) == events[: log.durable_place]
        store.commit(log.land())
        assert (log.durable_place, log.durable_seq) == (durable, durable)
        assert [log.event(place) for place in range(1, 6)] == events


class TestAtHand:
    BEFORE = (event(1, "a/1"), event(2, "b"), other(3))

    @pytest.mark.parametrize(
        "turn",
        [
            (event(4, "a/1", others=1), event(5, "b", others=1), event(6, "a/2", others=1)),
            (event(4, "b", others=1), other(5, 2), event(6, "a/1", others=2), other(7, 3), event(8, "b", others=3)),
            (other(4, 2), event(5, "a/1", others=2), other(6, 3)),
        ],
    )
    def test_a_page_is_that_of_the_store(self, reopen: OpenStore, turn: tuple[NewEntry, ...]) -> None:
        """After any `seq`, also where what is at hand does not reach back so far."""
        log = log_of(reopen, *self.BEFORE, *turn)
        last = turn[-1].seq
        for after, prefix, limit in product(range(last + 2), ["", "a/", "a/1", "b", "c"], [1, 2, 100]):
            expected = log.page(after, prefix, limit, 100)
            log.have_at_hand(changes(*turn))
            assert log.page(after, prefix, limit, 100) == expected
            log.have_at_hand(None)

    def test_the_store_is_not_asked(self, reopen: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        store, _ = reopen()
        turn = changes(event(1, "a"), event(2, "b"))
        store.commit(turn)
        log = Log(*reopen())
        log.have_at_hand(turn)
        monkeypatch.delattr(type(store), "blocks_after_seq")

        assert places(log.page(0, "b", 100, 100).events) == [2]
        assert places(log.page(1, "", 100, 100).events) == [2]

    def test_a_turn_that_has_removed_something_is_read_from_the_store(self, reopen: OpenStore) -> None:
        """It may be what the turn has logged itself."""
        turn = changes(event(1), event(2), event(3), obsolete=(2,), horizon=2)
        store, _ = reopen()
        store.commit(turn)
        log = Log(*reopen())
        log.have_at_hand(turn)

        assert places(log.page(0, "", 100, 100).events) == [1, 3]
