"""The stores that the settings name; one that is elsewhere is waited for."""

import select
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, TypeVar

from timer_server.logs import fields, log
from timer_server.loop.signals import OperatorSignals
from timer_server.random_ids import new_log_id
from timer_server.settings import Config
from timer_server.store.base import Store, StoreAway, StoreError
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from timer_server.store.postgres.database import Database

T = TypeVar("T")

WAIT_LIMIT_S = 60
"""How long a server that starts waits for a store that is away, before it ends."""

_PAUSE_MS = 500
"""Between two tries."""


class Stopped(Exception):
    """The server was told to stop while it waited."""


def named_stores(config: Config) -> list[Store]:
    """The stores that the settings name where they are this server's alone, not yet open. Raises `SettingError`."""
    if config.store_path is None:
        return [MemoryStore(new_log_id())]
    return [SqliteStore(config.store_path, new_log_id)]


def open_postgres(config: Config, signals: OperatorSignals, closing_all: ExitStack) -> "Database":
    """Opens the database that the settings name, and makes a store in it where there is none.

    `closing_all` closes it. Raises `SettingError`, `StoreError` and `Stopped`.
    """
    from timer_server.store.postgres.database import named  # noqa: PLC0415 - most servers need none of it
    from timer_server.store.postgres.schema import Shape  # noqa: PLC0415

    database = closing_all.enter_context(closing(named(config.store_url, config.replication)))
    is_new = once_there(lambda: database.open(Shape(), new_log_id), signals)
    for notice in database.notices():
        log.warning(notice.text, extra=fields(**notice.figures))
    if is_new:
        shards, lease_ms = database.shape
        told = fields(database=database.url.shown, shards=shards, lease_ms=lease_ms)
        log.info("made the store, with the defaults of `timer-server init`", extra=told)
    return database


def once_there(attempt: Callable[[], T], signals: OperatorSignals) -> T:
    """What comes of an attempt at a store, repeated while that is away. Raises `StoreError` and `Stopped`."""
    begun, told = time.perf_counter(), ""
    while not signals.stop_is_wanted:
        signals.manager.opening(f"waiting for the store: {told}" if told else "opening the store")
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
