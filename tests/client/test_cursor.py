"""The event cursor: whatever the events socket drops, delays or repeats, each event once and in order. No sockets."""

from collections import deque

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from client.fake_server import timer
from timer_client import BadReply, EventsTruncated
from timer_client.cursor import EventCursor
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.messages import Beat, Event, EventPage

IDS = ("order/4", "order/42", "tea")
KINDS = ("started", "paused", "fired")


def _event(seq: int, timer_id: str = "tea", kind: str = "started") -> Event:
    return Event(seq, kind, 0, timer(id=timer_id))  # type: ignore[arg-type]


def _heard(cursor: EventCursor, event: Event) -> Event | None:
    return cursor.hear([event_topic(event.timer.id, event.kind), msgspec.json.encode(event)])


def _beat(cursor: EventCursor, seq: int) -> None:
    assert cursor.hear([BEAT_TOPIC, msgspec.json.encode(Beat(seq, 0))]) is None


def _page(events: list[Event], following: int) -> EventPage:
    return EventPage(events, following, truncated=False)


def _caught_up(after: int = 5) -> EventCursor:
    cursor = EventCursor("", after)
    assert cursor.behind
    assert cursor.take(_page([], after)) == []
    assert not cursor.behind
    return cursor


def test_it_begins_behind_and_reads_until_the_log_has_no_more() -> None:
    cursor = EventCursor("", 0)
    assert cursor.behind
    assert cursor.take(_page([_event(1), _event(2)], 2)) == [_event(1), _event(2)]
    assert cursor.behind
    assert cursor.take(_page([], 2)) == []
    assert not cursor.behind


def test_the_very_next_event_is_handed_out_at_once() -> None:
    cursor = _caught_up()
    assert _heard(cursor, _event(6)) == _event(6)
    assert cursor.seq == 6
    assert not cursor.behind


def test_what_was_seen_is_dropped() -> None:
    cursor = _caught_up()
    assert _heard(cursor, _event(5)) is None
    assert _heard(cursor, _event(3)) is None
    assert not cursor.behind


def test_an_event_further_ahead_is_read_and_not_trusted() -> None:
    cursor = _caught_up()
    assert _heard(cursor, _event(8)) is None
    assert cursor.behind
    assert cursor.take(_page([_event(6), _event(8)], 8)) == [_event(6), _event(8)]
    assert not cursor.behind
    assert _heard(cursor, _event(8)) is None


def test_a_beat_ahead_shows_that_something_was_dropped() -> None:
    cursor = _caught_up()
    _beat(cursor, 5)
    assert not cursor.behind
    _beat(cursor, 7)
    assert cursor.behind
    cursor.take(_page([], 7))
    assert cursor.seq == 7
    assert not cursor.behind


def test_reading_goes_on_where_a_page_ends_before_what_was_heard() -> None:
    cursor = _caught_up()
    _beat(cursor, 9)
    cursor.take(_page([_event(6)], 6))
    assert cursor.behind
    cursor.take(_page([_event(9)], 9))
    assert not cursor.behind


def test_a_log_that_does_not_have_what_was_announced_is_not_asked_for_ever() -> None:
    cursor = _caught_up()
    _beat(cursor, 9)
    cursor.take(_page([], 5))
    assert not cursor.behind


def test_a_new_connection_reads_again() -> None:
    cursor = _caught_up()
    cursor.resync()
    assert cursor.behind


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"tea fired"],
        [b"tea fired", b"", b""],
        [b"tea fired", b"what?"],
        [b"~beat", b"{}"],
        [b"tea fired", b'{"seq":6}'],
        [b"tea fired", b"\xff"],
    ],
)
def test_what_is_no_event_is_a_bad_reply(frames: list[bytes]) -> None:
    cursor = _caught_up()
    with pytest.raises(BadReply):
        cursor.hear(frames)
    assert cursor.seq == 5


def _truncated(events: list[Event], following: int) -> EventPage:
    return EventPage(events, following, truncated=True)


def test_a_beat_from_before_may_be_late() -> None:
    cursor = _caught_up()
    _beat(cursor, 2)
    assert cursor.behind
    assert cursor.take(_page([], 5)) == []
    assert not cursor.behind


def test_a_log_that_began_anew_is_told_and_leads_to_its_end() -> None:
    cursor = _caught_up()
    _beat(cursor, 2)
    assert cursor.take(_truncated([], 2)) == []
    assert cursor.behind
    with pytest.raises(EventsTruncated) as caught:
        cursor.take(_page([], 2))
    assert (caught.value.asked_after, caught.value.resume_after) == (5, 2)


def test_what_retention_left_is_handed_out_before_the_loss_is_told() -> None:
    cursor = EventCursor("", 3)
    assert cursor.take(_truncated([_event(5), _event(6)], 6)) == [_event(5), _event(6)]
    assert cursor.take(_truncated([_event(8)], 10)) == [_event(8)]
    with pytest.raises(EventsTruncated) as caught:
        cursor.take(_page([_event(11)], 11))
    assert (caught.value.asked_after, caught.value.resume_after) == (3, 10)
    resumed = EventCursor("", caught.value.resume_after)
    assert resumed.take(_page([_event(11)], 11)) == [_event(11)]


def test_a_truncated_log_that_leads_nowhere_is_left() -> None:
    cursor = EventCursor("", 3)
    with pytest.raises(EventsTruncated):
        cursor.take(_truncated([], 3))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("order/4", [1, 2, 3]),
        ("order/4 ", [1]),
        ("order/42 fired", [3]),
        ("order/42 f", [3]),
        ("x", []),
    ],
)
def test_a_prefix_is_matched_against_id_and_kind(prefix: str, expected: list[int]) -> None:
    log = [_event(1, "order/4"), _event(2, "order/42"), _event(3, "order/42", "fired"), _event(4, "tea")]
    cursor = EventCursor(prefix, 0)
    selected = [event for event in log if event.timer.id.startswith(cursor.id_prefix)]
    assert [event.seq for event in cursor.take(_page(selected, 4))] == expected
    assert cursor.topics == (prefix.encode(), BEAT_TOPIC)


@settings(max_examples=300, stateful_step_count=60)
class AnyWeather(RuleBasedStateMachine):
    """A server's log, an events socket that drops and delays as it likes, and a watcher that follows the rule."""

    @initialize(prefix=st.sampled_from(["", "order/", "order/42 ", "order/42 fired", "tea"]), before=st.integers(0, 3))
    def begin(self, prefix: str, before: int) -> None:
        self.prefix = prefix.encode()
        self.log: list[Event] = []
        self.wire: deque[tuple[bytes, bytes]] = deque()
        self.connected = True
        for _ in range(before):
            self.happen("order/42", "fired", arrives=False)
        self.first = len(self.log)
        self.cursor = EventCursor(prefix, self.first)
        self.handed_out: list[int] = []

    @rule(timer_id=st.sampled_from(IDS), kind=st.sampled_from(KINDS), arrives=st.booleans())
    def happen(self, timer_id: str, kind: str, arrives: bool) -> None:
        event = _event(len(self.log) + 1, timer_id, kind)
        self.log.append(event)
        topic = event_topic(timer_id, kind)
        if arrives and self.connected and topic.startswith(self.prefix):
            self.wire.append((topic, msgspec.json.encode(event)))

    @rule(arrives=st.booleans())
    def beat(self, arrives: bool) -> None:
        if arrives and self.connected:
            self.wire.append((BEAT_TOPIC, msgspec.json.encode(Beat(len(self.log), 0))))

    @precondition(lambda self: self.connected)
    @rule(keep=st.booleans())
    def lose_connection(self, keep: bool) -> None:
        self.connected = False
        if not keep:
            self.wire.clear()

    @precondition(lambda self: not self.connected)
    @rule(noticed=st.booleans())
    def connect_again(self, noticed: bool) -> None:
        self.connected = True
        if noticed:
            self.cursor.resync()

    @rule(limit=st.integers(1, 3), scanned=st.integers(1, 4))
    def step(self, limit: int, scanned: int) -> None:
        """What a watcher does next: read if it is behind, otherwise listen."""
        if self.cursor.behind:
            self.handed_out += [event.seq for event in self.cursor.take(self.read(limit, scanned))]
        elif self.wire:
            event = self.cursor.hear(self.wire.popleft())
            self.handed_out += [] if event is None else [event.seq]

    def read(self, limit: int, scanned: int) -> EventPage:
        """A page as the server reads it: some of the log after `seq`, filtered by the ids' prefix."""
        window = self.log[self.cursor.seq :][:scanned]
        found = [event for event in window if event.timer.id.startswith(self.cursor.id_prefix)]
        if len(found) > limit:
            return _page(found[:limit], found[limit - 1].seq)
        return _page(found, self.cursor.seq + len(window))

    @invariant()
    def in_order_and_without_gaps(self) -> None:
        if hasattr(self, "cursor"):
            assert self.handed_out == self.expected()[: len(self.handed_out)]

    def expected(self) -> list[int]:
        """The events that match, from where the watcher began."""
        return [
            event.seq
            for event in self.log[self.first :]
            if event_topic(event.timer.id, event.kind).startswith(self.prefix)
        ]

    def teardown(self) -> None:
        if hasattr(self, "cursor"):
            self.connected = True
            self.beat(arrives=True)
            while self.wire or self.cursor.behind:
                self.step(2, 3)
            assert self.handed_out == self.expected()


TestAnyWeather = AnyWeather.TestCase
