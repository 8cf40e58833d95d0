"""Loading the log of a shard without waiting: exchanges that pause wherever others may have their turn.

A server that has taken a shard does

    def begin(state: LogState, holder_at: HolderAt) -> Restoring:
        header = store.opened(epoch, state)
        ...  # makes the engine, on a log of this store
        return engine.restoring(header.ends, holder_at)

    line.begin(loading(connection, number, epoch, begin), now_ns)

and has the line go on in each turn, as with any exchange. One that is to be given a shard has a line do `reading_ahead`
before, and passes on what that returns. The connection has to have prepared `OF_LOADS`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from psycopg.pq.abc import PGconn

from timer_server.core.model import Countdown, Entry
from timer_server.core.restoring import HolderAt, Restoring
from timer_server.store.blocks import Row, entry_in, parts_of
from timer_server.store.integrity import Damage, verify_complete
from timer_server.store.log import holder_in
from timer_server.store.postgres.arrays import int4, int8, int8_array
from timer_server.store.postgres.exchange import Steps, asking
from timer_server.store.postgres.statements import BLOCK_KEYS, BLOCKS_WITH, SHARD, SOME_BLOCKS
from timer_server.store.postgres.store import epoch_and_state, number_of, row_of
from timer_server.store.state import LogState

Begin = Callable[[LogState, HolderAt], Restoring]
"""Begins to restore the shard whose row holds a state. `HolderAt` finds the specs that other entries refer to."""

_BLOCKS = 2048
_BYTES = 1024 * 1024
"""What is read at once: so many blocks, or those that begin within so many bytes. Blocks of a log to which a server has
written in short turns are small, and each reading waits for PostgreSQL once."""

_AHEAD_BYTES = 256 * 1024 * 1024
"""What is read ahead of a shard at most, as it is kept until the shard is loaded. The rest is read then."""

_KEYS = 2048
"""Blocks that are compared at once with what was read ahead."""

_RESTORED = 6
"""Blocks that are restored at once, of some forty entries each: within a millisecond."""

_SPECS = 64
"""Specs in other entries, of up to 64 KiB each, that are read at once, as each reading waits for PostgreSQL."""


class Ahead:
    """The blocks of a shard as they were read while another server still wrote to it."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows = {row[0]: row for row in rows}
        self.last_place = max(self._rows, default=0)

    def find(self, last_place: int, checksum: int, size: int) -> Row | None:
        """The block with this key, if nothing was taken out of it since: that makes it shorter."""
        row = self._rows.get(last_place)
        return row if row is not None and (row[3], len(row[2])) == (checksum, size) else None


def reading_ahead(connection: PGconn, number: int, goes_on: Callable[[], bool]) -> Steps[Ahead | None]:
    """Reads the log of a shard that another server writes to. Raises a `Fault`.

    It ends where one reading has found all there was: a server that writes without a pause always adds something. Where
    it is to go on no longer, it ends with nothing.
    """
    rows: list[Row] = []
    size = 0
    while size < _AHEAD_BYTES:
        some = yield from _blocks_after(connection, number, rows[-1][0] if rows else 0)
        some_size = sum(len(row[2]) for row in some)
        rows += some
        size += some_size
        if len(some) < _BLOCKS and some_size < _BYTES:
            break
        yield None
        if not goes_on():
            return None
    return Ahead(rows)


def loading(
    connection: PGconn, number: int, epoch: int, begin: Begin, ahead: Ahead | None = None
) -> Steps[LogState | None]:
    """Loads the log of a shard, and returns what its row holds; None where it is in another epoch by now.

    The epoch has to be durable, so that nobody else writes to the log. What was read ahead and is still so is not read
    again. Raises a `Fault`, such as `Damage` where the log is not whole, or does not end where its row says.
    """
    state = yield from _state(connection, number, epoch)
    if state is None:
        return None
    try:
        yield from _loaded(connection, number, _Restored(state, begin), ahead or Ahead())
    except Damage:
        if (yield from _state(connection, number, epoch)) is None:  # its new owner has taken something out meanwhile
            return None
        raise
    return state


def _state(connection: PGconn, number: int, epoch: int) -> Steps[LogState | None]:
    """What the row of a shard holds; None where it is in another epoch."""
    rows = (yield from asking(connection, SHARD, [int4(number)])).rows
    if not rows:
        raise Damage(f"shard {number} is missing")
    found, state = epoch_and_state(rows[0])
    return state if found == epoch else None


def _loaded(connection: PGconn, number: int, restored: "_Restored", ahead: Ahead) -> Steps[None]:
    place = 0
    while rows := (yield from _known_or_read(connection, number, place, ahead)):
        place = rows[-1][0]
        for start in range(0, len(rows), _RESTORED):
            yield None
            restored.look_at(rows[start : start + _RESTORED])
            if len(restored.needed) >= _SPECS or start + _RESTORED >= len(rows):
                if restored.needed:
                    restored.specs = yield from _specs(connection, number, restored.needed)
                while restored.take():
                    yield None
    yield None
    restored.finish()


class _Restored:
    """A log that is restored some blocks at a time. Several times so many are looked at before the first are taken, to
    read the specs for all of them together."""

    def __init__(self, state: LogState, begin: Begin) -> None:
        self.specs: Mapping[int, Countdown] = {}
        """The specs that stand in other entries and are needed for the blocks looked at, by their places."""
        self._next: deque[Sequence[Entry]] = deque()
        self._verified = verify_complete(self._handed_on(), state.held, state.ends)
        self._restoring = begin(state, lambda place: self.specs[place])
        self._needed = self._restoring.specs_needed()

    @property
    def needed(self) -> set[int]:
        """The places of the specs that have to be read for the blocks looked at."""
        return self._needed.places

    def look_at(self, rows: Sequence[Row]) -> None:
        """Decodes the next blocks. Raises `Damage`."""
        for part in map(parts_of, rows):
            self._next.append(part)
            self._needed.look_at(part)

    def take(self) -> bool:
        """Takes up some of what was looked at; False once that was all. Raises `Damage` where entries are missing."""
        for block in islice(self._verified, min(_RESTORED, len(self._next))):
            self._restoring.take(block)
        if not self._next:
            self._needed = self._restoring.specs_needed()
        return bool(self._next)

    def finish(self) -> None:
        """Ends the restore. Raises `Damage` where the log ends too early."""
        deque(self._verified, maxlen=0)  # all blocks were taken: it looks at where they end
        self._restoring.finish()

    def _handed_on(self) -> Iterator[Sequence[Entry]]:
        """The blocks that were looked at; it ends where more are asked for."""
        while self._next:
            yield self._next.popleft()


def _known_or_read(connection: PGconn, number: int, place: int, ahead: Ahead) -> Steps[list[Row]]:
    """The next blocks behind a place: as they were read ahead, where they are still so, or as they are read now."""
    if place < ahead.last_place:
        values = [int4(number), int8(place), int8(ahead.last_place), int4(_KEYS)]
        keys = [tuple(map(number_of, key)) for key in (yield from asking(connection, BLOCK_KEYS, values)).rows]
        if keys:
            known = {key[0]: ahead.find(*key) for key in keys}
            changed = [last_place for last_place, row in known.items() if row is None]
            read = (yield from _blocks_with(connection, number, changed)) if changed else {}
            found = [row or read.get(last_place) for last_place, row in known.items()]
            return [row for row in found if row is not None]  # one that is missing now is noticed as the others are
        place = ahead.last_place
    return (yield from _blocks_after(connection, number, place))


def _blocks_after(connection: PGconn, number: int, place: int) -> Steps[list[Row]]:
    values = [int4(number), int8(place), int4(_BLOCKS), int8(_BYTES)]
    return list(map(row_of, (yield from asking(connection, SOME_BLOCKS, values)).rows))


def _blocks_with(connection: PGconn, number: int, places: Iterable[int]) -> Steps[dict[int, Row]]:
    """The blocks in which some places stand, by their last places."""
    rows = (yield from asking(connection, BLOCKS_WITH, [int4(number), int8_array(sorted(places))])).rows
    return {row[0]: row for row in map(row_of, rows)}


def _specs(connection: PGconn, number: int, places: set[int]) -> Steps[Mapping[int, Countdown]]:
    """The entries at some places, which hold the specs of others. Raises `Damage`."""
    rows = yield from _blocks_with(connection, number, places)
    found: dict[int, Countdown] = {}
    for place in sorted(places):
        row = next((row for last_place, row in rows.items() if last_place >= place), None)
        entry = None if row is None else entry_in(row, place)
        if entry is None:
            raise Damage(f"entry {place} is missing, to which others refer for a spec")
        spec = holder_in(entry)
        if spec is None:
            raise Damage(f"entry {place} holds no spec, though others refer to it for one")
        found[place] = spec
    return found
