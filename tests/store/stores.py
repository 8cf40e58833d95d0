"""Every store that the server can use, and the changes that tests put into them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from core.builders import make_timer
from timer_protocol.messages import EventKind
from timer_server.core.ledger import Changes
from timer_server.core.model import Event
from timer_server.store import MemoryStore, SqliteStore, Store
from timer_server.store.base import Header


class OpenStore(Protocol):
    """A fixture that opens the same store anew each time."""

    def __call__(self) -> tuple[Store, Header]: ...


class Kind(NamedTuple):
    name: str
    make: Callable[[Path], Callable[[], Store]]
    """Takes a folder and returns what makes the store there, the same one each time."""


def _one_memory_store(_: Path) -> Callable[[], Store]:
    store = MemoryStore()
    return lambda: store


KINDS = (
    Kind("memory", _one_memory_store),
    Kind("sqlite", lambda folder: lambda: SqliteStore(folder / "timers.db")),
)


def event(seq: int, timer_id: str = "a", kind: EventKind = "started", at_ms: int | None = None, **fields: Any) -> Event:
    """An event; it happened at its `seq` in seconds unless something else is said."""
    return Event(kind, seq * 1000 if at_ms is None else at_ms, make_timer(timer_id, seq=seq, **fields))


def changes(*events: Event, obsolete: tuple[int, ...] = (), horizon: int = 0) -> Changes:
    return Changes(list(events), list(obsolete), horizon)


def seqs(events: Any) -> list[int]:
    return [event.seq for event in events]
