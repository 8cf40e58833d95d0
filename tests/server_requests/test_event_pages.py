"""Pages of events from two logs: nothing is left out, nothing comes twice, and neither log keeps the other waiting."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.messages import EventPage, ReadEventsParams
from timer_server.limits import PAGE_BYTES
from timer_server.requests import event_pages
from timer_server.requests.event_pages import read_or_wait, read_page
from timer_server.requests.event_parts import EventsPart
from timer_server.requests.room import ENTRY_WEIGHT, ReplyRoom
from timer_server.requests.waits import WaitForEvent
from timer_server.store import log as store_log
from timer_server.store.blocks import BLOCK_ENTRIES
from timer_server.store.memory import MemoryStore

DAY_NS = 86_400 * NS_PER_S
PAYLOAD = b'"' + b"x" * 58 + b'"'


class Logs:
    """Two logs, `A` and `B`, and a reader of both."""

    def __init__(self) -> None:
        self.benches = {log_id: Bench(MemoryStore(log_id)) for log_id in "AB"}
        self.room = ReplyRoom()
        self.after: dict[str, int] = {}

    def start(self, log_id: str, *timer_ids: str) -> None:
        """Starts timers with a payload of sixty bytes in a log, and stores them."""
        for timer_id in timer_ids:
            self.benches[log_id].start(timer_id, payload=PAYLOAD)
        self.benches[log_id].commit()

    def read(self, page_bytes: int = PAGE_BYTES, **params: Any) -> EventPage:
        """The next page."""
        shards = [bench.shard for bench in self.benches.values()]
        page = read_page(shards, ReadEventsParams(self.after, **params), self.room, page_bytes)
        self.after = page.next
        return page


@pytest.fixture
def logs() -> Logs:
    """Five events in each of two logs."""
    logs = Logs()
    for log_id in "AB":
        logs.start(log_id, *(f"{log_id}/{number}" for number in range(1, 6)))
    return logs


def seqs(page: EventPage, log_id: str) -> list[int]:
    return [event.seq for event in page.events if event.log == log_id]


def test_a_page_tells_the_log_of_each_event_and_goes_on_where_it_was(logs: Logs) -> None:
    first = logs.read()
    assert {(event.log, event.timer.id) for event in first.events if event.seq == 1} == {("A", "A/1"), ("B", "B/1")}
    assert (seqs(first, "A"), seqs(first, "B")) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert (first.next, first.more, first.truncated) == ({"A": 5, "B": 5}, False, False)

    logs.start("B", "later")
    second = logs.read()
    assert (seqs(second, "A"), seqs(second, "B")) == ([], [6])
    assert second.next == {"A": 5, "B": 6}


@pytest.mark.parametrize(("limit", "shares"), [(4, {2}), (5, {2, 3}), (1, {0, 1}), (10, {5})])
def test_logs_share_the_limit_of_a_page(logs: Logs, limit: int, shares: set[int]) -> None:
    page = logs.read(limit=limit)

    assert {len(seqs(page, log_id)) for log_id in "AB"} == shares
    assert page.next == {log_id: len(seqs(page, log_id)) for log_id in "AB"}
    assert page.more == (limit < 10)


def test_logs_share_the_bytes_of_a_page_and_each_page_goes_on(logs: Logs) -> None:
    page = logs.read(page_bytes=200)

    assert (seqs(page, "A"), seqs(page, "B")) == ([1, 2], [1, 2])
    assert (page.next, page.more) == ({"A": 2, "B": 2}, True)
    assert len(logs.read(page_bytes=1).events) == 1


@pytest.mark.parametrize(("limit", "page_bytes"), [(1, PAGE_BYTES), (3, PAGE_BYTES), (100, 1), (100, 150)])
def test_a_log_that_always_has_more_does_not_starve_the_other(logs: Logs, limit: int, page_bytes: int) -> None:
    for busy, other in ("AB", "BA"):
        logs.after = {"A": 0, "B": 0}
        found: list[int] = []
        for number in range(60):
            logs.start(busy, *(f"{busy}/{other}/{number}/{more}" for more in range(3)))
            found += seqs(logs.read(page_bytes, limit=limit), other)
        assert found[:5] == [1, 2, 3, 4, 5]


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["a", "b"])), max_size=30),
    st.sampled_from(["", "a"]),
    st.integers(1, 7),
    st.sampled_from([1, 100, PAGE_BYTES]),
    st.integers(1, 4),
)
def test_pages_give_every_event_once_in_the_order_of_its_log(
    starts: list[tuple[str, str]], prefix: str, limit: int, page_bytes: int, scan: int
) -> None:
    logs = Logs()
    wanted: dict[str, list[str]] = {"A": [], "B": []}
    for number, (log_id, first) in enumerate(starts):
        logs.start(log_id, f"{first}/{number}")
        if first.startswith(prefix):
            wanted[log_id].append(f"{first}/{number}")

    found: dict[str, list[str]] = {"A": [], "B": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_pages, "SCAN_MAXIMUM", scan)
        for _ in range(2 * len(starts) + 1):
            page = logs.read(page_bytes, prefix=prefix, limit=limit)
            assert not page.truncated
            assert set(page.next) == {"A", "B"}
            assert len(page.events) <= limit
            for event in page.events:
                found[event.log].append(event.timer.id)
            if not page.more:
                break

    assert not page.more
    assert found == wanted


def test_a_page_counts_against_the_room_of_its_reply(logs: Logs) -> None:
    whole = ReplyRoom()
    logs.read(prefix="A")

    assert whole.left_entries - logs.room.left_entries == 10 + (ENTRY_WEIGHT - 1) * 5
    assert whole.left_bytes - logs.room.left_bytes == 5 * len(PAYLOAD)
    logs.room.left_bytes, logs.after = 1, {}
    assert len(logs.read().events) == 1


def test_a_page_ends_where_enough_was_read(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It always gets on by something, however large that is."""
    monkeypatch.setattr(store_log, "SCAN_BYTES", 100)
    logs.after = {"A": 0, "B": 5}
    for number in range(2 * BLOCK_ENTRIES):
        logs.start("A", f"more/{number}")

    sizes = []
    while (page := logs.read(prefix="none")).more:
        assert page.events == []
        sizes.append(page.next["A"] - sum(sizes))

    assert len(sizes) == 2
    assert all(0 < size <= BLOCK_ENTRIES for size in sizes)


def test_what_is_not_durable_is_not_in_it(logs: Logs) -> None:
    logs.benches["A"].start("flying")

    assert logs.read().next == {"A": 5, "B": 5}


def test_what_retention_has_removed_is_told_and_passed_over() -> None:
    logs = Logs()
    bench = logs.benches["A"]
    bench.start("old", hours=1000)
    bench.start("a", minutes=1)
    bench.engine.expire(BEGIN_NS + DAY_NS, 10)
    bench.forget(BEGIN_NS + 3 * DAY_NS)
    logs.start("B", "b")

    for after, expected, truncated in ((0, [1], True), (1, [], True), (3, [], False)):
        logs.after = {"A": after, "B": 1}
        page = logs.read()
        assert (seqs(page, "A"), page.next, page.more) == (expected, {"A": 3, "B": 1}, False)
        assert page.truncated == truncated
    assert logs.read(limit=1).truncated is False


def test_a_page_of_a_reader_who_is_beyond_an_end_is_truncated_and_empty(logs: Logs) -> None:
    logs.after = {"A": 99, "B": 5, "gone": 7}

    assert logs.read() == EventPage([], {"A": 5, "B": 5}, more=False, truncated=True)


def test_a_wait_reads_all_of_a_log_that_was_anothers_meanwhile() -> None:
    """What happens to a log elsewhere is compared with nobody's prefix here."""
    bench = Bench(MemoryStore("A"))
    bench.start("other")
    bench.commit()
    params = ReadEventsParams({"A": 1}, "b/", wait_ms=1000)
    wait = read_or_wait(
        lambda: [bench.shard], lambda _: bench.shard, params, BEGIN_NS, ReplyRoom(), lambda part, _: part
    )
    assert isinstance(wait, WaitForEvent)

    bench.reload()
    bench.start("b/1")
    bench.commit()
    event = bench.start("b/2")
    bench.commit()

    late = wait.timed_out(BEGIN_NS, ReplyRoom())
    assert isinstance(late, EventsPart)
    assert late.next == {"A": 1}
    woken = wait.woken(event, BEGIN_NS, ReplyRoom())
    assert isinstance(woken, EventsPart)
    assert [event.timer.id for event in woken.events] == ["b/1", "b/2"]
