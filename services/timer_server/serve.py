"""The whole server from its settings: opens, recovers, serves, closes."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple
from wsgiref.simple_server import WSGIServer

import zmq

from timer_protocol import __version__
from timer_protocol.codec import Codec
from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import METHODS
from timer_server.access.gate import Gate
from timer_server.core.engine import Engine
from timer_server.logs import fields, log
from timer_server.loop.clock import Clock, Sources
from timer_server.loop.garbage import Collector
from timer_server.loop.signals import Wishes
from timer_server.loop.turn import Parts, Reactor
from timer_server.metrics import Metrics
from timer_server.new_id import new_id
from timer_server.process import give_large_blocks_back, raise_descriptor_limit
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.methods import Methods, ReplyRoom
from timer_server.requests.parked import Waiting
from timer_server.settings import Config
from timer_server.store.base import Notice, Store
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite import SqliteStore
from timer_server.wire.commands import Commands
from timer_server.wire.endpoints import LINGER_MS, BindError, is_local
from timer_server.wire.events import Events
from timer_server.wire.routing_ids import begin_anywhere

Collecting = Callable[[], Collector]
"""Takes over Python's garbage collector, once all is loaded that lives long."""


class Recovered(NamedTuple):
    """What a store has been opened to."""

    engine: Engine
    clock: Clock
    store: Store


class Sockets(NamedTuple):
    """All sockets of a server; no gate, no encryption."""

    commands: Commands
    events: Events
    gate: Gate | None


def serve(config: Config, sources: Sources, wishes: Wishes, collecting: Collecting | None = None) -> None:
    """Runs a server until it is wished to stop. Without `collecting`, Python's garbage collector is left as it is.

    Raises `StoreError` where the store cannot be used, `BindError` where an address cannot be bound, `KeyFileError`
    where a key file cannot be read.
    """
    give_large_blocks_back()
    store: Store = MemoryStore() if config.store_path is None else SqliteStore(config.store_path)
    try:
        engine, clock = _recover(store, config, sources)
        begin_anywhere()
        context = zmq.Context()
        try:
            gate = None if config.curve is None else Gate(context, config.curve)
            commands = Commands(context, config.bind, config.limits.max_message_bytes, gate)
            events = Events(context, config.events_bind, gate)
            _run(config, Recovered(engine, clock, store), Sockets(commands, events, gate), wishes, collecting)
        finally:
            context.destroy(linger=LINGER_MS)
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


def _run(config: Config, recovered: Recovered, sockets: Sockets, wishes: Wishes, collecting: Collecting | None) -> None:
    engine, clock, store = recovered
    metrics = Metrics(engine)
    room = ReplyRoom()
    methods = Methods(engine, store, config.limits, room)
    waiting = Waiting()
    dispatcher = Dispatcher(Codec(METHODS), methods.handlers(), waiting, room, config.limits, new_id)
    exporter = _export(metrics, *config.metrics_bind) if config.metrics_bind else None
    descriptors = raise_descriptor_limit()
    log.info(
        "listening",
        extra=fields(
            version=__version__,
            commands=sockets.commands.endpoint,
            events=sockets.events.endpoint,
            store="memory:" if config.store_path is None else str(config.store_path),
            metrics=None if exporter is None else "{}:{}".format(*exporter.server_address[:2]),
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
        collector = None if collecting is None else collecting()
        Reactor(Parts(clock, engine, store, dispatcher, waiting, *sockets, metrics), wishes, collector).run()
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
