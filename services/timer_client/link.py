"""One connection to the commands socket: requests go out under a token, replies come back with it.

Nothing here blocks. The blocking and the awaitable transport wait, each in its own way, for the sockets of a link to
become readable.
"""

import contextlib
import itertools
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import zmq

from timer_client.keys import Keys
from timer_client.retry import Unanswered

Context = zmq.Context[Any]
Socket = zmq.Socket[bytes]

HEARTBEAT_INTERVAL_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
"""A peer that is silent this long is gone. Only then is its name resolved anew, and it may have moved."""

CLOSING_LIMIT_S = 1.0
"""What closing a client takes at most."""

_NO_RECONNECT_MS = 86_400_000
"""A link that has failed is replaced, so it need not connect again by itself. It must not either: each try is an event,
and once as many as fit are unread in the monitor of an idle link, ZeroMQ's I/O thread waits for their reader."""

_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_MECHANISM_MISMATCH = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
_FAILURES = {
    zmq.EVENT_CONNECT_RETRIED: "nothing there accepts connections",
    zmq.EVENT_DISCONNECTED: "the connection was lost",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "what is there does not speak ZeroMQ's protocol",
}
# Each pair: what is said without keys, and with them.
_MISMATCH = (
    "the server wants CURVE keys; TIMER_CURVE_CLIENT_SECRET names the file with this client's",
    "the server does not use CURVE keys; unset TIMER_CURVE_CLIENT_SECRET",
)
# A peer that closes the connection first leaves no time to hear why.
_NO_DETAIL = (
    "what is there wants CURVE keys (TIMER_CURVE_CLIENT_SECRET), or does not speak ZeroMQ's protocol",
    "what is there has another key than TIMER_CURVE_SERVER_PUBLIC says, or none, or does not speak ZeroMQ's protocol",
)
_WATCHED = _UP | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_WATCHED |= zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH


def prepare(context: Context, socket_type: int, endpoint: str, keys: Keys | None) -> Socket:
    """A socket with the options that every connection of a client needs, not yet connected."""
    socket: Socket = context.socket(socket_type)
    if keys is not None:
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = keys
    socket.linger = 0  # the default waits for ever for a server that is not there
    # Only for a literal address: with it, `localhost` could resolve to ::1 alone, where no server listens.
    socket.set(zmq.IPV6, int("[" in endpoint))
    return socket


def subscribed(context: Context, endpoint: str, topics: Sequence[bytes], keys: Keys | None = None) -> Socket:
    """A SUB socket that receives these topics.

    It has the server's beat, and no heartbeats of its own: where one is due after a connection was lost whose messages
    still fill the queue, libzmq 4.3.5 fails an assertion of its own (`!_io_error`) and ends the process.
    """
    with contextlib.ExitStack() as undo:
        socket = undo.enter_context(prepare(context, zmq.SUB, endpoint, keys))
        for topic in topics:
            socket.subscribe(topic)
        socket.connect(endpoint)
        undo.pop_all()
    return socket


def terminate(context: Context) -> None:
    """Ends a context. Returns when all its sockets are closed, or after `CLOSING_LIMIT_S`.

    Threads that wait in one of its sockets are woken by this, and close it.
    """
    ending = threading.Thread(target=context.term, name="timer-client-close", daemon=True)
    ending.start()
    ending.join(CLOSING_LIMIT_S)


class Link:
    """A DEALER, and the monitor that tells how its connection is.

    A link that has failed stays so, and the next attempt uses a new one: that drops what was not sent, and looks the
    name of the server up again. Wait for both sockets, and read the replies before the monitor.
    """

    def __init__(self, context: Context, endpoint: str, keys: Keys | None = None) -> None:
        with contextlib.ExitStack() as undo:
            self.dealer = undo.enter_context(prepare(context, zmq.DEALER, endpoint, keys))
            self.monitor: Socket = undo.enter_context(self.dealer.get_monitor_socket(_WATCHED))
            # What is in flight is bounded by the transports; a limit here would lose replies in silence.
            self.dealer.set_hwm(0)
            self.dealer.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
            self.dealer.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
            self.dealer.set(zmq.RECONNECT_IVL, _NO_RECONNECT_MS)
            self.dealer.connect(endpoint)
            undo.pop_all()
        self._tokens = itertools.count(1)
        self.connected = endpoint.startswith("inproc:")  # which reports no connections
        """Whether the server has been reached."""
        self.failure: str | None = None
        """Why the link is of no more use."""
        self.denial: str | None = None
        """Why no other link would be of any use either."""
        self._has_keys = keys is not None

    @property
    def has_replies(self) -> bool:
        """Whether a reply is there. Asking is cheaper than trying to receive one in vain."""
        return bool(int(self.dealer.get(zmq.EVENTS)) & zmq.POLLIN)

    def send(self, body: bytes) -> bytes:
        """Sends a request, or keeps it until there is a connection. Returns the token that its reply will carry.

        Raises `Unanswered` where the connection has just been lost, which the monitor tells a little later.
        """
        token = next(self._tokens).to_bytes(8, "big")
        # A server returns everything up to the first empty frame, so a reply names its request unread.
        try:
            self.dealer.send_multipart((token, b"", body), zmq.DONTWAIT)
        except zmq.Again:
            raise Unanswered(_FAILURES[zmq.EVENT_DISCONNECTED]) from None
        return token

    def replies(self) -> Iterator[tuple[bytes, bytes]]:
        """The replies that are there, as token and body."""
        while (frames := _receive_now(self.dealer)) is not None:
            if len(frames) == 3:
                yield frames[0], frames[2]

    def check(self) -> str | None:
        """Takes what the monitor has to say. Returns `failure`."""
        while (frames := _receive_now(self.monitor)) is not None:
            event, value = struct.unpack("=HI", frames[0])
            self.connected |= event == _UP
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.denial = "the server does not know this client's key"
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == _MECHANISM_MISMATCH:
                self.denial = _MISMATCH[self._has_keys]
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self.failure = self.failure or _NO_DETAIL[self._has_keys]
            self.failure = self.failure or self.denial or _FAILURES.get(event)
        return self.failure

    def close(self) -> None:
        """Closes the sockets at once."""
        # Before its reader is closed: an event that nobody can read stops ZeroMQ's I/O thread, and so all connections.
        with contextlib.suppress(zmq.ZMQError):
            self.dealer.disable_monitor()
        self.monitor.close(0)
        self.dealer.close(0)


def _receive_now(socket: Socket) -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.DONTWAIT)
    except zmq.Again:
        return None
