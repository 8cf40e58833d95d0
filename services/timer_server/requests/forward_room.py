"""How much may be held of requests for shards of other servers: for all connections together, and for each."""

from collections.abc import Mapping

from timer_protocol.errors import LimitScope, Refusal, limit_reached
from timer_protocol.plurals import counted
from timer_server.limits import CONNECTION_PERCENT, FORWARDED_BYTES, FORWARDED_MAXIMUM
from timer_server.requests.between_servers import PeerSender


class ClientMessage:
    """A message of a client of which something is sent on: who sent it, and what is held of it.

    `number` names it among those of this server.
    """

    __slots__ = ("bytes", "connection", "number", "requests", "sender")

    def __init__(self, number: int, connection: bytes, sender: PeerSender) -> None:
        self.number = number
        self.connection = connection
        self.sender = sender
        self.requests = 0
        self.bytes = 0


class _Held:
    __slots__ = ("bytes", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0


class ForwardRoom:
    """Counts the requests that are held, and the bytes of their params and results.

    The bytes of a message count until all its requests for other shards are answered: a batch is sent as a whole.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self._by_connection: dict[bytes, _Held] = {}

    def limits(self) -> Mapping[str, float]:
        """How much of each limit is taken, by its name: 1 is all of it."""
        return {
            "forwarded_requests": self.requests / FORWARDED_MAXIMUM,
            "forwarded_bytes": self.bytes / FORWARDED_BYTES,
        }

    def take(self, message: ClientMessage, size: int) -> None:
        """Takes room for one more request of a message. Raises `Refusal` (limit_reached)."""
        held = self._by_connection.get(message.connection)
        if held is None:
            held = self._by_connection[message.connection] = _Held()
        full = _full(self.requests, self.bytes + size, 100) or _full(held.requests, held.bytes + size)
        if full is not None:
            if not held.requests:
                del self._by_connection[message.connection]
            raise full
        message.requests += 1
        held.requests += 1
        self.requests += 1
        self._add(message, held, size)

    def holds(self, connection: bytes) -> bool:
        """Whether requests of a connection are held."""
        return connection in self._by_connection

    def may_keep(self, message: ClientMessage, size: int) -> bool:
        """Whether there is room for what came of a request, where others of its message have yet to be answered."""
        if message.requests <= 1:
            return True
        held = self._by_connection[message.connection]
        return _full(0, self.bytes + size, 100) is None and _full(0, held.bytes + size) is None

    def keep(self, message: ClientMessage, size: int) -> None:
        """Counts what came of a request, as long as others of its message have yet to be answered."""
        if message.requests and size:
            self._add(message, self._by_connection[message.connection], size)

    def give_back(self, message: ClientMessage) -> None:
        """Gives back the room of one request."""
        held = self._by_connection[message.connection]
        message.requests -= 1
        held.requests -= 1
        self.requests -= 1
        if not message.requests:
            self._add(message, held, -message.bytes)
        if not held.requests:
            del self._by_connection[message.connection]

    def _add(self, message: ClientMessage, held: _Held, size: int) -> None:
        message.bytes += size
        held.bytes += size
        self.bytes += size


def _full(requests: int, size: int, percent: int = CONNECTION_PERCENT) -> Refusal | None:
    """The refusal where all, or one connection, would go beyond its part."""
    scope: LimitScope = "server" if percent == 100 else "connection"
    if requests >= (most := FORWARDED_MAXIMUM * percent // 100):
        what = f"for shards of other servers {counted(requests, 'request waits', 'requests wait')}"
        return limit_reached("forwarded_requests", most, what, scope=scope, later=True)
    if size > (most := FORWARDED_BYTES * percent // 100):
        what = f"of requests for shards of other servers {counted(size, 'byte')} would wait"
        return limit_reached("forwarded_bytes", most, what, scope=scope, later=True)
    return None
