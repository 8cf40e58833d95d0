"""The other servers of a store: what is sent to them, and what comes from them.

Each server asks another over a connection that it makes itself, and is answered there; so two servers have two. What is
sent is opaque here.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal, NamedTuple

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_server.access.admission import Admission
from timer_server.access.gate import Fingerprints
from timer_server.limits import PEER_BYTES
from timer_server.logs import fields, log
from timer_server.wire.endpoints import Context
from timer_server.wire.peer_greeting import SENTENCES, Hello, Reason, hello
from timer_server.wire.peer_link import SILENCE_MS, PeerLink
from timer_server.wire.peer_port import PeerPort

_LOOK_NS = SILENCE_MS * NS_PER_MS
_TELL_AGAIN_NS = 60_000 * NS_PER_MS


class Incoming(NamedTuple):
    """What has come of another server: a message, or what has become of a connection.

    After `connected` requests may be sent to it. After `broken` those without a reply may be lost, or done. After
    `joined` it may ask this one, and be sent replies. `left` says that the connection for that has ended: it knows of
    none of the replies that are still to come, and asks again over its next one.
    """

    incarnation: str
    kind: Literal["request", "reply", "connected", "broken", "joined", "left"]
    body: bytes = b""


class Unreachable(NamedTuple):
    """A server with which there is no connection: where it should be, and why."""

    endpoint: str
    reason: Reason


class Peers:
    """The connections with all other servers. Raises `BindError`.

    Nobody is connected to, and nobody admitted, before this server has been introduced and told whom to follow.
    """

    def __init__(self, context: Context, endpoint: str, admission: Admission, most_bytes: int = PEER_BYTES) -> None:
        self.most_bytes = most_bytes
        """What a message may have, either way."""
        self._told: deque[Incoming] = deque()
        self.port = PeerPort(context, endpoint, admission, most_bytes, self._joined, self._left)
        self._context, self._gate = context, admission.gate
        self._poller: zmq.Poller | None = None
        self._links: dict[str, PeerLink] = {}
        self._turns: deque[PeerLink | None] = deque((None,))
        """Whom to ask next for what has come; None stands for the port."""
        self._own = Hello("", "", "", b"", b"")
        self._look_ns = self._tell_again_ns = 0
        self._told_reasons: set[Reason] = set()

    def introduce(self, store: str, incarnation: str, name: str) -> None:
        """Says who this server is from now on. Connections that stand were made as another, and are ended."""
        self.follow({})
        self._own = hello(store, incarnation, name, self._fingerprints())

    def follow(self, servers: Mapping[str, str]) -> None:
        """Says which servers there are, by incarnation, and where each is reached; this one may be among them."""
        wanted = {name: endpoint for name, endpoint in servers.items() if name != self._own.incarnation and endpoint}
        for link in list(self._links.values()):
            if wanted.get(link.incarnation) != link.endpoint:
                self._leave(link)
        for incarnation, endpoint in wanted.items():
            if incarnation not in self._links:
                link = self._links[incarnation] = self._link(endpoint, incarnation)
                link.register(self._poller)
                self._turns.append(link)
        self.port.keep(self._links)

    def keys_read(self) -> None:
        """Goes by the keys that have been read again: cuts the servers whose key was taken away."""
        keys = self._fingerprints()
        self._own = hello(self._own.store, self._own.incarnation, self._own.name, keys)
        self.port.keep(self._links)

    @property
    def unreachable(self) -> Mapping[str, Unreachable]:
        """The servers with which there is no connection, by incarnation."""
        links = self._links.values()
        return {link.incarnation: Unreachable(link.endpoint, link.reason) for link in links if link.reason is not None}

    def send(self, incarnation: str, body: bytes) -> bool:
        """Sends a request; False where there is no connection, too much is left unread, or it is too large."""
        link = self._links.get(incarnation)
        return link is not None and link.send(body)

    def reply(self, incarnation: str, body: bytes) -> bool:
        """Sends replies to a server that has asked; False where they are lost, which the server will know."""
        return self.port.reply(incarnation, body)

    def receive(self, *, also_requests: bool = True) -> Incoming | None:
        """What has come next; None if there is nothing. All of one connection comes in order.

        Requests, with those who would connect, can be left where they are.
        """
        if self._told:
            return self._told.popleft()
        for _ in range(len(self._turns)):
            link = self._turns[0]
            self._turns.rotate(-1)
            if link is None:
                if not also_requests:
                    continue
                request = self.port.receive(self._own, self._links)
                if request is not None:
                    self._told.append(Incoming(request.incarnation, "request", request.body))
                if self._told:  # who has left for a new connection did so before it asked over that
                    return self._told.popleft()
            elif isinstance(news := link.receive(self._own), bytes):
                return Incoming(link.incarnation, "reply", news)
            elif news is not None:
                return Incoming(link.incarnation, news)
        return None

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what comes, over later connections too."""
        self._poller = poller
        self.port.register(poller)
        for link in self._links.values():
            link.register(poller)

    def has_news(self, ready: Mapping[object, int]) -> bool:
        """Whether there is something to receive, where a poller has told something."""
        return bool(self._told) or self.port.socket in ready or any(link.is_in(ready) for link in self._links.values())

    def next_due_ns(self) -> int:
        """When `step` is to be called, or 0 where there is something to receive that no poller tells."""
        if self._told:
            return 0
        return min([self._look_ns, *(link.next_due_ns() for link in self._links.values())])

    def step(self, now_ns: int, _budget: int = 0) -> None:
        """Makes the connections that are due, and ends those that have not said in time whose they are."""
        for link in self._links.values():
            link.step(now_ns, self._own)
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            self.port.end_overdue()
            self._tell_refused(now_ns)

    def close(self) -> None:
        """Ends all connections."""
        for link in self._links.values():
            link.close()
        self.port.listener.close()

    def _link(self, endpoint: str, incarnation: str) -> PeerLink:
        return PeerLink(self._context, endpoint, incarnation, self._gate, self.most_bytes)

    def _leave(self, link: PeerLink) -> None:
        if link.is_open:
            self._told.append(Incoming(link.incarnation, "broken"))
        link.close()
        del self._links[link.incarnation]
        self._turns.remove(link)

    def _joined(self, incarnation: str) -> None:
        self._told.append(Incoming(incarnation, "joined"))

    def _left(self, incarnation: str) -> None:
        self._told.append(Incoming(incarnation, "left"))

    def _tell_refused(self, now_ns: int) -> None:
        """Logs why others were refused: what is new at once, and the rest once a minute."""
        reasons = self.port.refused.keys() - {"not_known"}  # the other one tells that of itself, if it stays so
        if now_ns < self._tell_again_ns and reasons <= self._told_reasons:
            return
        for reason in sorted(reasons):
            told = fields(reason=SENTENCES[reason], connections=self.port.refused[reason])
            log.warning("other servers, or who poses as one, are refused", extra=told)
        self.port.refused.clear()
        self._told_reasons, self._tell_again_ns = reasons, now_ns + _TELL_AGAIN_NS

    def _fingerprints(self) -> Fingerprints:
        return Fingerprints() if self._gate is None else self._gate.fingerprints()
