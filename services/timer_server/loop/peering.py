"""The part that other servers have in the loop: what they send is taken in, and who cannot be reached is told."""

from collections import Counter
from collections.abc import Callable, Mapping

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.messages import UnreachableServer
from timer_server.loop.clock import Clock
from timer_server.loop.parts import Parts
from timer_server.metrics import Metrics
from timer_server.requests.servers import Servers
from timer_server.wire.peer_greeting import SENTENCES
from timer_server.wire.peers import Incoming, Peers

_TAKE_NS = 2 * NS_PER_MS
"""How long a turn takes in what other servers send: the rest waits for the next, as the poller tells of it again."""


class Peering:
    """A chore that keeps up the connections with other servers."""

    def __init__(
        self,
        peers: Peers,
        clock: Clock,
        metrics: Metrics,
        servers: Servers,
        deliver: Callable[[Incoming, Refusal | None], None],
    ) -> None:
        """`deliver` is given what comes of other servers, in order, and why requests among that are to be refused."""
        self._peers, self._clock, self._metrics, self._servers = peers, clock, metrics, servers
        self._deliver = deliver

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what other servers send."""
        self._peers.register(poller)

    def next_due_ns(self) -> int:
        """When something is to be done about connections."""
        return self._peers.next_due_ns()

    def step(self, now_ns: int, _budget: int = 0) -> None:
        """Makes the connections that are due, and takes down which servers cannot be reached."""
        self._peers.step(now_ns)
        self._note_unreachable()

    def keep_up(self, now_ns: int) -> None:
        """Does that, and takes in all but requests, which are left where they are."""
        self.step(now_ns)
        self._receive(also_requests=False)

    def take_in(self, ready: Mapping[object, int], refusal: Refusal | None = None) -> int:
        """Takes in what has come, where a poller has told something. Requests may have to be refused.

        Returns how many connections had to be turned away.
        """
        turned_away = self._peers.port.listener.turn_away(ready)
        if self._peers.has_news(ready):
            self._receive(refusal)
            self._note_unreachable()
        return turned_away

    def _receive(self, refusal: Refusal | None = None, *, also_requests: bool = True) -> None:
        until_ns = self._clock.now_ns() + _TAKE_NS
        while (incoming := self._peers.receive(also_requests=also_requests)) is not None:
            self._deliver(incoming, refusal)
            if self._clock.now_ns() > until_ns:
                break

    def _note_unreachable(self) -> None:
        unreachable = self._peers.unreachable
        told = tuple(UnreachableServer(peer, SENTENCES[reason]) for peer, reason in sorted(unreachable.values()))
        if told != self._servers.unreachable:
            self._servers.unreachable = told
            self._metrics.unreachable = Counter(reason for _, reason in unreachable.values())


def peering_of(parts: Parts) -> Peering | None:
    """The part that other servers have in the loop of a server; None where it has its store to itself."""
    if parts.peers is None:
        return None
    deliver = (lambda *_: None) if parts.peer_traffic is None else parts.peer_traffic.deliver
    return Peering(parts.peers, parts.clock, parts.metrics, parts.servers, deliver)
