"""Blocks in memory: the ends of logs, as far as they fit, and nothing that is not the very same in the database."""

from timer_server.store.blocks import Row
from timer_server.store.postgres.recent import RecentBlocks


def row(place: int, seq: int | None = None, size: int = 800) -> Row:
    return place, place if seq is None else seq, bytes(size), 0


def found(rows: list[Row]) -> list[int]:
    return [row[0] for row in rows]


def test_a_tail_holds_what_was_committed_behind_its_beginning() -> None:
    tail = RecentBlocks().tail(10, 8)
    tail.change([row(12, 9), row(15, 9), row(17, 11)], [], [])

    assert tail.begin == 10
    assert found(tail.rows_after(10, 9)) == [12, 15, 17]
    assert found(tail.rows_after(12, 1)) == [15]
    assert found(tail.rows_after(17, 9)) == []
    assert [tail.place_before_those_after(seq) for seq in (7, 8, 9, 10, 11, 12)] == [None, 10, 15, 15, 17, 17]


def test_changes_of_blocks_are_taken_up_and_those_from_before_are_not_its_business() -> None:
    tail = RecentBlocks().tail(10, 10)
    tail.change([row(12), row(14), row(16)], [], [])
    left = row(14, size=7)
    tail.change([], [left, row(9)], [12, 8])

    assert tail.rows_after(10, 9) == [left, row(16)]
    assert tail.place_before_those_after(10) == 10


def test_what_was_committed_first_goes_first_over_all_logs() -> None:
    recent = RecentBlocks(most_bytes=10_000)
    one, two = recent.tail(0, 0), recent.tail(0, 0)
    for place in range(1, 9):
        one.change([row(place)], [], [])
        two.change([row(place)], [], [])

    assert (one.begin, two.begin) == (4, 4)
    assert found(one.rows_after(4, 99)) == [5, 6, 7, 8]
    assert one.place_before_those_after(3) is None
    assert one.place_before_those_after(4) == 4


def test_it_forgets_for_ever_without_growing() -> None:
    tail = RecentBlocks(most_bytes=10_000).tail(0, 0)
    for place in range(1, 1_000):
        tail.change([row(place)], [], [place] if place % 3 == 0 else [])

    assert found(tail.rows_after(tail.begin, 99)) == [place for place in range(992, 1_000) if place % 3]
    assert len(tail._places) < 50
