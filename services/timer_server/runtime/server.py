"""The whole server from its settings: opens, recovers, serves, closes."""

import logging
import time
from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer

from timer_protocol import __version__
from timer_protocol.codec import Codec
from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import METHODS
from timer_server.core.engine import Engine
from timer_server.runtime.allocator import give_large_blocks_back
from timer_server.runtime.clock import Clock, Sources
from timer_server.runtime.config import Config
from timer_server.runtime.descriptors import raise_descriptor_limit
from timer_server.runtime.dispatch import Dispatcher
from timer_server.runtime.logs import fields, log
from timer_server.runtime.methods import Methods, ReplyRoom
from timer_server.runtime.metrics import Metrics
from timer_server.runtime.new_id import new_id
from timer_server.runtime.reactor import Parts, Reactor
from timer_server.runtime.routing_ids import begin_anywhere
from timer_server.runtime.seed_dialogue import SeedDialogue
from timer_server.runtime.signals import Wishes
from timer_server.runtime.sockets import BindError, Sockets, is_local
from timer_server.runtime.waiting import Waiting
from timer_server.store import MemoryStore, Notice, SqliteStore, Store


def serve(config: Config, sources: Sources, wishes: Wishes) -> None:
    """Runs a server until it is wished to stop.

    Raises `StoreError` where the store cannot be used, `BindError` where an address cannot be bound, `KeyFileError`
    where a key file cannot be read.
    """
    give_large_blocks_back()
    store: Store = MemoryStore() if config.store_path is None else SqliteStore(config.store_path)
    try:
        engine, clock = _recover(store, config, sources)
        begin_anywhere()
        sockets = Sockets(config.bind, config.events_bind, config.limits.max_message_bytes, config.curve)
        try:
            _run(config, engine, clock, store, sockets, wishes)
        finally:
            sockets.close()
    finally:
        store.close()
    log.info("stopped")


def _recover(store: Store, config: Config, sources: Sources) -> tuple[Engine, Clock]:
    begun = time.perf_counter()
    header = store.open()
    _tell(header.notices, begun)
    clock = Clock(sources, header.anchor, header.last_at_ms * NS_PER_MS)
    engine = Engine(config.limits, new_id)
    engine.restore(store.load(), header.horizon, header.last_seq)
    counts = engine.counts()
    log.info(
        "recovered",
        extra=fields(
            running=counts.running,
            paused=counts.paused,
            seq=header.last_seq,
            took_ms=round((time.perf_counter() - begun) * 1000),
        ),
    )
    return engine, clock


def _tell(notices: Iterable[Notice], begun: float) -> None:
    """Logs what opening the store was about, with how long all of it took."""
    took_ms = round((time.perf_counter() - begun) * 1000)
    for notice in notices:
        level = logging.WARNING if notice.is_warning else logging.INFO
        log.log(level, notice.text, extra=fields(**notice.figures, took_ms=took_ms))


def _run(config: Config, engine: Engine, clock: Clock, store: Store, sockets: Sockets, wishes: Wishes) -> None:
    metrics = Metrics(engine)
    room = ReplyRoom()
    methods = Methods(engine, store, config.limits, room)
    waiting = Waiting()
    dialogue = SeedDialogue(methods.timer)
    dispatcher = Dispatcher(Codec(METHODS), methods.handlers(), dialogue, waiting, room, config.limits)
    exporter = _export(metrics, *config.metrics_bind) if config.metrics_bind else None
    descriptors = raise_descriptor_limit()
    log.info(
        "listening",
        extra=fields(
            version=__version__,
            commands=sockets.commands_endpoint,
            events=sockets.events_endpoint,
            store="memory:" if config.store_path is None else str(config.store_path),
            curve=config.curve is not None,
            descriptors=descriptors,
        ),
    )
    if config.curve is None and not (is_local(config.bind) and is_local(config.events_bind)):
        log.warning(
            "bound beyond this machine without encryption: whoever reaches the ports may touch every timer",
            extra=fields(help="set TIMER_CURVE_SERVER_SECRET, or keep the ports on a network that you trust"),
        )
    try:
        Reactor(Parts(clock, engine, store, dispatcher, waiting, sockets, metrics), wishes).run()
    finally:
        if exporter is not None:
            exporter.server_close()


def _export(metrics: Metrics, host: str, port: int) -> WSGIServer:
    """Serves the metrics; the thread that does ends with the process."""
    try:
        server, _ = metrics.serve(host, port)
    except OSError as error:
        raise BindError(f"cannot bind {host}:{port} for the metrics: {error.strerror}") from None
    return server
