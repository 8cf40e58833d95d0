"""The parts of a server that the loop joins."""

from typing import NamedTuple

from timer_server.access.admission import Admission
from timer_server.core.places import Places
from timer_server.loop.clock import Clock
from timer_server.loop.committer import Committer
from timer_server.loop.garbage import GarbagePolicy
from timer_server.loop.peer_traffic import PeerTraffic
from timer_server.loop.standing import Standing
from timer_server.metrics import Metrics
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.placement import Shards
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.servers import Servers
from timer_server.store.copied import Copied
from timer_server.wire.admin_port import AdminPort
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events
from timer_server.wire.peers import Peers


class Administered(NamedTuple):
    """A store of which operators may have copies, and where they ask for them."""

    store: Copied
    port: AdminPort


class Parts(NamedTuple):
    """All parts. `places` are those of the timers of all shards. Without a garbage policy Python's own is in force.

    `peers` are the other servers of a store that these may share, and `membership` that of this one among them.
    `peer_traffic` goes with them, and the dispatcher is a `ForwardingDispatcher` then. `administered` is there where
    the store is a file.
    """

    clock: Clock
    shards: Shards
    places: Places
    queue_rules: QueueRules
    committer: Committer
    dispatcher: Dispatcher
    commands: Commands
    events: Events
    admission: Admission
    metrics: Metrics
    servers: Servers
    garbage: GarbagePolicy | None = None
    peers: Peers | None = None
    membership: Standing | None = None
    peer_traffic: PeerTraffic | None = None
    administered: Administered | None = None
