"""What handles the requests to a server: its methods, and the dispatcher that calls them."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from timer_protocol.codec import Codec
from timer_protocol.limits import Limits
from timer_protocol.methods import METHODS
from timer_server.loop.peer_traffic import PeerTraffic
from timer_server.loop.timeline_news import TimelineNews
from timer_server.random_ids import key_maker
from timer_server.requests.aside import Aside
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.forwarding import ForwardingDispatcher
from timer_server.requests.forwards import Forwards
from timer_server.requests.methods import Handler, Methods
from timer_server.requests.over_servers import OverServers
from timer_server.requests.peer_dispatch import PeerDispatcher
from timer_server.requests.placement import Shards
from timer_server.requests.plain_starts import PlainStarts
from timer_server.requests.plans import PlanMethods
from timer_server.requests.queue_parts import QueueParts
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.servers import Servers
from timer_server.requests.timer_parts import timer_parts
from timer_server.store.postgres.seen import Seen
from timer_server.wire.peers import Peers

_CODEC: Final = Codec(METHODS)
"""Reads requests for any server of this process. It keeps nothing of them, and takes a while to make."""


class Handling(NamedTuple):
    """The parts. `peer_traffic` is there where other servers may share the store."""

    dispatcher: Dispatcher
    queue_rules: QueueRules
    peer_traffic: PeerTraffic | None = None


class _Methods(NamedTuple):
    """All methods on the shards that are here."""

    of_timers: Methods
    of_queues: QueueMethods
    of_plans: PlanMethods

    def handlers(self) -> Mapping[str, Handler]:
        return {**self.of_timers.handlers(), **self.of_queues.handlers(), **self.of_plans.handlers()}


def handle_alone(shards: Shards, limits: Limits, servers: Servers) -> Handling:
    """For a server that has its store to itself."""
    rules = QueueRules(shards)
    methods = _methods(shards, limits, servers, rules)
    new_id, prefix_of = shards.new_id, methods.of_queues.prefix_of
    plain_starts = None if shards.only is None else PlainStarts(_CODEC.call_type("timer.start"), shards.only, new_id)
    dispatcher = Dispatcher(
        _CODEC, methods.handlers(), shards.parked, limits, new_id, prefix_of, plain_starts=plain_starts
    )
    return Handling(dispatcher, rules)


def handle_among_others(
    shards: Shards, limits: Limits, servers: Servers, peers: Peers, now_ns: Callable[[], int], seen: Seen
) -> Handling:
    """For a server whose store others may share: what is for their shards is sent on, and what they send on applied."""
    aside, new_key = Aside(), key_maker()
    rules = QueueRules(shards, aside)
    methods = _methods(shards, limits, servers, rules)
    here = methods.handlers()
    over_servers = OverServers(shards, limits, methods.of_timers, methods.of_queues, aside, new_key)
    handlers = {**here, **over_servers.handlers(here)}
    parts = {**timer_parts(shards.count), **QueueParts(shards.count, methods.of_queues, rules).by_name()}
    parked, forwards = shards.parked, Forwards(shards, peers.send)
    dispatcher = ForwardingDispatcher(
        _CODEC,
        handlers,
        parked,
        limits,
        shards.new_id,
        methods.of_queues.prefix_of,
        shards=shards,
        forwards=forwards,
        parts=parts,
        in_line=over_servers.in_line(),
        new_key=new_key,
    )
    peer_dispatcher = PeerDispatcher(_CODEC, handlers, parts, shards, parked, dispatcher.failed)
    news = TimelineNews(seen, peers.reply)
    traffic = PeerTraffic(
        reply=peers.reply,
        now_ns=now_ns,
        forwards=forwards,
        dispatcher=peer_dispatcher,
        aside=aside,
        own_dispatcher=dispatcher,
        news=news,
    )
    return Handling(dispatcher, rules, traffic)


def _methods(shards: Shards, limits: Limits, servers: Servers, rules: QueueRules) -> _Methods:
    return _Methods(Methods(shards, limits, servers), QueueMethods(shards, rules), PlanMethods(shards, limits))
