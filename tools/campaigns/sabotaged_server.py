"""`python -m campaigns.sabotaged_server`: the server with a fault planted in it, which a campaign has to find.

`SABOTAGE` names the fault.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import ExtendParams, RestartParams
from timer_server.__main__ import main
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.ledger import Changes, Recall
from timer_server.core.model import Timer
from timer_server.core.transitions import Change
from timer_server.store.base import Anchor
from timer_server.store.sqlite.store import SqliteStore

TURNS_HELD = 30
EARLY_NS = 60 * NS_PER_MS


def acknowledges_before_it_commits() -> None:
    """Turns are held in memory and written some at a time; what is read is written first, so only a kill tells."""
    commit = SqliteStore.commit
    held: list[tuple[Changes, Anchor | None]] = []

    def write_held(store: SqliteStore) -> None:
        for changes, anchor in held:
            commit(store, changes, anchor)
        held.clear()

    def hold(self: SqliteStore, changes: Changes, anchor: Anchor | None = None) -> None:
        held.append((changes, anchor))
        if len(held) > TURNS_HELD:
            write_held(self)

    def written_first(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(self: SqliteStore, *args: Any) -> Any:
            write_held(self)
            return read(self, *args)

        return reading

    SqliteStore.commit = hold  # type: ignore[method-assign]
    SqliteStore.read_timer = written_first(SqliteStore.read_timer)  # type: ignore[method-assign]
    SqliteStore.read_events = written_first(SqliteStore.read_events)  # type: ignore[method-assign]


def fires_early() -> None:
    """Timers end before their time, and the log's own times hide it."""
    expire = Engine.expire
    Engine.expire = lambda self, now_ns, most: expire(self, now_ns + EARLY_NS, most)  # type: ignore[method-assign]


def fires_twice() -> None:
    """An end by time is logged two times."""
    fire = Engine._fire

    def fire_twice(self: Engine, timer: Timer, now_ns: int) -> Timer:
        return self._change(fire(self, timer, now_ns), Change("fired", "fired"), now_ns, {})

    Engine._fire = fire_twice  # type: ignore[method-assign]


def forgets_keys() -> None:
    """A repeated key makes its change again."""
    handle = Engine.handle

    def keyless(self: Engine, params: TimerParams, now_ns: int, recalled: Timer | None = None) -> Timer | Recall:
        if isinstance(params, ExtendParams | RestartParams):
            params = replace(params, key=None)
        return handle(self, params, now_ns, recalled)

    Engine.handle = keyless  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (acknowledges_before_it_commits, fires_early, fires_twice, forgets_keys)
}

if __name__ == "__main__":
    SABOTAGES[os.environ["SABOTAGE"]]()
    sys.exit(main())
