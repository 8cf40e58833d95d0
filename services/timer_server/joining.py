"""A server whose store others may share: how it becomes a member of the cluster before anybody is served."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_server.loop.clock import Clock
from timer_server.loop.loading import Loading
from timer_server.loop.membership import Membership, Presence, Sessions
from timer_server.loop.ownership import Ownership
from timer_server.loop.parts import Parts
from timer_server.loop.pipeline_committer import PipelineCommitter
from timer_server.loop.signals import OperatorSignals
from timer_server.random_ids import new_incarnation, new_log_id
from timer_server.requests.shard import Shard
from timer_server.store.base import StoreError
from timer_server.store.log import Log
from timer_server.store.postgres.database import Database, Replication
from timer_server.store.postgres.loads import Loads
from timer_server.store.postgres.membership import Beats, Changes, Rescue
from timer_server.store.postgres.own_session import OwnSession
from timer_server.store.postgres.primary import Primary
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.seen import Seen
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.postgres.url import Url
from timer_server.stores import WAIT_LIMIT_S, Stopped
from timer_server.wire.advertised import Endpoints

S = TypeVar("S", bound=OwnSession)

_LOOK_MS = 100
"""How often a server that joins looks whether it is told to stop, though nothing wakes it."""


class Candidate:
    """A server that has opened the database of its store, and owns nothing of it."""

    def __init__(
        self,
        database: Database,
        now_ns: Callable[[], int],
        make_shard: Callable[[int, Log], Shard],
        closing_all: ExitStack,
    ) -> None:
        """`make_shard` makes a shard on a log, which is not restored yet."""
        self._database = database
        self.seen = database.seen
        """What is known of the primary."""
        self._incarnation = new_incarnation()
        self._now_ns = now_ns
        self._make_shard = make_shard
        self._closing_all = closing_all
        primary = Primary(database.url, self._incarnation, database.replication, now_ns, database.seen)
        self._open(primary)
        self.committer = PipelineCommitter([], primary, new_log_id, now_ns, database)
        self._membership: Membership | None = None

    def wall_ahead_ns(self) -> int:
        """By how much PostgreSQL's clock is ahead of the server's, as the beats have read it."""
        return 0 if self._membership is None else self._membership.wall_ahead_ns()

    def join(self, parts: Parts, told: Endpoints, signals: OperatorSignals) -> Membership:
        """Makes the server a member that the others reach at these endpoints, and has it take what it then finds to be
        taken, before it serves anybody. Raises `StoreError` where it cannot, and `Stopped`."""
        membership = self._membership = self._make(parts, told)
        _join(membership, parts.clock, signals)
        return membership

    def _make(self, parts: Parts, told: Endpoints) -> Membership:
        database, recent = self._database, RecentBlocks()

        def store_of(number: int) -> PostgresStore:
            return PostgresStore(database, number, self._incarnation, recent)

        sessions = Sessions(
            self._open(Beats(*self._of("beats"))),
            self._open(Changes(*self._of("changes"))),
            self._open(Rescue(*self._of("rescue"))),
        )
        loading = Loading(self._open(Loads(*self._of("loads"))), store_of, self._make_shard, self._now_ns)
        return Membership(
            incarnation=self._incarnation,
            lease_ms=database.shape.lease_ms,
            sessions=sessions,
            ownership=Ownership(loading, parts.shards, self.committer, parts.metrics, parts.dispatcher),
            parts=parts,
            followers=parts.peer_traffic.forwards if parts.peer_traffic is not None else None,
            presence=Presence(database.identity, parts.servers.listed[0].name, told),
            new_incarnation=new_incarnation,
        )

    def _of(self, work: str) -> tuple[Url, str, Replication, Callable[[], int], Seen]:
        """What a session for some work is made of."""
        database = self._database
        name = f"timer-server {work} {self._incarnation}"
        return database.url, name, database.replication, self._now_ns, database.seen

    def _open(self, session: S) -> S:
        """Has a session closed at the end."""
        self._closing_all.callback(session.close)
        return session


def _join(membership: Membership, clock: Clock, signals: OperatorSignals) -> None:
    poller = zmq.Poller()
    poller.register(signals.fileno(), zmq.POLLIN)
    membership.register(poller)
    until_ns = clock.now_ns() + WAIT_LIMIT_S * 1_000 * NS_PER_MS
    while not membership.is_settled:
        now_ns = clock.now_ns()
        if signals.stop_is_wanted:
            raise Stopped
        if now_ns > until_ns:
            missing = membership.waits_for()
            raise StoreError(f"the servers of the store could not be joined within {WAIT_LIMIT_S} s: {missing}")
        signals.manager.opening("joining the servers of the store")
        membership.step(now_ns)  # what it may have lost nobody was told of
        due_ns = membership.next_due_ns() or 0
        poller.poll(min(max((due_ns - clock.now_ns()) // NS_PER_MS + 1, 0), _LOOK_MS))
