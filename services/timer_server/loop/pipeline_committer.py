"""The committer for PostgreSQL: never waits, and lives on while PostgreSQL is away.

One statement is on its way at a time. `store.postgres.pipeline` decides which, and what is durable by what has come of
it; here is when: at once, or a moment after something has failed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_server.cluster.outcomes import Given, Lost, Raised
from timer_server.logs import RepeatedFault, fields, log
from timer_server.loop.committer import Ticket
from timer_server.loop.watched import Watched
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import ShardLost, StoreAway
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.line import Ended, Line
from timer_server.store.postgres.pipeline import Commit, Give, Pipeline, Raise, ShardLog
from timer_server.store.postgres.primary import Primary

MOST_IN_FLIGHT = 32
"""Turns that write and are not durable: those of the statement that is on its way, and those of the next one."""

SILENCE_MS = 5_000
"""How long PostgreSQL may leave anything unanswered. Then the connection is ended, and all hosts are tried anew."""

_FIRST_PAUSE_MS = 50
_LONGEST_PAUSE_MS = 1_000
"""Between one try and the next. Only the first comes at once."""

_SAID_EVERY_NS = 10_000 * NS_PER_MS
"""How often the reason is logged while PostgreSQL stays away."""


class PipelineCommitter:
    """Commits what turns write in all shards of a server together."""

    is_inline = False
    most_in_flight = MOST_IN_FLIGHT

    def __init__(
        self,
        logs: Iterable[ShardLog],
        primary: Primary,
        new_log_id: Callable[[], str],
        now_ns: Callable[[], int],
        reads: Database | None = None,
        line: Line | None = None,
    ) -> None:
        """`reads` is the connection for reads, which is opened again after it was lost."""
        self._pipeline = Pipeline(logs, new_log_id)
        self._primary = primary
        self._now_ns = now_ns
        self._line = Line(SILENCE_MS * NS_PER_MS) if line is None else line
        self._then: Callable[[Any], None] = self._pipeline.committed
        """What to do with what the exchange under way returns."""
        self._is_open = False
        self._begun_ns = 0
        """When the exchange under way has begun."""
        self._ticket = Ticket(0)
        self._lost: list[Lost] = []
        self._failures = 0
        self._pause_until_ns = 0
        self._away_since_ns: int | None = None
        self._said_ns = 0
        self._reads = reads
        self._reads_line = Line(SILENCE_MS * NS_PER_MS)
        self._reads_pause_until_ns = 0
        self._reads_fault = RepeatedFault("PostgreSQL is not read; it is tried again")
        self._watched = Watched()

    @property
    def is_away(self) -> bool:
        """Whether the last thing that was tried has failed, and nothing has become durable since."""
        return self._away_since_ns is not None

    def submit(self, writes: Sequence[tuple[Shard, Writes]]) -> Ticket:
        self._ticket = Ticket(self._ticket + 1)
        self._pipeline.gather(self._ticket, {shard.number: (part.changes, part.anchor) for shard, part in writes})
        if not self._line.is_busy:
            self._go_on()
        return self._ticket

    def settled(self) -> Ticket:
        self._go_on()
        if self._pipeline.lost:
            number, reason, events = self._pipeline.lost.pop(0)
            self._lost.append(Lost(number))
            raise ShardLost({number}, reason, events)
        return Ticket(self._pipeline.settled)

    def add(self, shard_log: ShardLog) -> None:
        """Takes up a shard that this server owns."""
        self._pipeline.add(shard_log)

    def remove(self, number: int) -> None:
        """Forgets a shard. What is to be written in it may become durable or not."""
        self._pipeline.remove(number)

    def give(self, number: int, to: str | None, timeline_ns: Callable[[], int]) -> None:
        """Gives a shard to another server, or to nobody, behind all that was submitted of it: nothing more may be.

        `timeline_ns` tells what time it is in it. What comes of it is told by `take_outcomes`.
        """
        self._pipeline.give(number, to, timeline_ns)
        if not self._line.is_busy:
            self._go_on()

    def begin_anew(self, owner: UUID) -> None:
        """Commits as another incarnation from now on, once it has no shards."""
        self._primary.owner = owner
        self.take_outcomes()

    def take_outcomes(self) -> list[Given | Raised | Lost]:
        """What has come of shards since the last call, beside commits."""
        pipeline, lost = self._pipeline, self._lost
        raised = [Raised(*epoch) for epoch in pipeline.epochs]
        given = [Given(number) for number in pipeline.given]
        pipeline.epochs, pipeline.given, self._lost = [], [], []
        return [*raised, *given, *lost]

    def waits_since_ns(self) -> int | None:
        """When the statement under way has begun; None where none is."""
        return self._begun_ns if self._line.is_busy and self._is_open else None

    @property
    def backend(self) -> int | None:
        """The process of PostgreSQL that executes its statements; None where there is none."""
        return self._primary.backend

    def next_due_ns(self) -> int | None:
        due_ns = self._line.next_due_ns()
        if due_ns is None and self._failures:
            due_ns = self._pause_until_ns
        reads_ns = self._reads_line.next_due_ns()
        return due_ns if reads_ns is None or (due_ns is not None and due_ns < reads_ns) else reads_ns

    def register(self, poller: zmq.Poller) -> None:
        self._watched.register(poller)

    def close(self) -> None:
        """Ends the session. What is on its way may become durable or not."""
        self._primary.close()

    def _go_on(self) -> None:
        """Takes what has come, and sends what can be sent."""
        now_ns = self._now_ns()
        if self._is_open and not self._line.is_busy and self._primary.is_lost():
            self._break("the connection is lost", now_ns)
        self._begin(now_ns)
        while (ended := self._line.advance(now_ns)) is not None:
            self._take(ended, now_ns)
            self._begin(now_ns)
        if self._reads is not None and self._is_open:
            self._keep_reading(self._reads, now_ns)
        self._watched.follow((self._line, self._reads_line), self._primary.socket)

    def _begin(self, now_ns: int) -> None:
        """Begins with what is to be done next, if anything is."""
        if self._line.is_busy or now_ns < self._pause_until_ns:
            return
        self._begun_ns = now_ns
        if not self._is_open:
            self._line.begin(self._primary.opening(), now_ns)
            return
        try:
            action = self._pipeline.next()
        except StoreAway as away:
            self._fail(str(away), now_ns)
            return
        if isinstance(action, Raise):
            self._line.begin(self._primary.raising(action.shards), now_ns)
            self._then = self._pipeline.raised
        elif isinstance(action, Give):
            self._line.begin(self._primary.handing_over(action.shards), now_ns)
            self._then = self._pipeline.handed
        elif isinstance(action, Commit):
            send = self._primary.renaming if action.is_renaming else self._primary.committing
            self._line.begin(send(action.commits), now_ns)
            self._then = self._pipeline.committed
        elif self._failures:
            self._recover(now_ns)

    def _take(self, ended: Ended, now_ns: int) -> None:
        """Takes what an exchange has come to."""
        if ended.fault is not None:
            self._break(str(self._primary.explain(ended.fault)), now_ns)
        elif not self._is_open:
            self._is_open = True
            self._pipeline.doubt()  # whatever was on its way in the last session, if there was one
        elif ended.value.doubt is not None:
            self._pipeline.doubt()
            self._fail(ended.value.doubt, now_ns)
        else:
            is_written = self._then != self._pipeline.raised
            self._then(ended.value.value)
            if is_written:  # not where epochs were raised: it may be that nothing else can be written
                self._recover(now_ns)

    def _break(self, reason: str, now_ns: int) -> None:
        """Ends the session."""
        self._primary.close()
        self._is_open = False
        if self._reads is not None:
            self._reads.close()  # what is read in vain would hold the loop up
            self._reads_line.abandon()  # nobody goes on with it, and its socket would wake up the loop all the time
        self._fail(reason, now_ns)

    def _keep_reading(self, reads: Database, now_ns: int) -> None:
        """Opens the connection for reads again, where it was lost, and says what has failed."""
        if (refusal := reads.take_refusal()) is not None:
            self._reads_fault.warn(refusal, now_ns)
        if reads.is_away and not self._reads_line.is_busy and now_ns >= self._reads_pause_until_ns:
            self._reads_line.begin(reads.reconnecting(), now_ns)
        ended = self._reads_line.advance(now_ns)
        if ended is not None and ended.fault is not None:
            self._reads_fault.warn(str(self._primary.explain(ended.fault)), now_ns)
            self._reads_pause_until_ns = now_ns + _LONGEST_PAUSE_MS * NS_PER_MS

    def _fail(self, reason: str, now_ns: int) -> None:
        """Notes that something has failed, and waits for a moment before the next try, unless it is the first."""
        self._failures += 1
        pause_ms = (
            min(_FIRST_PAUSE_MS * 2 ** min(self._failures - 2, 10), _LONGEST_PAUSE_MS) if self._failures > 1 else 0
        )
        self._pause_until_ns = now_ns + int(pause_ms * NS_PER_MS)
        if self._away_since_ns is None:
            self._away_since_ns, self._said_ns = now_ns, now_ns - _SAID_EVERY_NS
        if now_ns - self._said_ns >= _SAID_EVERY_NS:
            self._said_ns = now_ns
            log.warning("PostgreSQL acknowledges nothing; it is tried again", extra=fields(reason=reason))

    def _recover(self, now_ns: int) -> None:
        """Notes that something has become durable."""
        self._failures = 0
        if self._away_since_ns is not None:
            away_ms = (now_ns - self._away_since_ns) // NS_PER_MS
            log.info("PostgreSQL acknowledges again", extra=fields(away_ms=away_ms))
            self._away_since_ns = None
