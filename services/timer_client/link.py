"""One connection to the commands socket: requests go out under a token, replies come back with it.

Nothing here blocks. Each of the two transports waits in its own way until the sockets of a link become readable.
"""

import contextlib
import itertools
import struct
from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket as PlainSocket

from timer_client.descriptors import LINK_DESCRIPTORS, SUBSCRIPTION_DESCRIPTORS, check_descriptors
from timer_client.keys import Keys
from timer_client.retry import Unanswered

Context = zmq.Context[Any]
Socket = zmq.Socket[bytes]

HEARTBEAT_INTERVAL_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
"""A server that is silent for so long is gone. Only then its name is resolved again, as it may have moved."""

_NO_RECONNECT_MS = 86_400_000
"""Keeps a link from connecting again by itself: a failed one is replaced. Each try would be an event for the monitor,
and once that of an idle link is full, ZeroMQ's I/O thread waits until it is read."""

# As plain numbers, which take half the time of pyzmq's enumerations.
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)
_NOW, _MORE = int(zmq.DONTWAIT), int(zmq.DONTWAIT | zmq.SNDMORE)

# What pyzmq's sockets inherit: frame by frame, a message takes a third of the time of their own calls for it.
_send, _receive = PlainSocket.send, PlainSocket.recv

_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_MECHANISM_MISMATCH = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
_WHICH_PORT = "is it the events port? TIMER_SERVER is for requests, TIMER_EVENTS for events"
_SENT_AWAY = f"what is there ends connections at once: {_WHICH_PORT}"
_FAILURES = {
    zmq.EVENT_CONNECT_RETRIED: "nothing there accepts connections",
    zmq.EVENT_DISCONNECTED: "the connection was lost",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "what is there does not speak ZeroMQ's protocol",
}
# In each pair the first text is for links without keys, the second for those with keys.
_MISMATCH = (
    "the server wants CURVE keys; TIMER_CURVE_CLIENT_SECRET names the file with this client's",
    "the server does not use CURVE keys; unset TIMER_CURVE_CLIENT_SECRET",
)
# Where the peer closes the connection first, the reason may be lost.
_OTHERWISE = f"or does not speak ZeroMQ's protocol, or takes no requests: {_WHICH_PORT}"
_NO_DETAIL = (
    f"what is there wants CURVE keys (TIMER_CURVE_CLIENT_SECRET), {_OTHERWISE}",
    f"what is there has another key than TIMER_CURVE_SERVER_PUBLIC says, or none, {_OTHERWISE}",
)
_WATCHED = _UP | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_WATCHED |= zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH


def prepare(context: Context, socket_type: int, endpoint: str, keys: Keys | None) -> Socket:
    """A socket with the options that every connection of a client needs, not yet connected."""
    socket: Socket = context.socket(socket_type)
    if keys is not None:
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = keys
    socket.linger = 0  # by default, closing waits for ever for a missing server
    # Endpoints have numbers, not names (`lookup`).
    socket.set(zmq.IPV6, int("[" in endpoint))
    return socket


def all_subscribed(
    context: Context, addresses: Sequence[str | None], topics: Sequence[bytes], keys: Keys | None
) -> list[Socket]:
    """`subscribed` for each of several addresses, or for none of them."""
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(subscribed(context, address, topics, keys)) for address in addresses]
        undo.pop_all()
    return sockets


def subscribed(context: Context, endpoint: str | None, topics: Sequence[bytes], keys: Keys | None = None) -> Socket:
    """A SUB socket that receives these topics; without an endpoint it is connected to nothing.

    It relies on the server's beat and has no heartbeats: if one is due while messages of a lost connection still fill
    the queue, libzmq 4.3.5 fails its own assertion (`!_io_error`) and ends the process.
    """
    check_descriptors(SUBSCRIPTION_DESCRIPTORS)
    with contextlib.ExitStack() as undo:
        socket = undo.enter_context(prepare(context, zmq.SUB, endpoint or "", keys))
        for topic in topics:
            socket.subscribe(topic)
        if endpoint is not None:
            socket.connect(endpoint)
        undo.pop_all()
    return socket


class Link:
    """A DEALER, and the monitor of its connection.

    A failed link stays so, and the next attempt uses a new one: that drops unsent requests, and resolves the name of
    the server again. Wait for both sockets, and read the replies before the monitor.
    """

    def __init__(self, context: Context, endpoint: str, keys: Keys | None = None) -> None:
        check_descriptors(LINK_DESCRIPTORS)
        with contextlib.ExitStack() as undo:
            self.dealer = undo.enter_context(prepare(context, zmq.DEALER, endpoint, keys))
            self.monitor: Socket = undo.enter_context(self.dealer.get_monitor_socket(_WATCHED))
            # The transports limit the messages in flight; a limit here would lose replies in silence.
            self.dealer.set_hwm(0)
            self.dealer.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
            self.dealer.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
            self.dealer.set(zmq.RECONNECT_IVL, _NO_RECONNECT_MS)
            self.dealer.connect(endpoint)
            undo.pop_all()
        self._tokens = itertools.count(1)
        self.connected = endpoint.startswith("inproc:")  # inproc reports no connections
        """Whether the server has been reached."""
        self.failure: str | None = None
        """Why the link cannot be used any more; None while it can."""
        self.denial: str | None = None
        """Why no other link could be used either."""
        self._has_keys = keys is not None

    @property
    def has_replies(self) -> bool:
        """Whether a reply is there; cheaper than trying to receive one."""
        return bool(int(self.dealer.get(_EVENTS)) & _READABLE)

    def send(self, body: bytes) -> bytes:
        """Sends a request, or keeps it until there is a connection. Returns the token that its reply will carry.

        Raises `Unanswered` where the connection was just lost, which the monitor tells only a little later.
        """
        token = next(self._tokens).to_bytes(8, "big")
        # A server returns everything up to the first empty frame, so the token tells the request of a reply.
        try:
            _send(self.dealer, token, _MORE, True)
            _send(self.dealer, b"", _MORE, True)
            _send(self.dealer, body, _NOW, True)
        except zmq.Again:
            raise Unanswered(_FAILURES[zmq.EVENT_DISCONNECTED]) from None
        return token

    def receive(self) -> tuple[bytes, bytes] | None:
        """The token and body of a reply; None where there is none, or something else has come in."""
        try:
            frames = [_receive(self.dealer, _NOW, False)]
        except zmq.Again:
            return None
        while frames[-1].more:
            frames.append(_receive(self.dealer, _NOW, False))
        return (frames[0].bytes, frames[2].bytes) if len(frames) == 3 else None

    def check(self) -> str | None:
        """Reads the monitor. Returns `failure`."""
        while (frames := _receive_now(self.monitor)) is not None:
            event, value = struct.unpack("=HI", frames[0])
            self.connected |= event == _UP
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.denial = "the server does not know this client's key"
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == _MECHANISM_MISMATCH:
                self.denial = _MISMATCH[self._has_keys]
            elif event == zmq.EVENT_DISCONNECTED and not self.connected:
                self.failure = self.failure or _SENT_AWAY  # as sockets do whose type does not fit
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self.failure = self.failure or _NO_DETAIL[self._has_keys]
            self.failure = self.failure or self.denial or _FAILURES.get(event)
        return self.failure

    def close(self) -> None:
        """Closes the sockets at once."""
        # Before the monitor is closed: an event that nobody reads stops ZeroMQ's I/O thread, and so all connections.
        with contextlib.suppress(zmq.ZMQError):
            self.dealer.disable_monitor()
        self.monitor.close(0)
        self.dealer.close(0)


def _receive_now(socket: Socket) -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.DONTWAIT)
    except zmq.Again:
        return None
