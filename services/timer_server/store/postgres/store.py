"""The log of one shard in PostgreSQL."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from timer_server.core.ledger import Changes
from timer_server.core.model import Entry
from timer_server.store.base import Anchor, Block, Header, ShardLost
from timer_server.store.blocks import Row, entries_of, entry_in, parts_of
from timer_server.store.integrity import Damage, verify_complete
from timer_server.store.postgres.arrays import int4, int4_array, int8, int8_array
from timer_server.store.postgres.commit import ShardCommit, Write, compose
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.statements import BLOCKS_AFTER, BLOCKS_WITH, EPOCH, PLACE_AFTER_SEQ, TAKE
from timer_server.store.state import LogState, row_to_state

_FIRST_BLOCKS = 4
_MOST_BLOCKS = 256
"""Blocks that are read in one round trip: few at first, as most readers want no more."""

_BLOCKS_OF_A_START = 2_000
"""The same where all of a log is read."""


class PostgresStore:
    """The log of the shard `number`, which `owner` takes when it opens it: the incarnation of a server.

    It commits by itself where the caller may wait. A committer that may not uses `compose`, and `landed` once that is
    durable. Several stores share a database, and `recent`.
    """

    def __init__(self, database: Database, number: int, owner: UUID, recent: RecentBlocks) -> None:
        self.number = number
        self.owner = owner
        self.epoch = 0
        self.state = LogState("")
        """What the row of the shard holds, as far as that is known to be durable."""
        self.database = database
        self._recent = recent
        self._tail = recent.tail(0, 0)

    def open(self) -> Header:
        """Takes the shard, whoever had it, and reads its header."""
        answer = self.database.write(TAKE, [self.owner.bytes, int4_array([self.number])])
        with self.database.explained(self.number):
            if not answer.rows:
                raise Damage(f"shard {self.number} is missing")
            return self.opened(*epoch_and_state(answer.rows[0]))

    def opened(self, epoch: int, state: LogState) -> Header:
        """Takes note of what the row of the shard holds, which is this server's in that epoch."""
        self.epoch, self.state = epoch, state
        self._tail = self._recent.tail(state.ends.last_place, state.ends.last_seq)
        return state.header()

    def load(self) -> Iterator[Sequence[Entry]]:
        state = self.state
        with self._explained():
            yield from verify_complete(map(parts_of, stored_blocks(self.database, self.number)), state.held, state.ends)

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        commit = self.compose([(changes, anchor)])
        if self.number not in self.database.commit(self.owner, [commit]):
            raise self._lost()
        self.landed(commit)

    def compose(self, writes: Sequence[Write]) -> ShardCommit:
        """The commit of some turns, behind all that have landed. Raises `StoreError`."""
        with self._explained():
            return compose(self.number, self.epoch, self.state, writes, self._blocks_with)

    def landed(self, commit: ShardCommit) -> None:
        """Notes that a commit is durable."""
        self.state = commit.state
        self._tail.change(commit.inserted, commit.rewritten, commit.deleted)

    def entry(self, place: int) -> Entry:
        with self._explained():
            row = next(self._rows_after(place - 1, 1), None)
            entry = None if row is None else entry_in(row, place)
            if entry is None:
                raise Damage(f"entry {place} is missing")
            return entry

    def blocks_after(self, place: int) -> Generator[Block, None, None]:
        with self._explained():
            for row in self._rows_after(place):
                yield Block(entries_of(row), len(row[2]))

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        place = self._tail.place_before_those_after(seq)
        if place is None:
            rows = self.database.ask(PLACE_AFTER_SEQ, [int4(self.number), int8(seq)]).rows
            place = number_of(rows[0][0]) - 1 if rows else self._tail.begin
        return self.blocks_after(place)

    def look_after(self) -> int | None:
        """Does nothing: the committer sees to connections, and how much room PostgreSQL has is not known."""
        return None

    def close(self) -> None:
        """Forgets what is in memory. The database is closed by itself."""
        self._tail = self._recent.tail(0, 0)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns damage into a sentence. Where another server has taken the shard, that has taken out what it needs no
        more, so nothing is damaged: raises `ShardLost`."""
        with self.database.explained(self.number):
            try:
                yield
            except Damage as damage:
                found = self.database.ask(EPOCH, [int4(self.number)]).rows
                if found and number_of(found[0][0]) != self.epoch:
                    raise self._lost() from damage
                raise

    def _lost(self) -> ShardLost:
        return ShardLost({self.number}, f"another server has taken shard {self.number}")

    def _rows_after(self, place: int, first: int = _FIRST_BLOCKS) -> Iterator[Row]:
        """The blocks that end behind a place: those from before are read, the others are in memory."""
        most = first
        while True:
            if place >= (begin := self._tail.begin):
                rows = self._tail.rows_after(place, most)
                if not rows:
                    return
            else:
                # What is stored behind the beginning may not be known to be durable.
                rows = [row for row in blocks_after(self.database, self.number, place, most) if row[0] <= begin]
            yield from rows
            place, most = rows[-1][0] if rows else begin, min(4 * most, _MOST_BLOCKS)

    def _blocks_with(self, places: Sequence[int]) -> list[Row]:
        """The blocks in which some places stand, or would stand, each once."""
        begin = self._tail.begin
        before = [place for place in places if place <= begin]
        found = {row[0]: row for row in self._stored_with(before) if row[0] <= begin} if before else {}
        end = max(found, default=0)
        for place in places:
            if place > max(begin, end) and (rows := self._tail.rows_after(place - 1, 1)):
                found[end := rows[0][0]] = rows[0]
        return list(found.values())

    def _stored_with(self, places: Sequence[int]) -> list[Row]:
        return [row_of(row) for row in self.database.ask(BLOCKS_WITH, [int4(self.number), int8_array(places)]).rows]


def stored_blocks(database: Database, number: int) -> Iterator[Row]:
    """All blocks of a shard in order. Raises `StoreError`."""
    place = 0
    while rows := blocks_after(database, number, place, _BLOCKS_OF_A_START):
        yield from rows
        place = rows[-1][0]


def blocks_after(database: Database, number: int, place: int, most: int) -> list[Row]:
    """The first blocks of a shard that end behind a place, as they are stored. Raises `StoreError`."""
    return [row_of(row) for row in database.ask(BLOCKS_AFTER, [int4(number), int8(place), int4(most)]).rows]


def row_of(row: Sequence[bytes]) -> Row:
    """A block as a statement returns it."""
    last_place, last_seq, body, checksum = row
    return number_of(last_place), number_of(last_seq), body, number_of(checksum)


def epoch_and_state(row: Sequence[bytes]) -> tuple[int, LogState]:
    """The epoch and the state in the row of a shard. Raises `Damage`."""
    number, log_id, epoch, last_place, state, checksum = row[:6]
    found = row_to_state((state, number_of(checksum)))
    if (found.log_id, found.ends.last_place) != (log_id.decode(errors="replace"), number_of(last_place)):
        raise Damage(f"the row of shard {number_of(number)} does not fit its header")
    return number_of(epoch), found


def number_of(value: bytes) -> int:
    """A number of PostgreSQL."""
    return int.from_bytes(value, "big", signed=True)
