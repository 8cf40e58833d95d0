"""What the server asks of a store: a handful of calls about one append-only log of events.

Each event is whole in itself, the timer as it was right after it. So one can be removed as soon as it is neither
the last of a pending timer nor young enough to be read, and no old timer holds on to any other event.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from timer_server.core.ledger import Changes
from timer_server.core.model import Timer


class StoreError(Exception):
    """The store cannot be used, or can no longer be trusted. The text is a sentence for the operator."""


class Anchor(NamedTuple):
    """What ties the server's timeline to the world: four readings taken at one moment.

    `boot_id` names the run of the operating system, `boot_ns` is the time since its start, `wall_ns` the wall
    clock's Unix time and `timeline_ns` the server's own time (see `loop.clock`).
    """

    boot_id: str
    boot_ns: int
    wall_ns: int
    timeline_ns: int


class Notice(NamedTuple):
    """Something that opening the store has done or met, for the log: what, and the figures that go with it."""

    text: str
    figures: Mapping[str, int | str]
    is_warning: bool = False


class Header(NamedTuple):
    """What the store holds besides the events. `last_at_ms` is when the last one happened; `anchor` is None in a
    new store. `notices` are about this opening."""

    horizon: int
    last_seq: int
    last_at_ms: int
    anchor: Anchor | None
    notices: tuple[Notice, ...] = ()


class Window(NamedTuple):
    """Some events in the order of `seq`, the `seq` up to which the log was looked through for them, and whether it
    ends there."""

    events: list[Timer]
    scanned_to: int
    is_end: bool


class Store(Protocol):
    """A log of events. Every method but `close` raises `StoreError` when it cannot do what it says."""

    def open(self) -> Header:
        """Makes the store ready, anew where there is none. Nobody else may have it open."""

    def load(self) -> Iterator[Timer]:
        """All events in the order of `seq`. Raises `StoreError` where one is missing or is not what was written."""

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        """Makes changes durable, all or none: when this returns they survive a loss of power."""

    def read_timer(self, seq: int) -> Timer:
        """The timer of the event at `seq`, which has to be there."""

    def read_events(self, after: int, prefix: str, limit: int, scan: int) -> Window:
        """Up to `limit` events after a `seq` whose timer's id begins with `prefix`, found among the next `scan`."""

    def close(self) -> None:
        """Lets go of the store. What was committed stays."""
