"""The stores that the settings name, a store for each shard; one that is elsewhere is waited for."""

import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TypeVar

from timer_server.logs import fields, log
from timer_server.loop.committer import Committer
from timer_server.loop.signals import OperatorSignals
from timer_server.random_ids import new_incarnation, new_log_id
from timer_server.settings import Config
from timer_server.store.base import Store, StoreAway, StoreError
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite.store import SqliteStore

T = TypeVar("T")

WAIT_LIMIT_S = 60
"""How long a server that starts waits for a store that is away, before it ends."""

_PAUSE_MS = 500
"""Between two tries."""


class Stopped(Exception):
    """The server was told to stop while it waited."""


def named_stores(config: Config, signals: OperatorSignals, closing_all: ExitStack) -> list[Store]:
    """The stores that the settings name, not yet open; `closing_all` closes what they share.

    Raises `SettingError`, `StoreError` and `Stopped`.
    """
    if config.store_url:
        return _in_postgres(config, signals, closing_all)
    if config.store_path is None:
        return [MemoryStore(new_log_id())]
    return [SqliteStore(config.store_path, new_log_id)]


def _in_postgres(config: Config, signals: OperatorSignals, closing_all: ExitStack) -> list[Store]:
    """The stores of all shards in a database, which makes them if it is new."""
    from timer_server.store.postgres.database import named  # noqa: PLC0415 - most servers need none of it
    from timer_server.store.postgres.recent import RecentBlocks  # noqa: PLC0415
    from timer_server.store.postgres.schema import Shape  # noqa: PLC0415
    from timer_server.store.postgres.store import PostgresStore  # noqa: PLC0415

    database = closing_all.enter_context(closing(named(config.store_url, config.replication)))
    is_new = once_there(lambda: database.open(Shape(), new_log_id), signals)
    for notice in database.notices():
        log.warning(notice.text, extra=fields(**notice.figures))
    shards, lease_ms = database.shape
    if is_new:
        told = fields(database=database.url.shown, shards=shards, lease_ms=lease_ms)
        log.info("made the store, with the defaults of `timer-server init`", extra=told)
    recent, incarnation = RecentBlocks(), new_incarnation()
    return [PostgresStore(database, number, incarnation, recent) for number in range(shards)]


def postgres_committer(stores: Sequence[Store], now_ns: Callable[[], int], closing_all: ExitStack) -> Committer:
    """The committer for all shards in a database, whose stores are open."""
    from timer_server.loop.pipeline_committer import PipelineCommitter  # noqa: PLC0415 - as above
    from timer_server.store.postgres.primary import Primary  # noqa: PLC0415
    from timer_server.store.postgres.store import PostgresStore  # noqa: PLC0415

    logs = [store for store in stores if isinstance(store, PostgresStore)]
    database = logs[0].database
    primary = Primary(database.url, logs[0].owner, database.replication)
    closing_all.callback(primary.close)
    return PipelineCommitter(logs, primary, new_log_id, now_ns, database)


def once_there(attempt: Callable[[], T], signals: OperatorSignals) -> T:
    """What comes of an attempt at a store, repeated while that is away. Raises `StoreError` and `Stopped`."""
    begun, told = time.perf_counter(), ""
    while not signals.stop_is_wanted:
        try:
            return attempt()
        except StoreAway as away:
            if time.perf_counter() - begun > WAIT_LIMIT_S:
                raise StoreError(f"{away}; it was waited for {WAIT_LIMIT_S} s") from away
            if told != str(away):
                told = str(away)
                log.warning("the store is away; the server waits for it", extra=fields(reason=told))
        _pause(signals)
    raise Stopped


def _pause(signals: OperatorSignals) -> None:
    """Waits for a moment, or until the server is told something. Keys are read again once somebody may be let in."""
    is_to_reload = signals.take_reload()
    poll = select.poll()
    poll.register(signals.fileno(), select.POLLIN)
    poll.poll(_PAUSE_MS)
    if is_to_reload:
        signals.reload()
