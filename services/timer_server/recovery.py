"""What the store of a server holds, read before it serves; and the parts of the server that come from that."""

import logging
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from timer_protocol.durations import NS_PER_MS
from timer_protocol.limits import Limits
from timer_protocol.plurals import counted
from timer_server.civil_time.moments import moment_ms
from timer_server.civil_time.plans import cron_after, local_moment, stamp
from timer_server.civil_time.zones import TZDATA_VERSION
from timer_server.core.effects import WallClock
from timer_server.core.engine import Engine
from timer_server.core.model import Entry
from timer_server.core.places import Places
from timer_server.core.plans.rules import CivilTime
from timer_server.core.queues.queues import Queues
from timer_server.logs import fields, log
from timer_server.loop.chores import Retention
from timer_server.loop.clock import Clock, Sources
from timer_server.loop.committer import Committer, InlineCommitter
from timer_server.loop.parts import Administered
from timer_server.loop.signals import OperatorSignals
from timer_server.random_ids import new_id
from timer_server.requests.parked import Parked
from timer_server.requests.placement import OneShard, Shards
from timer_server.requests.shard import Shard
from timer_server.settings import Config
from timer_server.store.base import Header, Notice, Store
from timer_server.store.log import Log
from timer_server.stores import Stopped, once_there, open_postgres

if TYPE_CHECKING:
    from timer_server.joining import Candidate

TOLD_EVERY = 1_000
"""Entries of the log that are read before the service manager is told how many there were."""

FORGET_FIRST_NS = 1_000_000_000
"""How long retention goes on by itself before a server serves that is short of room."""

FORGET_FIRST_BUDGET = 32
"""What it may do in one commit then: little, as a commit needs room too."""


class Recovered(NamedTuple):
    """The parts of a server that come from its store. A candidate has yet to join the others that may share it."""

    clock: Clock
    shards: Shards
    places: Places
    committer: Committer
    candidate: "Candidate | None" = None
    administered: Administered | None = None


def make_committer(stores: Mapping[str, Store]) -> Committer:
    """The committer for the shards of these stores, given by the ids of their logs."""
    return InlineCommitter(stores)


def share(config: Config, sources: Sources, signals: OperatorSignals, closing_all: ExitStack) -> Recovered:
    """Opens a store that others may share, of which this server owns nothing yet. Raises `StoreError` and `Stopped`."""
    from timer_server.joining import Candidate  # noqa: PLC0415 - most servers need none of it

    database = open_postgres(config, signals, closing_all)
    clock, parked, places = Clock(sources, None), Parked(), Places(config.limits.max_timers)
    candidate = Candidate(
        database,
        clock.now_ns,
        lambda number, read: _shard(number, read, candidate.wall_ahead_ns, config.limits, parked, places),
        closing_all,
    )
    shards = Shards([], database.shape.shards, parked, new_id)
    return Recovered(clock, shards, places, candidate.committer, candidate)


def recover(stores: Sequence[Store], config: Config, sources: Sources, signals: OperatorSignals) -> Recovered:
    """Opens the stores and reads their logs. Raises `StoreError` and `Stopped`."""
    begun = time.perf_counter()
    headers = [once_there(store.open, signals) for store in stores]
    for header in headers:
        _tell(header.notices, begun)
    clock = Clock(sources, headers[0].anchor, max(header.last_at_ms for header in headers) * NS_PER_MS)
    parked, places = Parked(), Places(config.limits.max_timers)
    owned = [
        _shard(number, Log(store, header), clock.ahead_ns, config.limits, parked, places)
        for number, (store, header) in enumerate(zip(stores, headers, strict=True))
    ]
    committer = make_committer({header.log_id: store for store, header in zip(stores, headers, strict=True)})
    for shard, store, header in zip(owned, stores, headers, strict=True):
        _restore(shard, store, header, clock, signals)
        if header.is_short_of_room:
            _forget_first(clock, shard, committer, signals)
        shard.engine.limit_growth(shard.log.look_after())
        if signals.stop_is_wanted:
            raise Stopped
        _tell_recovered(shard, begun)
    is_kept = len(owned) == 1 and committer.is_inline
    shards = OneShard(owned[0], new_id) if is_kept else Shards(owned, len(owned), parked, new_id)
    return Recovered(clock, shards, places, committer)


def _shard(
    number: int, log_read: Log, wall_ahead_ns: Callable[[], int], limits: Limits, parked: Parked, places: Places
) -> Shard:
    """A shard that has yet to be restored. `wall_ahead_ns` is by how much the wall clock is ahead of the server's."""
    queues = Queues(random.random)
    civil = CivilTime(cron_after, local_moment, stamp, TZDATA_VERSION)
    wall_clock = WallClock(lambda: wall_ahead_ns() - shard.ahead_ns, moment_ms)
    engine = Engine(limits, new_id, wall_clock, queues, civil, log_read.event, places=places)
    shard = Shard(engine, queues, log_read, number, parked)
    return shard


def _restore(shard: Shard, store: Store, header: Header, clock: Clock, signals: OperatorSignals) -> None:
    """Reads the log of a shard, as long as the server is not told to stop."""
    with closing(_until_stopped(store.load(), signals)) as parts:
        shard.engine.restore(parts, header.ends, shard.log.holder)
    shard.engine.start_server(shard.at(clock.now_ns()))


def _tell_recovered(shard: Shard, begun: float) -> None:
    counts = shard.engine.counts()
    log.info(
        "recovered",
        extra=fields(
            running=counts.running,
            paused=counts.paused,
            log=shard.log.id,
            seq=shard.log.durable_seq,
            took_ms=round((time.perf_counter() - begun) * 1000),
        ),
    )


def _until_stopped(
    parts: Iterator[Sequence[Entry]], signals: OperatorSignals
) -> Generator[Sequence[Entry], None, None]:
    """The parts of a log, which may have millions of entries, until the server is told to stop."""
    count = told = 0
    for part in parts:
        if signals.stop_is_wanted:
            return
        count += len(part)
        if count >= told + TOLD_EVERY:
            told = count
            signals.manager.opening(f"reading the log: {counted(count, 'entry', 'entries')}")
        yield part


def _forget_first(clock: Clock, shard: Shard, committer: Committer, signals: OperatorSignals) -> None:
    """Lets retention begin before anybody is served, for a moment: a full disk has no room for anything before that."""
    retention, until_ns = Retention(shard), clock.now_ns() + FORGET_FIRST_NS
    while committer.is_inline and not signals.stop_is_wanted:
        now_ns, due_ns = clock.now_ns(), retention.next_due_ns()
        if due_ns is None or due_ns > now_ns or now_ns > until_ns:
            return
        retention.step(now_ns, FORGET_FIRST_BUDGET)
        if (writes := shard.take_writes()) is not None:
            shard.log.take_off(writes.changes)
            committer.submit([(shard, writes)])
            shard.log.land()


def _tell(notices: Iterable[Notice], begun: float) -> None:
    """Logs what opening the store has done or found, and how long it took."""
    took_ms = round((time.perf_counter() - begun) * 1000)
    for notice in notices:
        level = logging.WARNING if notice.is_warning else logging.INFO
        log.log(level, notice.text, extra=fields(**notice.figures, took_ms=took_ms))
