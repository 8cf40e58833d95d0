"""The feed: whatever is kept, whoever comes back from where, each stream gets each event once. No sockets."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from client.model_logs import Logs, event, topic_of
from timer_client import Cursor
from timer_gateway.streams import feed as feed_module
from timer_gateway.streams import reader as reader_module
from timer_gateway.streams.cursors import read_cursor, text_of
from timer_gateway.streams.feed import Feed
from timer_gateway.streams.pages import EncodedPage, Page
from timer_gateway.streams.prefix_index import PrefixIndex
from timer_gateway.streams.reader import WAITING_BYTES, Reader
from timer_protocol.messages import Event, EventKind, EventPage

Message = tuple[str, str, Any]


def page_of(page: EventPage) -> Page:
    return msgspec.json.decode(msgspec.json.encode(page), type=EncodedPage).read()


def page(*events: Event, more: bool = False, truncated: bool = False, **ends: int) -> Page:
    return page_of(EventPage(list(events), ends, more, truncated))


def messages(lines: list[bytes]) -> list[Message]:
    """Each message in the text of a stream: its name, its id and its data."""
    told = []
    for text in b"".join(lines).decode().split("\n\n")[:-1]:
        members = dict(line.split(": ", 1) for line in text.split("\n"))
        told.append((members.get("event", "message"), members.get("id", ""), json.loads(members["data"])))
    return told


def got(feed: Feed, reader: Reader) -> list[tuple[str, int]]:
    """The ids of what a reader that has a place gets now, and the `seq`."""
    lines = feed.next_lines(reader)
    while reader.block is not None:
        lines += feed.next_lines(reader)
    return [(cursor, data["seq"]) for _, cursor, data in messages(lines)]


def begun(feed: Feed, prefix: str = "", **cursor: int) -> Reader:
    """A live reader of a feed that begins here."""
    feed.begin(cursor)
    reader = feed.open(prefix, cursor, lambda: None)
    assert feed.place(reader)
    return reader


def test_a_live_reader_gets_what_begins_with_its_prefix_with_the_cursor_of_all_logs() -> None:
    feed = Feed()
    one = begun(feed, "order/42 ", a=5, b=7)
    other = feed.open("tea fired", {"a": 5, "b": 7}, lambda: None)
    assert feed.place(other)
    happened = [event(6, "order/42", log="a"), event(8, "order/421", log="b"), event(9, "tea", "fired", log="b")]
    feed.take(page(*happened, event(7, "order/42", log="a"), a=8, b=9), "")
    assert got(feed, one) == [("a:6,b:7", 6), ("a:7,b:9", 7)]
    assert got(feed, other) == [("a:6,b:9", 9)]
    assert (one.cursor_text, other.cursor_text) == ("a:8,b:9", "a:8,b:9")  # also past what others wanted


def test_a_reader_that_comes_back_goes_on_among_the_kept_events_from_any_mixture_of_logs() -> None:
    feed = Feed()
    begun(feed, a=0, b=0)
    feed.take(page(*(event(seq, log=log) for seq in (1, 2, 3) for log in "ab"), a=3, b=3), "")
    back = feed.open("", {"a": 3, "b": 1}, lambda: None)
    assert feed.place(back)
    assert got(feed, back) == [("a:3,b:2", 2), ("a:3,b:3", 3)]
    assert back.is_live


def test_a_reader_that_knows_more_than_the_feed_gets_nothing_twice() -> None:
    feed = Feed()
    begun(feed, a=5)
    ahead = feed.open("", {"a": 7}, lambda: None)
    assert not feed.place(ahead)  # the server is to say whether it has so much
    assert messages(feed.take_page(ahead, page(a=7))) == []
    assert feed.place(ahead)
    feed.take(page(event(6), event(7), event(8), a=8), "")
    assert got(feed, ahead) == [("a:8", 8)]


def test_what_was_kept_for_fewer_is_not_all_that_another_wants() -> None:
    feed = Feed()
    begun(feed, "order/", a=0)
    feed.take(page(event(2, "order/1"), a=3), feed.prefix)
    all_of_them = feed.open("", {"a": 1}, lambda: None)
    assert feed.prefix == ""
    feed.take(page(event(4, "tea"), a=4), "")
    assert not feed.place(all_of_them)
    same = feed.open("order/1", {"a": 1}, lambda: None)
    assert feed.place(same)
    assert got(feed, same) == [("a:2", 2)]
    after = feed.open("tea", {"a": 3}, lambda: None)
    assert feed.place(after)
    assert got(feed, after) == [("a:4", 4)]


def test_a_gap_in_which_only_others_were_looked_for_is_remembered_though_nothing_was_found() -> None:
    feed = Feed()
    begun(feed, "", a=0)
    feed.take(page(event(1, "tea"), a=1), "")
    feed.take(page(a=9), "order/")
    feed.take(page(event(10, "tea"), a=10), "")
    back = feed.open("", {"a": 1}, lambda: None)
    assert not feed.place(back)


def test_a_reader_that_does_not_take_what_it_gets_holds_nothing_and_loses_nothing() -> None:
    feed = Feed()
    slow = begun(feed, a=0)
    large = "x" * (WAITING_BYTES // 3)
    for seq in range(1, 6):
        feed.take(page(event(seq, label=large), a=seq), "")
    assert (slow.is_behind, slow.cursor) == (True, {"a": 0})
    assert feed.place(slow)
    assert [seq for _, seq in got(feed, slow)] == [1, 2, 3, 4, 5]


def test_only_so_many_bytes_are_kept() -> None:
    feed = Feed(kept_bytes=400_000)
    begun(feed, a=0)
    for seq in range(1, 2_001):
        feed.take(page(event(seq), a=seq), "")
        assert feed.kept_bytes < 400_000 + 66_000
    early, late = feed.open("", {"a": 1}, lambda: None), feed.open("", {"a": 1_990}, lambda: None)
    assert not feed.place(early)
    assert feed.place(late)
    assert [seq for _, seq in got(feed, late)] == [*range(1_991, 2_001)]


def test_a_loss_is_told_before_what_is_left() -> None:
    feed = Feed()
    feed.begin({"a": 9})
    back = feed.open("", {"a": 2}, lambda: None)
    told = messages(feed.take_page(back, page(event(7), event(8), a=9, truncated=True)))
    assert [(name, cursor) for name, cursor, _ in told] == [
        ("truncated", "a:6"),
        ("message", "a:7"),
        ("message", "a:8"),
    ]
    assert told[0][2] == {"lost_after": "a:2"}
    assert back.cursor_text == "a:9"


def test_all_readers_ask_the_server_where_the_feed_has_lost_something() -> None:
    feed, woken = Feed(), []
    feed.begin({"a": 5})
    reader = feed.open("", {"a": 5}, lambda: woken.append(True))
    assert feed.place(reader)
    woken.clear()
    feed.take(page(event(1, log="b"), b=1, truncated=True), "")
    assert (reader.is_behind, reader.cursor, woken) == (True, {"a": 5}, [True])
    assert not feed.place(reader)
    assert [name for name, _, _ in messages(feed.take_page(reader, page(b=1, truncated=True)))] == ["truncated"]
    assert feed.place(reader)


def test_a_log_that_has_become_another_leads_everybody_to_the_server() -> None:
    """A store that was restored from a copy: `b` is what is left of `a`, which the cursor of a page shows."""
    feed = Feed()
    reader = begun(feed, a=0)
    feed.take(page(event(1), event(2), a=2), "")
    early = feed.open("", {"a": 1}, lambda: None)
    feed.take_page(early, page(event(2, log="b"), b=2))
    assert not feed.place(early)  # what is kept is of a log that is gone, which the feed does not know yet
    assert got(feed, reader) == [("a:1", 1), ("a:2", 2)]
    feed.take(page(event(3, log="b"), b=3), "")
    assert (reader.is_behind, reader.cursor) == (True, {"a": 2})
    assert feed.place(early)
    assert got(feed, early) == [("b:3", 3)]
    assert not feed.place(reader)


def test_an_event_costs_a_look_up_for_each_length_of_a_prefix() -> None:
    index: PrefixIndex[int] = PrefixIndex()
    for number in range(1_000):
        index.add(f"user/{number:03}/", number)
    index.add("", -1)
    with mock.patch.object(index, "_groups", mock.MagicMock(wraps=index._groups)) as groups:
        assert list(index.matching("user/042/tea fired")) == [-1, 42]
        assert groups.get.call_count == 2
    index.remove("", -1)
    assert index.common == "user/"


def test_the_text_of_a_cursor_is_that_of_the_client() -> None:
    for cursor in ({}, {"a": 1}, {"b": 2, "a": 2**62, "-_": 0}):
        assert text_of(cursor) == str(Cursor(cursor))
        assert read_cursor(text_of(cursor)) == cursor
    assert read_cursor("17") is None


@dataclass
class Client:
    """A stream's reader, and what its client knows."""

    reader: Reader
    prefix: str
    received: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    """What it need not get: from before it began, or told to be lost."""
    last_id: str | None = None
    is_away: bool = False


IDS = ("order/4", "order/42", "tea")
KINDS: tuple[EventKind, ...] = ("started", "paused", "fired")
PREFIXES = ("", "order/", "order/42 ", "order/42 fired", "tea")
SMALL = {"BLOCK_EVENTS": 2, "BLOCKS_AT_ONCE": 1}


@settings(stateful_step_count=25)
class AnyStreams(RuleBasedStateMachine):
    """A store whose logs are restored and replaced, the feed that follows it, and streams that come, go and return."""

    @initialize(
        logs=st.integers(1, 3),
        before=st.integers(0, 4),
        kept_bytes=st.sampled_from([1_000, 4_000, 100_000]),
        prefixes=st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3),
    )
    def begin(self, logs: int, before: int, kept_bytes: int, prefixes: list[str]) -> None:
        self.patches = [
            mock.patch.multiple(feed_module, **SMALL),
            mock.patch.object(reader_module, "WAITING_BYTES", 1_500),
        ]
        for patch in self.patches:
            patch.start()
        self.logs = Logs(logs)
        self.happen([(place, "order/42", "fired") for place in range(before)])
        self.feed = Feed(kept_bytes)
        self.clients: list[Client] = []
        for prefix in prefixes:
            self.open(prefix, "now")
        self.go_on([0, *range(1, 1 + len(prefixes))] * 3, 5, 8)

    @rule(
        happened=st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(IDS), st.sampled_from(KINDS)), min_size=1, max_size=8
        )
    )
    def happen(self, happened: list[tuple[int, str, EventKind]]) -> None:
        for place, timer_id, kind in happened:
            self.logs.happen(self.log_id(place), timer_id, kind)

    @rule(place=st.integers(0, 2), lost=st.none() | st.integers(0, 3))
    def replace(self, place: int, lost: int | None) -> None:
        """Another log takes the place of one: a new one, or a copy without the last events."""
        log_id = self.log_id(place)
        if lost is None:
            self.logs.replace(log_id)
        else:
            self.logs.restore(log_id, max(self.logs.ends[log_id] - lost, 0))

    @precondition(lambda self: len(self.clients) < 5)
    @rule(prefix=st.sampled_from(PREFIXES), after=st.sampled_from(["now", "start"]))
    def open(self, prefix: str, after: str) -> None:
        cursor, last_id = (None, None) if after == "now" else ({}, "start")
        self.clients.append(Client(self.new_reader(prefix, cursor), prefix, last_id=last_id))

    @rule(place=st.integers(0, 4))
    def leave_or_return(self, place: int) -> None:
        """A client is cut off, or comes back with the last id that it has seen."""
        client = self.clients[place % len(self.clients)]
        if client.is_away:
            cursor = None if client.last_id is None else read_cursor(client.last_id)
            client.reader, client.is_away = self.new_reader(client.prefix, cursor), False
        else:
            self.feed.close(client.reader)
            client.is_away = True
            if not self.feed.has_readers:
                self.feed.end()

    @rule(places=st.lists(st.integers(0, 5), min_size=1, max_size=12), limit=st.integers(1, 5), scan=st.integers(1, 8))
    def go_on(self, places: list[int], limit: int, scan: int) -> None:
        """The feed (0) reads on, and clients do what they do next."""
        for place in places:
            present = [client for client in self.clients if not client.is_away]
            if place == 0:
                self.follow(limit, scan)
            elif present:
                self.step(present[place % len(present)], limit, scan)

    def follow(self, limit: int, scan: int) -> None:
        """The feed reads on, or begins."""
        if not self.feed.has_readers:
            return
        if self.feed.cursor is None:
            self.feed.begin(self.logs.ends)
            return
        prefix = self.feed.prefix
        read = self.logs.read(self.feed.cursor, prefix.partition(" ")[0], limit, scan)
        self.feed.take(page_of(read), prefix)

    def step(self, client: Client, limit: int, scan: int) -> None:
        """What a stream does next."""
        reader = client.reader
        if self.feed.cursor is None or (reader.is_behind and self.feed.place(reader)):
            return
        if reader.is_behind:
            self.hear(client, self.feed.take_page(reader, self.page_for(client, limit, scan)))
            return
        lines = self.feed.next_lines(reader)
        self.hear(client, lines)
        if reader.is_live:
            client.last_id = reader.cursor_text  # as a beat would tell

    def page_for(self, client: Client, limit: int, scan: int) -> Page:
        cursor = client.reader.cursor
        if cursor is None:
            client.missed |= self.labels_up_to(self.logs.ends)
            return Page([], self.logs.ends)
        return page_of(self.logs.read(cursor, client.prefix.partition(" ")[0], limit, scan))

    def hear(self, client: Client, lines: list[bytes]) -> None:
        for name, cursor, data in messages(lines):
            client.last_id = cursor
            if name == "truncated":
                client.missed |= self.labels_up_to(read_cursor(cursor) or {})
            else:
                client.received.append(data["timer"]["label"])
        if not client.reader.is_live and client.reader.cursor is not None:
            client.last_id = client.reader.cursor_text

    @invariant()
    def in_order_and_without_gaps(self) -> None:
        for client in getattr(self, "clients", ()):
            assert len(set(client.received)) == len(client.received)
            for received, expected in self.by_log(client):
                assert received == expected[: len(received)]

    def by_log(self, client: Client) -> Iterator[tuple[list[str], list[str]]]:
        """For each log: what the client has received of it, and what it is to receive."""
        prefix = client.prefix.encode()
        for log in self.logs.by_id.values():
            labels = {event.timer.label for event in log.events} - client.missed
            expected = [event.timer.label for event in log.events if topic_of(event).startswith(prefix)]
            yield (
                [label for label in client.received if label in labels],
                [label for label in expected if label in labels],
            )

    def new_reader(self, prefix: str, cursor: Mapping[str, int] | None) -> Reader:
        return self.feed.open(prefix, cursor, lambda: None)

    def labels_up_to(self, cursor: Mapping[str, int]) -> set[str]:
        """The labels of all events up to a cursor."""
        return {
            event.timer.label
            for log_id, log in self.logs.by_id.items()
            for event in log.events[: cursor.get(log_id, 0)]
        }

    def log_id(self, place: int) -> str:
        return list(self.logs.by_id)[place % len(self.logs.by_id)]

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            for place, client in enumerate(self.clients):
                if client.is_away:
                    self.leave_or_return(place)
            for _ in range(60):
                self.follow(5, 8)
                for client in self.clients:
                    self.step(client, 5, 8)
            for client in self.clients:
                assert client.reader.is_live
                assert all(received == expected for received, expected in self.by_log(client))
                assert client.last_id == text_of(self.logs.ends)
        finally:
            for patch in self.patches:
                patch.stop()


TestAnyStreams = AnyStreams.TestCase
