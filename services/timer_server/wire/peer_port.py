"""The port where other servers connect: a ROUTER that takes what they forward, and sends the replies."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import zmq

from timer_server.access.admission import Admission
from timer_server.limits import PEERS_UNGREETED, REPLIES_QUEUED
from timer_server.wire.backlog import Backlog
from timer_server.wire.connections import Connection, connection_of
from timer_server.wire.endpoint_socket import EndpointSocket
from timer_server.wire.endpoints import Context, Socket, new_socket
from timer_server.wire.multipart import DONTWAIT, send
from timer_server.wire.peer_greeting import Hello, Reason, difference, greeting, read_greeting, refusal
from timer_server.wire.peer_link import HEARTBEAT_MS, SILENCE_MS
from timer_server.wire.routing_ids import is_chosen

_STRANGERS_AT_ONCE = 50
"""Messages of those who have not said who they are that are looked at for one that is handed on."""


class _Visitor(NamedTuple):
    """A server that has said who it is, over this connection."""

    incarnation: str
    public: str
    connection: Connection


class Request(NamedTuple):
    """What another server asks."""

    incarnation: str
    body: bytes


class PeerPort(EndpointSocket):
    """The socket bound for other servers. With a gate, they need a key that is marked so. Raises `BindError`.

    Who sends is known by the connection: what a message says of that is never asked. A server has one connection, its
    newest, and nothing that came over an older one is handed on.
    """

    _overdue: tuple[Connection, ...]

    def __init__(
        self,
        context: Context,
        endpoint: str,
        admission: Admission,
        most_bytes: int,
        joined: Callable[[str], None],
        left: Callable[[str], None],
    ) -> None:
        """`joined` is told of a server, by its incarnation, that has said who it is. `left` is told of one whose
        connection has ended or was replaced by another."""
        self._most_bytes = most_bytes
        self._joined, self._left = joined, left
        self._admission, self._gate = admission, admission.gate
        self.refused: Counter[Reason] = Counter()
        """Connections that were refused or ended, by why."""
        super().__init__(context, endpoint, 0, self._welcome)

    def receive(self, own: Hello, known: Collection[str]) -> Request | None:
        """The next message of a server among those that are known; None where there is none, or only strangers'."""
        for _ in range(_STRANGERS_AT_ONCE):
            try:
                frames = self.socket.recv_multipart(DONTWAIT, copy=False)
            except zmq.Again:
                return None
            visitor = self._visitors.get(frames[0].bytes)
            if visitor is None:
                self._meet(frames, own, known)
            elif len(frames) == 2:
                return Request(visitor.incarnation, frames[1].bytes)
            else:
                self._dismiss(frames[0].bytes, "no_greeting")
        return None

    def reply(self, incarnation: str, body: bytes) -> bool:
        """Sends a message to a server over the connection that it has now; False where it has none, or it is too large.

        One that does not read is dismissed: it connects anew, and so knows that replies are lost.
        """
        routing_id = self._routing_ids.get(incarnation)
        if routing_id is None or len(body) > self._most_bytes:
            return False
        try:
            if self._backlog.send(self.socket, [routing_id, body]):
                return True
            reason: Reason = "silent"
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            reason = "broken" if error.errno == zmq.EHOSTUNREACH else "silent"
        self._dismiss(routing_id, reason)
        return False

    def keep(self, known: Collection[str]) -> None:
        """Dismisses the servers that are known no longer, or whose key is allowed no longer."""
        for routing_id, visitor in list(self._visitors.items()):
            if visitor.incarnation not in known:
                self._dismiss(routing_id, "not_known")
            elif not self._is_admitted(visitor.public):
                self._dismiss(routing_id, "not_admitted")

    def end_overdue(self) -> None:
        """Ends connections that were there at the last call and still have not said whose they are."""
        for connection in self._overdue:
            if connection in self._newcomers:
                del self._newcomers[connection]
                self._end(connection)
        self._refused_connections.clear()
        self._overdue = tuple(self._newcomers)

    def reopen(self) -> None:
        """Cuts all connections: closes the socket and binds a new one. Peers connect anew. Raises `CannotListen`."""
        visitors = [*self._routing_ids]
        try:
            super().reopen()
        finally:
            for incarnation in visitors:
                if incarnation not in self._routing_ids:
                    self._left(incarnation)

    def _begin(self, socket: Socket) -> None:
        super()._begin(socket)
        self._backlog = Backlog()
        self._visitors: dict[bytes, _Visitor] = {}
        self._routing_ids: dict[str, bytes] = {}
        self._newcomers: dict[Connection, None] = {}
        """Who has yet to say who that is, or was refused; the oldest first."""
        self._refused_connections: dict[bytes, Connection] = {}
        """The connections of those who were refused since the last look: what else they send is no greeting."""
        self._overdue = ()

    def _welcome(self, connection: Connection) -> None:
        if any(visitor.connection == connection for visitor in self._visitors.values()):
            return
        self._newcomers[connection] = None
        if len(self._newcomers) > PEERS_UNGREETED:
            oldest = next(iter(self._newcomers))
            del self._newcomers[oldest]
            self._end(oldest)

    def _meet(self, frames: Sequence[zmq.Frame], own: Hello, known: Collection[str]) -> None:
        """Answers the greeting of a newcomer, and ends the connection where it sends anything else, or goes on."""
        routing_id, public = frames[0].bytes, self._public(frames[0])
        other: Hello | Reason = "no_greeting"
        if routing_id not in self._refused_connections and not is_chosen(routing_id):
            other = self._judged(read_greeting([frame.bytes for frame in frames[1:5]]), own, known, public)
        if not self._answer(routing_id, refusal(other) if isinstance(other, str) else greeting(own)):
            return  # it has ended meanwhile, and its descriptor may be another's
        # What one has left behind may be read when its descriptor is another's already: it was its own at first.
        connection = self._refused_connections.get(routing_id) or connection_of(frames[0])
        if isinstance(other, str):
            self.refused[other] += 1
            self._refused_connections[routing_id] = connection
            if other == "no_greeting":
                self._end(connection)
            return  # another one ends the connection by itself, once it has read why
        if other.incarnation in self._routing_ids:
            self._dismiss(self._routing_ids[other.incarnation], "broken")
        self._newcomers.pop(connection, None)
        self._visitors[routing_id] = _Visitor(other.incarnation, public, connection)
        self._routing_ids[other.incarnation] = routing_id
        self._joined(other.incarnation)

    def _judged(self, other: Hello | Reason, own: Hello, known: Collection[str], public: str) -> Hello | Reason:
        """A server as it has greeted, or why it is refused."""
        if isinstance(other, str):
            return other
        if (reason := difference(own, other)) is not None:
            return reason
        if not self._is_admitted(public):
            return "not_admitted"
        return other if other.incarnation in known else "not_known"

    def _answer(self, routing_id: bytes, frames: Sequence[bytes]) -> bool:
        """Answers a newcomer, as far as it reads; False where the connection has ended."""
        try:
            send(self.socket, [routing_id, *frames])
        except zmq.ZMQError as error:
            return error.errno != zmq.EHOSTUNREACH
        return True

    def _dismiss(self, routing_id: bytes, reason: Reason) -> None:
        visitor = self._visitors.pop(routing_id)
        del self._routing_ids[visitor.incarnation]
        self._left(visitor.incarnation)
        self._end(visitor.connection)
        if reason != "broken":
            self.refused[reason] += 1

    def _end(self, connection: Connection) -> None:
        if connection.is_at(self.endpoint):
            connection.end(by_reset=True)

    def _public(self, frame: zmq.Frame) -> str:
        return "" if self._gate is None else str(frame.get("User-Id"))

    def _is_admitted(self, public: str) -> bool:
        return self._gate is None or self._gate.is_server(public)

    def _make(self, context: Context, endpoint: str) -> Socket:
        socket = new_socket(context, zmq.ROUTER, REPLIES_QUEUED, endpoint)
        self._admission.guard_peers(socket)
        socket.rcvhwm = 0  # as for requests: see `wire.commands`
        socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, SILENCE_MS
        socket.handshake_ivl = SILENCE_MS
        socket.maxmsgsize = self._most_bytes
        socket.router_mandatory = True
        return socket
