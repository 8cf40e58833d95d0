"""Blocks: what of a log shares a row, and what comes out of it again."""

import pytest

from store.stores import event, places
from timer_server.core.model import Countdown
from timer_server.core.records import pack
from timer_server.store.blocks import (
    BLOCK_BYTES,
    BLOCK_ENTRIES,
    Row,
    entries_of,
    entry_in,
    parts_of,
    to_row,
    to_rows,
    without,
)
from timer_server.store.integrity import Damage


def rows_of(events: list[Countdown]) -> list[Row]:
    return list(to_rows(list(map(pack, events))))


def test_events_share_a_block_as_long_as_they_are_few() -> None:
    events = [event(place) for place in range(1, 2 * BLOCK_ENTRIES + 6)]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [BLOCK_ENTRIES, 2 * BLOCK_ENTRIES, 2 * BLOCK_ENTRIES + 5]
    assert [found for row in rows for found in entries_of(row)] == events


def test_of_larger_ones_fewer_share_a_block() -> None:
    payload = b'"' + b"x" * (BLOCK_BYTES // 4) + b'"'
    events = [event(place, payload=payload) for place in range(1, 9)]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [3, 6, 8]
    assert [found for row in rows for found in entries_of(row)] == events


def test_the_largest_have_a_block_each() -> None:
    payload = b'"' + b"x" * 3 * BLOCK_BYTES + b'"'
    events = [event(1), *(event(place, payload=payload) for place in range(2, 5))]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert [found for row in rows for found in entries_of(row)] == events


def test_one_is_found_by_its_place() -> None:
    events = [event(place) for place in range(11, 16)]
    (row,) = rows_of(events)

    assert [entry_in(row, place) for place in range(11, 16)] == events
    assert [entry_in(row, place) for place in (1, 10)] == [None, None]


def test_one_is_found_in_what_pruning_has_left() -> None:
    (row,) = rows_of([event(place) for place in range(11, 17)])

    left, removed = without(row, {12, 13, 16, 99})

    assert left is not None
    assert (left[0], removed) == (16, 3)
    assert places(entries_of(left)) == [11, 14, 15]
    assert [entry_in(left, place) for place in range(10, 18)] == [
        event(place) if place in (11, 14, 15) else None for place in range(10, 18)
    ]
    assert without(left, {11, 14, 15}) == (None, 3)
    assert without(left, {12}) == (left, 0)


@pytest.mark.parametrize("moved_to", [(2, 3), (4, 3), (3, 2), (3, 4)])
def test_one_that_was_moved_is_noticed(moved_to: tuple[int, int]) -> None:
    _, _, body, checksum = to_row(3, 3, [pack(event(3))])

    with pytest.raises(Damage, match=f"up to {moved_to[0]} does not match"):
        entries_of((*moved_to, body, checksum))
    with pytest.raises(Damage, match="does not match its checksum"):
        parts_of((*moved_to, body, checksum))
