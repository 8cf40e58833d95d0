"""First starts in columns: they are the same entries, and nothing else is taken for one."""

import pytest
from msgspec import msgpack
from msgspec.structs import fields, replace

from drivers.builders import make_timer
from timer_server.core.entries import Part, QueueEntry, ServerStarted
from timer_server.core.first_starts import FirstStarts, first_starts
from timer_server.core.model import CANCELLED, FIRED, KINDS, STARTED, Countdown, Entry, Referring, Revision, Wall
from timer_server.core.records import pack

STARTS = [
    make_timer("tea", place=7, others=2, due_at_ms=9_000),
    make_timer("order/1", place=8, others=2, due_at_ms=2**41, payload=b'{"n":1}', label="gr\u00fcn", seconds=1.5),
    make_timer("order/2", place=9, others=2, due_at_ms=0, hours=2**53),
]


def in_columns(*entries: Entry) -> FirstStarts | None:
    return first_starts(msgpack.encode(list(entries)))


def test_they_are_the_same_entries() -> None:
    starts = in_columns(*STARTS)

    assert starts is not None
    assert list(starts) == STARTS
    assert starts.ids == ["tea", "order/1", "order/2"]
    assert starts.records == list(map(pack, STARTS)), "memory holds what a start has put there"
    assert list(starts[1:]) == STARTS[1:]
    assert starts[2] == STARTS[2]
    assert type(starts[0]) is Countdown


WALL = Wall("2030-01-01T00:00", None, 9_000, fires_late=False, ahead_ms=0)


@pytest.mark.parametrize(
    "other",
    [
        *(replace(STARTS[0], kind_number=kind) for kind in range(len(KINDS)) if kind != STARTED),
        replace(STARTS[0], due_at_ms=None),
        replace(STARTS[0], revision=Revision(2)),
        replace(STARTS[0], revision=Revision(1, wall=WALL)),
        replace(STARTS[0], kind_number=FIRED, revision=Revision(2)),
        replace(STARTS[0], kind_number=CANCELLED, revision=Revision(2)),
        replace(STARTS[0], spec_place=7),
        replace(STARTS[0], spec_place=3),
        STARTS[0].traced(b"trace"),
        Referring(9_000, 7, 2, STARTED, 1_000, "tea", 8_000, None, 3),
        QueueEntry(None, 7, 3, 1_000, "q", Part.CHANGE, b""),
        ServerStarted(None, 7, 3, 1_000),
    ],
)
def test_nothing_else_is_one_of_them(other: Entry) -> None:
    assert in_columns(other) is None
    assert in_columns(STARTS[1], other, STARTS[2]) is None


def test_what_no_timer_can_be_is_left_to_whoever_says_so() -> None:
    """Each field is looked at as a whole decoding does, though only some are needed at once."""
    for field in fields(Countdown):
        for wrong in (-1, [], b"\xff"):
            values = [1, *(getattr(STARTS[0], name) for name in Countdown.__struct_fields__)]
            values[1 + Countdown.__struct_fields__.index(field.name)] = wrong
            body = msgpack.encode([values])
            try:
                msgpack.decode(body, type=list[Countdown])
            except ValueError:
                assert first_starts(body) is None, (field.name, wrong)
    for body in (b"", b"\x90", b"\xc1", b"\x91", msgpack.encode([[1, 2, 3]]), msgpack.encode(STARTS) + b"\0"):
        assert first_starts(body) is None


def test_where_they_stand() -> None:
    starts = in_columns(*STARTS)

    assert starts is not None
    assert starts.last_place == 9
    assert [starts.are_at(7, 2), starts.are_at(6, 2), starts.are_at(7, 1)] == [True, False, False]
    assert [starts.are_between(6, 9), starts.are_between(0, 10)] == [True, True]
    assert [starts.are_between(7, 9), starts.are_between(6, 8)] == [False, False]


@pytest.mark.parametrize("places", [(7, 9, 8), (7, 7, 8), (7, 9, 10)])
def test_a_gap_and_a_wrong_order_are_seen(places: tuple[int, ...]) -> None:
    starts = in_columns(*(replace(start, place=place) for start, place in zip(STARTS, places, strict=True)))

    assert starts is not None
    assert not starts.are_at(7, 2)
    assert starts.are_between(0, 10) == (list(places) == sorted(set(places)))


def test_others_that_change_in_between_are_seen() -> None:
    starts = in_columns(STARTS[0], replace(STARTS[1], others=3), STARTS[2])

    assert starts is not None
    assert not starts.are_at(7, 2)
