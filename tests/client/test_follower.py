"""The follower: whatever the events socket drops, delays or repeats, each event once and in order. No sockets."""

import msgspec
import pytest

from client.model_logs import event, topic_of
from client.model_servers import events_of, info_of
from timer_client import BadReply, Cursor, EventsTruncated
from timer_client.follower import Follower
from timer_client.vigil import SILENCE_S
from timer_protocol.frames import BEAT_TOPIC
from timer_protocol.messages import Beat, Event, EventPage, LogStanding


def _heard(follower: Follower, event: Event) -> Event | None:
    return follower.hear([topic_of(event), msgspec.json.encode(event)])


def _beat(follower: Follower, version: int = 1, **seqs: int) -> None:
    beat = Beat({log: LogStanding(seq, 0) for log, seq in seqs.items()}, version)
    assert follower.hear([BEAT_TOPIC, msgspec.json.encode(beat)]) is None


def _taken(follower: Follower, *events: Event, more: bool = False, truncated: bool = False, **ends: int) -> list[Event]:
    return list(follower.take(EventPage(list(events), ends, more, truncated)))


def _caught_up(**positions: int) -> Follower:
    follower = Follower("", Cursor(positions))
    assert follower.behind
    assert _taken(follower, **positions) == []
    assert not follower.behind
    return follower


def test_it_begins_behind_and_reads_until_there_is_no_more() -> None:
    follower = Follower("", Cursor())
    assert follower.behind
    assert _taken(follower, event(1), event(2), more=True, a=2) == [event(1), event(2)]
    assert follower.behind
    assert _taken(follower, event(3), a=3) == [event(3)]
    assert not follower.behind


def test_without_a_cursor_it_begins_where_the_logs_end() -> None:
    follower = Follower("", None)
    assert not follower.has_begun
    follower.begin(info_of({"a": 5, "b": 2}))
    assert (follower.has_begun, follower.behind, follower.cursor) == (True, True, Cursor({"a": 5, "b": 2}))


def test_the_very_next_event_of_its_log_is_handed_out_at_once() -> None:
    follower = _caught_up(a=5, b=17)
    assert _heard(follower, event(18, log="b")) == event(18, log="b")
    assert _heard(follower, event(6, log="a")) == event(6, log="a")
    assert follower.cursor == Cursor({"a": 6, "b": 18})
    assert not follower.behind


def test_what_was_seen_is_dropped() -> None:
    follower = _caught_up(a=5)
    assert _heard(follower, event(5)) is None
    assert _heard(follower, event(3)) is None
    assert not follower.behind


@pytest.mark.parametrize("early", [event(8), event(6, log="b"), event(1, log="b")])
def test_an_event_that_is_not_known_to_be_the_next_is_read_and_not_trusted(early: Event) -> None:
    follower = _caught_up(a=5)
    assert _heard(follower, early) is None
    assert follower.behind
    assert follower.cursor == Cursor({"a": 5})
    assert _taken(follower, event(6), early, a=8, b=6) == [event(6), early]
    assert not follower.behind
    assert _heard(follower, early) is None
    assert not follower.behind


@pytest.mark.parametrize("seqs", [{"a": 7}, {"a": 2}, {"new": 0}, {"a": 5, "b": 1}])
def test_a_beat_that_differs_leads_to_a_read_and_moves_nothing(seqs: dict[str, int]) -> None:
    follower = _caught_up(a=5, b=0)
    _beat(follower, a=5)
    _beat(follower, a=5, b=0)
    assert not follower.behind
    _beat(follower, **seqs)
    assert follower.behind
    assert follower.cursor == Cursor({"a": 5, "b": 0})
    assert _taken(follower, a=7, b=1, new=0) == []
    assert follower.cursor == Cursor({"a": 7, "b": 1, "new": 0})
    assert not follower.behind


def test_a_log_that_does_not_have_what_was_announced_is_not_asked_for_ever() -> None:
    follower = _caught_up(a=5)
    _beat(follower, a=9)
    _taken(follower, a=5)
    assert not follower.behind


def test_a_new_connection_reads_again() -> None:
    follower = _caught_up(a=5)
    follower.resync()
    assert follower.behind


def test_a_log_that_no_beat_names_is_read_and_the_list_of_servers_asked_for() -> None:
    """Others may go on beating: silence is that of a log, not of a socket."""
    follower = _caught_up(a=5, b=0)
    for _ in range(2):
        for _ in range(5):
            follower.listen(SILENCE_S / 4)
            _beat(follower, a=5)
        assert (follower.behind, follower.roster.is_outdated) == (True, True)
        follower.roster.take(info_of({}))
        _taken(follower, a=5, b=0)
        assert (follower.behind, follower.roster.is_outdated) == (False, False)


def test_a_log_that_moves_to_another_server_and_has_lost_nothing_needs_no_read() -> None:
    follower = _caught_up(a=5, b=0)
    follower.listen(SILENCE_S * 0.9)
    assert 0 < follower.listens_s <= SILENCE_S * 0.1 + 0.001
    _beat(follower, b=0)
    _beat(follower, a=5)  # of its new owner
    follower.listen(SILENCE_S * 0.9)
    assert not follower.behind
    assert _heard(follower, event(6)) == event(6)
    _beat(follower, a=5)  # a late one of the old owner
    assert follower.behind


def test_all_servers_are_listened_to_once_there_are_several() -> None:
    follower = Follower("", Cursor({"a": 5}), ["tcp://given:1"])
    _taken(follower, a=5)
    _beat(follower, 1, a=5)
    assert not follower.roster.is_outdated
    _beat(follower, 3, a=5)
    assert follower.roster.is_outdated
    follower.roster.take(info_of({}, ["s1", "s2"], 2))  # of a server that does not know all yet
    assert follower.roster.endpoints == ("tcp://given:1", events_of("s1"), events_of("s2"))
    _beat(follower, 3, a=5)
    assert follower.roster.is_outdated
    follower.roster.take(info_of({}, ["s2", "s3", "*"], 3))
    assert follower.roster.endpoints == ("tcp://given:1", events_of("s2"), events_of("s3"))
    follower.roster.take(info_of({}, ["s1", "s2"], 2))
    _beat(follower, 2, a=5)
    assert follower.roster.endpoints == ("tcp://given:1", events_of("s2"), events_of("s3"))
    assert not follower.roster.is_outdated


def test_a_server_alone_is_listened_to_where_the_settings_say() -> None:
    follower = Follower("", None, ["tcp://given:1"])
    follower.begin(info_of({"a": 5}, ["s1"], 1))
    assert follower.roster.endpoints == ("tcp://given:1",)


def test_topics_of_later_servers_are_dropped() -> None:
    follower = _caught_up(a=5)
    assert follower.hear([b"~later", b"anything"]) is None
    assert not follower.behind


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"tea fired"],
        [b"tea fired", b"", b""],
        [b"tea fired", b"what?"],
        [b"~beat", b"{}"],
        [b"~beat", b'{"seq":6,"now_ms":0}'],
        [b"tea fired", b'{"seq":6}'],
        [b"tea fired", b'{"log":"a","seq":6}'],
        [b"tea fired", b"\xff"],
    ],
)
def test_what_is_no_event_is_a_bad_reply(frames: list[bytes]) -> None:
    follower = _caught_up(a=5)
    with pytest.raises(BadReply):
        follower.hear(frames)
    assert follower.cursor == Cursor({"a": 5})


def test_the_cursor_moves_with_each_event_and_at_the_end_of_its_page() -> None:
    follower = Follower("tea", Cursor({"a": 5, "b": 2}))
    page = EventPage([event(6), event(3, log="b"), event(7, "other"), event(8)], {"a": 9, "b": 4}, False, False)
    cursors = [str(follower.cursor) for _ in follower.take(page)]
    assert cursors == ["a:6,b:2", "a:6,b:3", "a:8,b:3"]
    assert str(follower.cursor) == "a:9,b:4"


def test_a_page_that_was_left_half_way_can_be_gone_on_with() -> None:
    """The name of an ancestor stays until the end of the page: events of other copied logs may still follow."""
    follower = Follower("", Cursor({"old": 5}))
    next(follower.take(EventPage([event(6), event(7)], {"a": 7}, False, False)))
    assert follower.cursor == Cursor({"a": 6, "old": 5})


def test_a_restored_log_is_followed_from_where_its_ancestor_was_left() -> None:
    follower = _caught_up(old=5)
    assert _heard(follower, event(8, log="new")) is None
    assert _taken(follower, event(6, log="new"), event(8, log="new"), new=8) == [
        event(6, log="new"),
        event(8, log="new"),
    ]
    assert follower.cursor == Cursor({"new": 8})


@pytest.mark.parametrize("found", [{"a": 2}, {"new": 2}])
def test_a_log_that_is_an_older_copy_or_another_is_told_and_leads_to_its_end(found: dict[str, int]) -> None:
    follower = _caught_up(a=5)
    _beat(follower, **found)
    with pytest.raises(EventsTruncated) as caught:
        _taken(follower, truncated=True, **found)
    assert (caught.value.asked_after, caught.value.resume_after) == (Cursor({"a": 5}), Cursor(found))


def test_what_is_left_is_handed_out_before_the_loss_is_told() -> None:
    follower = Follower("", Cursor({"a": 3}))
    assert _taken(follower, event(5), event(6), more=True, truncated=True, a=6) == [event(5), event(6)]
    rest = follower.take(EventPage([event(8)], {"a": 10}, False, False))
    assert next(rest) == event(8)
    with pytest.raises(EventsTruncated, match="some of the events after a:3 are gone; going on after a:10") as caught:
        next(rest)
    resumed = Follower("", caught.value.resume_after)
    assert _taken(resumed, event(11), a=11) == [event(11)]


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
    log = [event(1, "order/4"), event(2, "order/42"), event(3, "order/42", "fired"), event(4, "tea")]
    follower = Follower(prefix, Cursor())
    selected = [event for event in log if event.timer.id.startswith(follower.id_prefix)]
    assert [event.seq for event in _taken(follower, *selected, a=4)] == expected
    assert follower.topics == (prefix.encode(), BEAT_TOPIC)
