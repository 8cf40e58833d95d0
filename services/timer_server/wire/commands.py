"""The commands socket: a ROUTER that takes requests and sends their replies."""

from collections.abc import Iterable

import zmq

from timer_protocol.frames import Message
from timer_protocol.sender import EVERYBODY, NOBODY
from timer_server.access.gate import Gate
from timer_server.limits import REPLIES_QUEUED, frame_maximum_bytes
from timer_server.wire.backlog import Backlog
from timer_server.wire.endpoint_socket import EndpointSocket
from timer_server.wire.endpoints import HEARTBEAT_TIMEOUT_MS, LINGER_MS, Context, Socket, new_socket
from timer_server.wire.multipart import is_readable, receive_from_router
from timer_server.wire.routing_ids import is_chosen

_HEARTBEAT_MS = 5_000

_GONE_OR_FULL = (zmq.EHOSTUNREACH, zmq.EAGAIN)


class Commands(EndpointSocket):
    """The socket bound to the commands endpoint. With a gate, clients need a key. Raises `BindError`."""

    def __init__(self, context: Context, endpoint: str, max_message_bytes: int, gate: Gate | None = None) -> None:
        self._max_message_bytes = max_message_bytes
        self._gate = gate
        super().__init__(context, endpoint, LINGER_MS)

    def _begin(self, socket: Socket) -> None:
        super()._begin(socket)
        self._backlog = Backlog()

    def has_more(self) -> bool:
        """Whether there is a message."""
        return is_readable(self.socket)

    def receive(self) -> Message | None:
        """The next message; None if there is none.

        With a gate its sender is `NOBODY` where the key is no longer allowed, or the socket has named itself.
        """
        try:
            if self._gate is None:
                return Message(receive_from_router(self.socket), EVERYBODY)
            frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            sender = NOBODY if is_chosen(frames[0].bytes) else self._gate.sender_of(frames[0])
            return Message([frame.bytes for frame in frames], sender)
        except zmq.Again:
            return None

    def reply(self, frames: list[bytes]) -> bool:
        """Sends a reply; False if the peer is gone or does not read."""
        try:
            return self._backlog.send(self.socket, frames)
        except zmq.ZMQError as error:
            if error.errno in _GONE_OR_FULL:
                return False
            raise

    def reply_all(self, messages: Iterable[list[bytes]]) -> int:
        """Sends replies to peers; returns how many of them are gone or do not read."""
        dropped, socket, send = 0, self.socket, self._backlog.send
        for frames in messages:
            try:
                dropped += not send(socket, frames)
            except zmq.ZMQError as error:
                if error.errno not in _GONE_OR_FULL:
                    raise
                dropped += 1
        return dropped

    def _make(self, context: Context, endpoint: str) -> Socket:
        socket = new_socket(context, zmq.ROUTER, REPLIES_QUEUED, endpoint)
        if self._gate is not None:
            self._gate.guard(socket)
        # No limit: if one holds up the input of a connection that is then lost, and a heartbeat is due or was read with
        # the rest, libzmq 4.3.5 fails its own assertion (`!_io_error`) and ends the process.
        socket.rcvhwm = 0
        socket.heartbeat_ivl = _HEARTBEAT_MS
        socket.heartbeat_timeout = HEARTBEAT_TIMEOUT_MS
        socket.maxmsgsize = frame_maximum_bytes(self._max_message_bytes)
        socket.router_mandatory = True
        socket.router_handover = True
        return socket
