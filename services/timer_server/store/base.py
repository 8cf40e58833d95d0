"""What the server asks of a store: a handful of calls about one append-only log of entries.

An entry holds the whole timer as it was right after the event. Only a large spec stands in one entry, to which the
others refer. So an entry older than retention can be removed if it is not the last of a pending timer and no other
entry refers to it.
"""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from timer_server.core.ledger import Changes, LogEnds
from timer_server.core.model import Entry


class StoreError(Exception):
    """The store cannot be used, or can no longer be trusted. The text is a sentence for the operator."""


class StoreAway(StoreError):
    """A store behind a network does not answer now. Nothing is lost, and the same call may succeed later."""


class ShardLost(StoreAway):
    """Some shards are this server's no longer. What it has not made durable of them never will be; what it could not
    read is with their next owners.

    `numbers` are those of the shards, and `events` is how many acknowledged events the store has lost of them.
    """

    def __init__(self, numbers: Collection[int], reason: str, events: int = 0) -> None:
        super().__init__(reason)
        self.numbers = frozenset(numbers)
        self.events = events


class Anchor(NamedTuple):
    """Ties the server's timeline to the world: readings taken at one moment.

    `boot_id` names the run of the operating system, `boot_ns` is the time since its start, `wall_ns` the wall
    clock's Unix time and `timeline_ns` the server's own time (see `loop.clock`). `boot_offset_ns` is by how much the
    boot clock was ahead in the server's time namespace; None where that is not known.
    """

    boot_id: str
    boot_ns: int
    wall_ns: int
    timeline_ns: int
    boot_offset_ns: int | None = None


class Notice(NamedTuple):
    """Something that opening the store has done or found, for the operator: a text, and the figures that go with it."""

    text: str
    figures: Mapping[str, int | str]
    is_warning: bool = False


class Header(NamedTuple):
    """What the store holds besides the entries.

    `log_id` names the log, and `ancestors` are the logs it was copied from, each with the `seq` at the copy.
    `last_at_ms` is when the last event happened; `anchor` is None in a new store. `notices` are about this opening.
    `is_short_of_room` says that the disk is nearly full.
    """

    log_id: str
    ends: LogEnds = LogEnds()
    last_at_ms: int = 0
    anchor: Anchor | None = None
    ancestors: Mapping[str, int] = {}
    notices: tuple[Notice, ...] = ()
    is_short_of_room: bool = False


class Block(NamedTuple):
    """Consecutive entries of the log, and the number of bytes that were read for them."""

    entries: list[Entry]
    size: int


class Store(Protocol):
    """A log of entries. Every method but `close` raises `StoreError` when it cannot do what it says."""

    def open(self) -> Header:
        """Opens the store, or makes a new one. Nobody else may have it open."""

    def load(self) -> Iterator[Sequence[Entry]]:
        """All entries in order, in parts. Raises `StoreError` where one is missing or is not what was written."""

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        """Makes changes durable, all or none: when this returns they survive a loss of power."""

    def entry(self, place: int) -> Entry:
        """The entry at a place, which has to be there."""

    def blocks_after(self, place: int) -> Generator[Block, None, None]:
        """The entries after a place, in order; the first block may begin before them."""

    def blocks_after_seq(self, seq: int) -> Generator[Block, None, None]:
        """The same after the event with this `seq`."""

    def look_after(self) -> int | None:
        """Looks after the files of the store, once a second, and raises `StoreError` where they are no longer there.

        Returns how many bytes may be stored besides what ends timers, for which some room is kept; None where nothing
        limits them.
        """

    def close(self) -> None:
        """Closes the store. What was committed stays."""
