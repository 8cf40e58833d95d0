"""`python -m campaigns.sabotaged_server`: the server with a fault planted in it, which a campaign has to find.

`SABOTAGE` names the fault. Where `CLOCK_FILE` names a file, the server has the clocks that it sets.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from campaigns import clocked_server
from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import ExtendParams, RestartParams
from timer_server.__main__ import main
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.expiry import Expiry
from timer_server.core.ledger import Changes, Ledger
from timer_server.core.model import Countdown, Recall, Revision
from timer_server.loop.clock import Clock
from timer_server.store.base import Anchor
from timer_server.store.sqlite.store import SqliteStore

TURNS_HELD = 30
EARLY_NS = 60 * NS_PER_MS
NOTICED_AFTER_NS = 5_000 * NS_PER_MS


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
    SqliteStore.entry = written_first(SqliteStore.entry)  # type: ignore[method-assign]
    SqliteStore.blocks_after = written_first(SqliteStore.blocks_after)  # type: ignore[method-assign]


def fires_early() -> None:
    """Timers end before their time, and the log's own times hide it."""
    expire, next_due_ns = Engine.expire, Engine.next_due_ns

    def early_due_ns(self: Engine) -> int | None:
        due_ns = next_due_ns(self)
        return None if due_ns is None else due_ns - EARLY_NS

    Engine.expire = lambda self, now_ns, most: expire(self, now_ns + EARLY_NS, most)  # type: ignore[method-assign]
    Engine.next_due_ns = early_due_ns  # type: ignore[method-assign]


def fires_twice() -> None:
    """An end by time is logged two times."""
    take_up = Ledger._take_up

    def take_up_twice(self: Ledger, timer: Countdown, before: Countdown) -> None:
        take_up(self, timer, before)
        if timer.kind == "fired":
            again = Revision(timer.version + 1, timer.at_ms - timer.started_at_ms, keys=timer.keys)
            take_up(self, replace(timer, place=timer.place + 1, revision=again), timer)

    Ledger._take_up = take_up_twice  # type: ignore[method-assign]


def forgets_keys() -> None:
    """A repeated key makes its change again."""
    handle = Engine.handle

    def keyless(
        self: Engine, params: TimerParams, now_ns: int, recalled: Countdown | None = None
    ) -> Countdown | Recall:
        if isinstance(params, ExtendParams | RestartParams):
            params = replace(params, key=None)
        return handle(self, params, now_ns, recalled)

    Engine.handle = keyless  # type: ignore[method-assign]


def notices_steps_late() -> None:
    """Timers for a moment fire by the wall clock as it was before it was set, for seconds."""
    ahead_ns = Clock.ahead_ns
    kept_ns: int | None = None
    differs_since_ns: int | None = None

    def ahead_as_before_ns(self: Clock) -> int:
        nonlocal kept_ns, differs_since_ns
        now_ns, read_ns = self.now_ns(), ahead_ns(self)
        if kept_ns is None or (differs_since_ns is not None and now_ns - differs_since_ns > NOTICED_AFTER_NS):
            kept_ns, differs_since_ns = read_ns, None
        elif differs_since_ns is None and abs(read_ns - kept_ns) > EARLY_NS:
            differs_since_ns = now_ns
        return kept_ns

    Clock.ahead_ns = ahead_as_before_ns  # type: ignore[method-assign]


def tells_of_no_step() -> None:
    """Timers for a moment fire when they have to, but are due when they were due before the wall clock was set."""
    Expiry.follow_wall = lambda _: None  # type: ignore[method-assign]


def follows_the_wall_clock() -> None:
    """The timeline is the wall clock: setting it moves all timers."""
    Clock.now_ns = lambda self: int(self._sources.wall_ns())  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (acknowledges_before_it_commits, fires_early, fires_twice, forgets_keys)
}

CLOCK_SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        notices_steps_late,
        tells_of_no_step,
        follows_the_wall_clock,
    )
}
"""Those that only show where somebody sets the wall clock."""

if __name__ == "__main__":
    if clocked_server.CLOCK_FILE in os.environ:
        clocked_server.take_the_place_of_the_machine()
    (SABOTAGES | CLOCK_SABOTAGES)[os.environ["SABOTAGE"]]()
    sys.exit(main())
