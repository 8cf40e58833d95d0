"""A socket bound to an endpoint of the server, and put in place of another where connections have to be cut."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import zmq

from timer_server.wire.connections import Connection
from timer_server.wire.endpoints import Context, Socket
from timer_server.wire.listener import Listener


class EndpointSocket(ABC):
    """What the sockets of the server have in common. Raises `BindError`.

    `socket` is the one that is bound at the moment; `listener` binds it.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        linger_ms: int,
        welcome: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self.listener = Listener(context, lambda: self._make(context, endpoint), endpoint, linger_ms, welcome)
        self._begin(self.listener.socket)

    @property
    def endpoint(self) -> str:
        """The address that is bound, with the port that was picked."""
        return self.listener.endpoint

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for what comes in."""
        self.listener.register(poller)

    def reopen(self) -> None:
        """Cuts all connections: closes the socket and binds a new one. Peers connect anew. Raises `CannotListen`."""
        try:
            self.listener.reopen()
        finally:
            if self.socket is not self.listener.socket:
                self._begin(self.listener.socket)

    @abstractmethod
    def _make(self, context: Context, endpoint: str) -> Socket:
        """A socket with its options, not yet bound."""

    def _begin(self, socket: Socket) -> None:
        """Takes up a new socket, to which nobody is connected yet."""
        self.socket = socket
