"""PostgreSQL told in the plainest way: rows, locks, commits that take their time, and sessions that can be ended.

A statement is a function of the rows to an answer. It sees them as they are once it has the locks that it names, and
others see what it has changed once it has ended. A view is of the moment at which the statement began.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace

from cluster.world import World
from timer_server.store.membership import ServerRow, ShardRow, View

MS = 1_000_000


@dataclass(frozen=True)
class Shard:
    """The row of a shard, and how many events its log has and when the last one was."""

    row: ShardRow
    entries: int = 0
    last_at_ns: int = 0


@dataclass
class Query:
    """A statement: the rows that it locks in order, and what it does with them. `told` gets its answer, or None."""

    locks: list[Any]
    apply: Callable[["Postgres", View], Any]
    told: Callable[[Any], None]
    hangs: bool = False
    view: View | None = None
    is_ending: bool = False
    is_over: bool = False


@dataclass
class Postgres:
    world: World
    chance: Random
    servers: dict[str, ServerRow] = field(default_factory=dict)
    shards: dict[int, Shard] = field(default_factory=dict)
    beaten_ns: dict[tuple[str, int], int] = field(default_factory=dict)
    """When each beat of each server has been committed."""
    joined: int = 0
    ahead_ns: int = 1_700_000_000_000 * MS
    stalled_until_ns: int = 0
    locked: dict[Any, Query] = field(default_factory=dict)
    waiting: dict[Any, list[Query]] = field(default_factory=dict)

    def clock_ns(self) -> int:
        return self.world.now_ns + self.ahead_ns

    def view(self) -> View:
        return View(tuple(self.servers.values()), tuple(shard.row for shard in self.shards.values()))

    def change_server(self, incarnation: str, **changes: Any) -> None:
        self.servers[incarnation] = replace(self.servers[incarnation], **changes)

    def change_shard(self, number: int, entries: int = 0, at_ns: int | None = None, **changes: Any) -> None:
        shard = self.shards[number]
        last_at_ns = shard.last_at_ns if at_ns is None else at_ns
        self.shards[number] = Shard(replace(shard.row, **changes), shard.entries + entries, last_at_ns)

    def begin(self, query: Query) -> None:
        query.view = self.view()
        self._proceed(query)

    def _proceed(self, query: Query) -> None:
        """Takes the locks that are free, and waits for the first that is not."""
        for key in query.locks:
            if self.locked.get(key, query) is not query:
                self.waiting.setdefault(key, []).append(query)
                return
            self.locked[key] = query
        if query.hangs:
            return
        query.is_ending = True
        ends_ns = max(self.world.now_ns + self.chance.choice((1, 2, 20)) * MS // 2, self.stalled_until_ns)
        self.world.at(ends_ns, lambda: self._commit(query))

    def _commit(self, query: Query) -> None:
        if not query.is_over:
            assert query.view is not None
            answer = query.apply(self, query.view)
            self._let_go(query)
            query.told(answer)

    def _let_go(self, query: Query) -> None:
        query.is_over = True
        for key in [key for key, holder in self.locked.items() if holder is query]:
            del self.locked[key]
        for queue in self.waiting.values():
            if query in queue:
                queue.remove(query)
        for key in query.locks:
            woken, self.waiting[key] = self.waiting.get(key, []), []
            for waiting in woken:
                self._proceed(waiting)

    def end(self, query: Query) -> None:
        """Ends a session. What it was about to commit is committed here, though the standby may not have it."""
        if query.is_over:
            return
        if query.is_ending:
            assert query.view is not None
            query.apply(self, query.view)
        self._let_go(query)
        query.told(None)

    def end_blockers(self, query: Query) -> None:
        """Ends who holds the lock that a statement waits for; if that waits itself, the one for which it waits."""
        for key, queue in list(self.waiting.items()):
            if query in queue and (holder := self.locked.get(key)) is not None:
                if any(holder in others for others in self.waiting.values()):
                    self.end_blockers(holder)
                else:
                    self.end(holder)
