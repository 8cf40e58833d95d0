"""The fenced commit as values: what turns write in a shard, before anything is sent."""

from collections.abc import Iterable, Sequence
from itertools import chain
from uuid import UUID

from store.stores import changes, event, other, places
from timer_server.core.ledger import Changes, LogEnds
from timer_server.store.base import Anchor
from timer_server.store.blocks import Row, entries_of, to_rows
from timer_server.store.postgres.commit import Done, ShardCommit, compose, done, parameters
from timer_server.store.postgres.statements import COMMIT
from timer_server.store.state import LogState

ANCHOR, LATER = Anchor("a boot", 1, 2, 3), Anchor("a boot", 4, 5, 6)
STATE = LogState("log", 7, 4, LogEnds(0, 0, 4, 4))


def rows(*turns: Changes) -> list[Row]:
    return [row for turn in turns for row in to_rows(turn.records)]


def composed(*writes: tuple[Changes, Anchor | None], stored: Iterable[Row] = ()) -> ShardCommit:
    def blocks_with(wanted: Sequence[int]) -> list[Row]:
        found = {row[0]: row for place in wanted for row in stored if place <= row[0]}
        return [row for row in found.values() if any(entry.place in wanted for entry in entries_of(row))]

    return compose(3, 9, STATE, writes, blocks_with)


def inserted(commit: ShardCommit) -> list[int]:
    return places(chain.from_iterable(map(entries_of, commit.inserted)))


def test_several_turns_are_one_commit_behind_what_is_stored() -> None:
    commit = composed(
        (changes(event(5), event(6)), ANCHOR), (changes(other(7)), None), (changes(event(8, others=1)), LATER)
    )

    assert (commit.number, commit.epoch, commit.last_place) == (3, 9, 4)
    assert inserted(commit) == [5, 6, 7, 8]
    assert (commit.rewritten, commit.deleted) == ([], [])
    assert commit.state == LogState("log", 10, 8, LogEnds(0, 0, 8, 7), 8000, LATER)


def test_turns_share_blocks() -> None:
    assert len(composed(*((changes(event(place)), None) for place in range(5, 25))).inserted) == 1


def test_obsolete_entries_leave_their_blocks_and_blocks_without_any_go() -> None:
    stored = rows(changes(event(1), event(2)), changes(event(3)), changes(event(4)))

    commit = composed(
        (changes(event(5), obsolete=(1,), horizon=1), None), (changes(obsolete=(3, 5), horizon=3), None), stored=stored
    )

    assert [places(entries_of(row)) for row in commit.rewritten] == [[2]]
    assert commit.deleted == [3]
    assert inserted(commit) == []  # the entry 5 was obsolete before it was sent
    assert (commit.state.held, commit.state.ends) == (2, LogEnds(3, 3, 5, 5))


def test_the_parameters_are_those_of_the_statement() -> None:
    commit = composed((changes(event(5)), None))

    values = parameters(UUID(int=1), [commit, commit])

    assert len(values) == len(COMMIT.types)
    assert values[0] == UUID(int=1).bytes
    assert values[1] == bytes.fromhex("00000001 00000000 00000017 00000002 00000001 0000000400000003 0000000400000003")


def test_what_the_rows_say() -> None:
    assert done([(b"\0\0\0\3", b"s1", b"\0\0\1\0"), (b"\0\0\0\5", b"s1", b"\0\0\1\0")]) == Done(
        frozenset({3, 5}), "s1", 256
    )
    assert done([]).shards == frozenset()
