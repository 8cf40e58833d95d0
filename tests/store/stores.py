"""Every store that the server can use, and the changes that tests put into them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from drivers.builders import LOG_ID, make_timer
from postgres_store import fresh_shards
from timer_protocol.messages import EventKind
from timer_server.core.entries import Part, QueueEntry
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, NewEntry, as_logged
from timer_server.core.records import pack
from timer_server.core.turn_entries import TurnEntries
from timer_server.store.base import Header, Store
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite.store import SqliteStore


class OpenStore(Protocol):
    """A fixture that opens the same store anew each time."""

    def __call__(self) -> tuple[Store, Header]: ...


class Kind(NamedTuple):
    name: str
    make: Callable[[Path], Callable[[], Store]]
    """Takes a folder and returns what makes the store there, the same one each time."""


def sqlite_store(path: Path, log_id: str = LOG_ID) -> SqliteStore:
    """A store, not yet open, which gives a log that it makes this id."""
    return SqliteStore(path, lambda: log_id)


def _one_memory_store(_: Path) -> Callable[[], Store]:
    store = MemoryStore(LOG_ID)
    return lambda: store


KINDS = (
    Kind("memory", _one_memory_store),
    Kind("sqlite", lambda folder: lambda: sqlite_store(folder / "timers.db")),
    Kind("postgres", lambda _folder: fresh_shards().make()),
)


def event(
    place: int, timer_id: str = "a", kind: EventKind = "started", at_ms: int | None = None, **fields: Any
) -> Countdown:
    """An event; it happened at its place in seconds unless something else is said."""
    started_at_ms = place * 1000 if at_ms is None else at_ms
    return make_timer(timer_id, kind, place=place, started_at_ms=started_at_ms, **fields)


def other(place: int, others: int = 1, queue: str = "q", body: bytes = b"", part: Part = Part.CHANGE) -> QueueEntry:
    """A queue's entry; it was logged at its place in seconds."""
    return QueueEntry(None, place, others, place * 1000, queue, part, body)


def changes(
    *entries: NewEntry, obsolete: tuple[int, ...] = (), horizon: int = 0, horizon_seq: int | None = None
) -> Changes:
    """What a turn has changed in a log. Unless something else is said, it has only events up to the horizon."""
    records = [pack(as_logged(entry)) for entry in entries]
    has_others = not all(isinstance(entry, Countdown) for entry in entries)
    return Changes(
        TurnEntries(list(entries), has_others, 0),
        records,
        list(obsolete),
        horizon,
        horizon if horizon_seq is None else horizon_seq,
    )


def places(entries: Any) -> list[int]:
    return [entry.place for entry in entries]
