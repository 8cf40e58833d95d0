"""Endpoints: the options that all sockets of the server share, binding them, and who can reach them."""

import re
from ipaddress import ip_address

import zmq

from timer_protocol.addresses import UnknownHost, for_binding

LINGER_MS = 300
"""How long sent messages may take to leave after their socket is closed."""

HEARTBEAT_TIMEOUT_MS = 15_000
"""A peer that is silent for so long is gone."""

_CONNECTIONS_QUEUED = 1024

FOR_REQUESTS, FOR_EVENTS = 1, 2
"""Threads of ZeroMQ's own, as bits: what goes to a thousand subscribers keeps no reply waiting."""

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""

    def __init__(self, endpoint: str, reason: str, setting: str = "") -> None:
        super().__init__(f"cannot bind {endpoint}{setting and f' ({setting})'}: {reason}")
        self._endpoint = endpoint
        self._reason = reason

    def by(self, setting: str) -> "BindError":
        """The same, with the name of the setting that asked for the address."""
        return BindError(self._endpoint, self._reason, setting)


def new_context() -> Context:
    """The context of the server's sockets, with a thread for requests and replies, and one for events."""
    context: Context = zmq.Context()
    context.io_threads = (FOR_REQUESTS | FOR_EVENTS).bit_count()
    return context


def new_socket(context: Context, kind: int, sends_queued: int, endpoint: str, threads: int = FOR_REQUESTS) -> Socket:
    """A socket for an endpoint, not yet bound: its other options have to be set first. Raises `ZMQError`."""
    socket = context.socket(kind)
    socket.affinity = threads
    socket.sndhwm = sends_queued
    socket.linger = LINGER_MS
    socket.backlog = _CONNECTIONS_QUEUED
    socket.ipv6 = "[" in endpoint
    return socket


def bindable(endpoint: str) -> str:
    """The endpoint with an address in place of a host's name. Raises `BindError`."""
    try:
        return for_binding(endpoint)
    except UnknownHost as unknown:
        raise BindError(endpoint, str(unknown)) from None


def bind(socket: Socket, endpoint: str) -> None:
    """Binds a socket. Raises `BindError`."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise BindError(endpoint, zmq.strerror(error.errno or 0)) from None


def bound_endpoint(socket: Socket) -> str:
    """The address that a socket is bound to, with the port that was picked."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach an endpoint."""
    host = re.match(r"tcp://(?:\[(.*)\]|(.*)):", endpoint)
    if host is None:
        return True
    name = host[1] or host[2]
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in {"localhost", "lo"}
