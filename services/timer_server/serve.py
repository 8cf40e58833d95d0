"""Builds the server from its settings and runs it: opens, recovers, serves, closes."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from timer_protocol import __version__
from timer_protocol.messages import ServerAddresses
from timer_protocol.plurals import counted
from timer_protocol.settings import SettingError, without_password
from timer_server import recovery
from timer_server.access.admission import Admission
from timer_server.access.gate import Gate
from timer_server.descriptors import raise_limit
from timer_server.handling import handle_alone, handle_among_others
from timer_server.limits import peer_maximum_bytes
from timer_server.logs import fields, log
from timer_server.loop.clock import Clock, Sources
from timer_server.loop.garbage import GarbagePolicy
from timer_server.loop.parts import Administered, Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.turn import Loop
from timer_server.metrics import Metrics
from timer_server.process import give_large_blocks_back
from timer_server.requests.servers import Servers
from timer_server.settings import Config
from timer_server.store.base import Store
from timer_server.store.sqlite.store import SqliteStore
from timer_server.stores import Stopped, named_stores
from timer_server.wire.admin_place import admin_path
from timer_server.wire.admin_port import AdminPort
from timer_server.wire.advertised import Endpoints, advertised
from timer_server.wire.commands import Commands
from timer_server.wire.endpoints import LINGER_MS, BindError, Context, bindable, is_local, new_context
from timer_server.wire.events import Events
from timer_server.wire.fences import prepare_fences
from timer_server.wire.listener import CannotListen, Listener
from timer_server.wire.peer_port import PeerPort
from timer_server.wire.peers import Peers
from timer_server.wire.routing_ids import begin_anywhere

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer


class Sockets(NamedTuple):
    """All sockets of a server. Only one whose store others may share has peers."""

    commands: Commands
    events: Events
    admission: Admission
    peers: Peers | None

    @property
    def ports(self) -> Sequence[PeerPort]:
        """The port for other servers, where there is one."""
        return [] if self.peers is None else [self.peers.port]

    @property
    def bound(self) -> Endpoints:
        """What they are bound to."""
        return Endpoints(self.commands.endpoint, self.events.endpoint, *(port.endpoint for port in self.ports))


def serve(
    config: Config,
    sources: Sources,
    signals: OperatorSignals,
    make_garbage_policy: type[GarbagePolicy] | None = None,
    make_loop: Callable[[Parts, OperatorSignals], Loop] = Loop,
    make_stores: Callable[[Config], Sequence[Store]] | None = None,
) -> None:
    """Runs a server until it is told to stop. Only in its own process it gets a policy for the garbage collector.

    `make_stores` makes a store for each shard; without it these are the ones that the settings name.

    Raises `SettingError` and `StoreError` where the store cannot be used, `BindError` where an address cannot be bound,
    `KeyFileError` where a key file cannot be read.
    """
    give_large_blocks_back()
    begin_anywhere()
    # Addresses come first: a start that fails because one is in use leaves no store behind.
    with _sockets(config) as sockets, _policy(make_garbage_policy) as garbage, ExitStack() as closing_all:
        try:
            if config.store_url:
                recovered = recovery.share(config, sources, signals, closing_all)
            else:
                stores = named_stores(config) if make_stores is None else make_stores(config)
                for store in stores:
                    closing_all.callback(store.close)
                recovered = recovery.recover(stores, config, sources, signals)
                recovered = recovered._replace(administered=_administered(config, stores[0], closing_all))
            if garbage is not None:
                garbage.loaded()
            _run(config, recovered, sockets, garbage, signals, make_loop)
        except Stopped:
            signals.manager.stopping()
            log.info("told to stop before anybody was served")
    log.info("stopped")


@contextmanager
def _sockets(config: Config) -> Iterator[Sockets]:
    """All sockets, bound; connections wait until they listen. Sent messages have a moment to leave at the end."""
    if config.metrics_bind is not None:
        _check_metrics_address(*config.metrics_bind)
    prepare_fences()
    context = new_context()
    with ExitStack() as closing_all:
        closing_all.callback(context.destroy, linger=LINGER_MS)
        admission = Admission(context, None if config.curve is None else Gate(config.curve))
        with _asked_for_by("TIMER_BIND"):
            commands = Commands(context, bindable(config.bind), config.limits.max_message_bytes, admission.gate)
        closing_all.callback(commands.listener.close)
        commands.listener.pause()
        with _asked_for_by("TIMER_EVENTS_BIND"):
            events = Events(context, bindable(config.events_bind), admission)
        closing_all.callback(events.listener.close)
        events.listener.pause()
        peers = _peers(context, config, admission)
        if peers is not None:
            closing_all.callback(peers.close)
            peers.port.listener.pause()
        yield Sockets(commands, events, admission, peers)


@contextmanager
def _asked_for_by(setting: str) -> Iterator[None]:
    """Has a `BindError` of the block name the setting that the operator may change."""
    try:
        yield
    except BindError as error:
        raise error.by(setting) from None


def _peers(context: Context, config: Config, admission: Admission) -> Peers | None:
    """The port for other servers, where they may share the store. Raises `SettingError` and `BindError`."""
    if not config.store_url:
        return None
    if config.curve is None and not is_local(config.peer_bind):
        raise SettingError(
            f"TIMER_PEER_BIND is {config.peer_bind!r}, which others than this machine can reach: whoever connects there"
            " may speak for every client, so it needs keys (TIMER_CURVE_SERVER_SECRET); without them it must be on the"
            " loopback interface"
        )
    most_bytes = peer_maximum_bytes(config.limits.max_message_bytes)
    with _asked_for_by("TIMER_PEER_BIND"):
        return Peers(context, bindable(config.peer_bind), admission, most_bytes)


def _run(
    config: Config,
    recovered: recovery.Recovered,
    sockets: Sockets,
    garbage: GarbagePolicy | None,
    signals: OperatorSignals,
    make_loop: Callable[[Parts, OperatorSignals], Loop],
) -> None:
    clock, shards, places, committer, candidate, administered = recovered
    if (gate := sockets.admission.gate) is not None:
        places.share_out(gate.shares())
    metrics = Metrics({shard.number: shard.engine.counts() for shard in shards.owned})
    told = advertised(config.advertise, sockets.bound, socket.gethostname())
    itself = ServerAddresses(config.name or socket.gethostname(), told.commands, told.events)
    servers = Servers((itself,))
    exporter = _export(metrics, clock, config) if config.metrics_bind else None
    commands, events, admission, peers = sockets
    if peers is None or candidate is None:
        handling = handle_alone(shards, config.limits, servers)
    else:
        handling = handle_among_others(shards, config.limits, servers, peers, clock.now_ns, candidate.seen)
    dispatcher, queue_rules, peer_traffic = handling
    made = (dispatcher, commands, events, admission, metrics, servers, garbage, peers)
    parts = Parts(clock, shards, places, queue_rules, committer, *made, peer_traffic=peer_traffic)
    parts = parts._replace(administered=administered)
    if candidate is not None:
        parts = parts._replace(membership=candidate.join(parts, told, signals))
    for one in (sockets.commands, sockets.events, *sockets.ports):
        _listen(one.listener)
    _say_listening(config, sockets, told, itself.name, exporter)
    signals.manager.ready(f"{counted(places.pending, 'timer')} pending")
    try:
        make_loop(parts, signals).run()
    finally:
        if exporter is not None:
            exporter.server_close()


def _administered(config: Config, store: Store, closing_all: ExitStack) -> Administered | None:
    """Listens for operators beside a store that is a file. Where that cannot be, the server serves without."""
    if config.store_path is None or not isinstance(store, SqliteStore):
        return None
    path = admin_path(config.store_path)
    try:
        port = closing_all.enter_context(closing(AdminPort(path)))
    except OSError as error:
        reason = f"cannot bind {path}: {error.strerror or error}"
        log.warning("no backups can be made while this server runs", extra=fields(reason=reason))
        return None
    return Administered(store, port)


@contextmanager
def _policy(make: type[GarbagePolicy] | None) -> Iterator[GarbagePolicy | None]:
    if make is None:
        yield None
        return
    with closing(make()) as policy:
        yield policy


def _say_listening(config: Config, sockets: Sockets, told: Endpoints, name: str, exporter: "WSGIServer | None") -> None:
    bound = sockets.bound
    log.info(
        "listening",
        extra=fields(
            version=__version__,
            name=name,
            commands=bound.commands,
            events=bound.events,
            **({"peers": bound.peer} if bound.peer else {}),
            store=without_password(config.store_url) or str(config.store_path or "memory:"),
            metrics=None if exporter is None else "{}:{}".format(*exporter.server_address[:2]),
            curve=config.curve is not None,
            descriptors=raise_limit(),
        ),
    )
    if not config.advertise and told != bound:
        log.info(
            "others are told the host's name, as a bind names none",
            extra=fields(**told._asdict(), help="TIMER_ADVERTISE says another"),
        )
    if config.curve is None and not (is_local(config.bind) and is_local(config.events_bind)):
        log.warning(
            "bound beyond this machine without encryption: whoever reaches the ports may touch every timer",
            extra=fields(help="set TIMER_CURVE_SERVER_SECRET, or keep the ports on a network that you trust"),
        )


def _listen(listener: Listener) -> None:
    try:
        listener.resume()
    except CannotListen as error:
        raise BindError(listener.endpoint, str(error)) from None


def _export(metrics: Metrics, clock: Clock, config: Config) -> "WSGIServer":
    """Serves the metrics, in a thread that ends with the process. Raises `BindError`."""
    from timer_server.exporter import Exported, export  # noqa: PLC0415 - most servers need none of it

    assert config.metrics_bind is not None
    host, port = config.metrics_bind
    try:
        return export(Exported(metrics, clock.now_ns, config.store_kind, config.store_path), host, port)
    except OSError as error:
        raise _no_metrics(host, port, error) from None


def _check_metrics_address(host: str, port: int) -> None:
    """Binds the address of the metrics for a trial. Raises `BindError`."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise _no_metrics(host, port, error) from None


def _no_metrics(host: str, port: int, error: OSError) -> BindError:
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror  # numbers of name resolution are negative
    return BindError(f"{host}:{port}", reason or str(error), "TIMER_METRICS_BIND")
