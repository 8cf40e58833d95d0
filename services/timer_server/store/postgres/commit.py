"""The fenced commit as values: from what turns write in some shards to the parameters of the one statement, and from
its rows to what was done. It neither sends nor waits."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from timer_server.core.ledger import Changes
from timer_server.store.base import Anchor
from timer_server.store.blocks import Row, to_rows, without
from timer_server.store.postgres.arrays import bytea_array, int4_array, int8_array
from timer_server.store.state import LogState, state_to_row

Write = tuple[Changes, Anchor | None]
"""What one turn writes in a log."""


class ShardCommit(Struct, frozen=True, gc=False):
    """What a commit does in one shard.

    `epoch` and `last_place` have to be those of its row; `state` and the blocks are what it holds afterwards. All are
    absolute, so a commit that was sent, and of which nothing is known, may be sent again, with a raised epoch.
    """

    number: int
    epoch: int
    last_place: int
    state: LogState
    inserted: list[Row]
    rewritten: list[Row]
    deleted: list[int]
    """The last places of blocks of which nothing is left."""


class Done(NamedTuple):
    """What the statement has done: the shards that were written to, and what PostgreSQL says of itself.

    `standbys` is `synchronous_standby_names`, `backend` the process that has done it; both are of no use where no shard
    was written to.
    """

    shards: frozenset[int]
    standbys: str
    backend: int


def compose(
    number: int,
    epoch: int,
    state: LogState,
    writes: Sequence[Write],
    blocks_with: Callable[[Sequence[int]], Iterable[Row]],
) -> ShardCommit:
    """The commit of some turns in a shard whose row holds this epoch and state.

    `blocks_with` finds the stored blocks in which some places stand, each once. Raises `Damage`.
    """
    last_place = state.ends.last_place
    obsolete = {place for changes, _ in writes for place in changes.obsolete}
    stored = {place for place in obsolete if place <= last_place}
    rewritten, deleted, removed = _pruned(blocks_with(sorted(stored)), stored) if stored else ([], [], 0)
    inserted, left_out = _new_blocks([changes for changes, _ in writes], obsolete - stored)
    for turn, (changes, anchor) in enumerate(writes, 1):
        state = state.after(changes, removed + left_out if turn == len(writes) else 0, anchor)
    return ShardCommit(number, epoch, last_place, state, inserted, rewritten, deleted)


def _pruned(rows: Iterable[Row], obsolete: set[int]) -> tuple[list[Row], list[int], int]:
    """Stored blocks without obsolete entries: those of which something is left, the others, and how many entries go."""
    rewritten, deleted, removed = [], [], 0
    for row in rows:
        left, count = without(row, obsolete)
        removed += count
        if left is None:
            deleted.append(row[0])
        elif count:
            rewritten.append(left)
    return rewritten, deleted, removed


def _new_blocks(turns: Sequence[Changes], obsolete: set[int]) -> tuple[list[Row], int]:
    """The blocks of new entries, and how many entries are left out, as they are obsolete already."""
    rows = list(to_rows(list(chain.from_iterable(changes.records for changes in turns))))
    if not obsolete:
        return rows, 0
    kept, left_out = [], 0
    for row in rows:
        left, count = without(row, obsolete)
        left_out += count
        if left is not None:
            kept.append(left)
    return kept, left_out


def parameters(owner: UUID, commits: Sequence[ShardCommit]) -> list[bytes]:
    """The parameters of `statements.COMMIT`, in binary."""
    states = [state_to_row(commit.state) for commit in commits]
    deleted = [(commit.number, place) for commit in commits for place in commit.deleted]
    rewritten = [(commit.number, row) for commit in commits for row in commit.rewritten]
    inserted = [(commit.number, row) for commit in commits for row in commit.inserted]
    return [
        owner.bytes,
        int4_array([commit.number for commit in commits]),
        int8_array([commit.epoch for commit in commits]),
        int8_array([commit.last_place for commit in commits]),
        int8_array([commit.state.ends.last_place for commit in commits]),
        bytea_array([body for body, _ in states]),
        int8_array([checksum for _, checksum in states]),
        int4_array([number for number, _ in deleted]),
        int8_array([place for _, place in deleted]),
        int4_array([number for number, _ in rewritten]),
        int8_array([row[0] for _, row in rewritten]),
        bytea_array([row[2] for _, row in rewritten]),
        int8_array([row[3] for _, row in rewritten]),
        int4_array([number for number, _ in inserted]),
        int8_array([row[0] for _, row in inserted]),
        int8_array([row[1] for _, row in inserted]),
        bytea_array([row[2] for _, row in inserted]),
        int8_array([row[3] for _, row in inserted]),
    ]


def done(rows: Sequence[Sequence[bytes]]) -> Done:
    """What the rows of the statement say, in binary."""
    shards = frozenset(int.from_bytes(row[0], "big") for row in rows)
    standbys, backend = (rows[0][1].decode(), int.from_bytes(rows[0][2], "big")) if rows else ("", 0)
    return Done(shards, standbys, backend)
