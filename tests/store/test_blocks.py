"""Blocks: what of a log shares a row, and what comes out of it again."""

import pytest

from store.stores import event, seqs
from timer_server.core.model import Timer
from timer_server.core.records import pack
from timer_server.store.blocks import BLOCK_BYTES, BLOCK_EVENTS, Row, event_in, events_of, to_row, to_rows, without
from timer_server.store.integrity import Damage


def rows_of(events: list[Timer]) -> list[Row]:
    return list(to_rows(events, list(map(pack, events))))


def test_events_share_a_block_as_long_as_they_are_few() -> None:
    events = [event(seq) for seq in range(1, 2 * BLOCK_EVENTS + 6)]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [BLOCK_EVENTS, 2 * BLOCK_EVENTS, 2 * BLOCK_EVENTS + 5]
    assert [found for row in rows for found in events_of(row)] == events


def test_of_larger_ones_fewer_share_a_block() -> None:
    payload = b'"' + b"x" * (BLOCK_BYTES // 4) + b'"'
    events = [event(seq, payload=payload) for seq in range(1, 9)]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [3, 6, 8]
    assert [found for row in rows for found in events_of(row)] == events


def test_the_largest_have_a_block_each() -> None:
    payload = b'"' + b"x" * 3 * BLOCK_BYTES + b'"'
    events = [event(1), *(event(seq, payload=payload) for seq in range(2, 5))]

    rows = rows_of(events)

    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert [found for row in rows for found in events_of(row)] == events


def test_one_is_found_by_its_place() -> None:
    events = [event(seq) for seq in range(11, 16)]
    (row,) = rows_of(events)

    assert [event_in(row, seq) for seq in range(11, 16)] == events
    assert [event_in(row, seq) for seq in (1, 10)] == [None, None]


def test_one_is_found_in_what_pruning_has_left() -> None:
    (row,) = rows_of([event(seq) for seq in range(11, 17)])

    left, removed = without(row, {12, 13, 16, 99})

    assert left is not None
    assert (left[0], removed) == (16, 3)
    assert seqs(events_of(left)) == [11, 14, 15]
    assert [event_in(left, seq) for seq in range(10, 18)] == [
        event(seq) if seq in (11, 14, 15) else None for seq in range(10, 18)
    ]
    assert without(left, {11, 14, 15}) == (None, 3)
    assert without(left, {12}) == (left, 0)


@pytest.mark.parametrize("moved_to", [2, 4])
def test_one_that_was_moved_is_noticed(moved_to: int) -> None:
    _, body, checksum = to_row(3, [pack(event(3))])

    with pytest.raises(Damage, match=f"up to {moved_to}"):
        events_of((moved_to, body, checksum))
