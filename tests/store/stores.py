"""Every store that the server can use, and the changes that tests put into them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from drivers.builders import make_timer
from timer_protocol.messages import EventKind
from timer_server.core.ledger import Changes
from timer_server.core.model import Timer
from timer_server.core.records import pack
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


def _one_memory_store(_: Path) -> Callable[[], Store]:
    store = MemoryStore()
    return lambda: store


KINDS = (
    Kind("memory", _one_memory_store),
    Kind("sqlite", lambda folder: lambda: SqliteStore(folder / "timers.db")),
)


def event(seq: int, timer_id: str = "a", kind: EventKind = "started", at_ms: int | None = None, **fields: Any) -> Timer:
    """An event; it happened at its `seq` in seconds unless something else is said."""
    started_at_ms = seq * 1000 if at_ms is None else at_ms
    return make_timer(timer_id, kind, seq=seq, started_at_ms=started_at_ms, **fields)


def changes(*events: Timer, obsolete: tuple[int, ...] = (), horizon: int = 0) -> Changes:
    return Changes(list(events), list(map(pack, events)), list(obsolete), horizon)


def seqs(events: Any) -> list[int]:
    return [event.seq for event in events]
