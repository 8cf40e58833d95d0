"""The health check: one request to a server, for a container's HEALTHCHECK."""

import struct
from collections.abc import Sequence
from socket import if_nametoindex
from typing import Any, NamedTuple

import msgspec
import zmq
from msgspec import Struct

from timer_protocol import PROTOCOL
from timer_protocol.addresses import UnknownHost, for_binding
from timer_protocol.settings import SettingError
from timer_server.access.keys import CurveFiles, read_pair

_ID = 1
_REQUEST = b'{"jsonrpc":"2.0","method":"server.info","params":{"own":true},"id":%d}' % _ID
_TIMEOUT_MS = 2_000
_ANSWER_BYTES = 1_048_576
_OF_EVERY_INTERFACE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - names, not a bind
_PROTOCOLS = "timer/"
"""How the names of all protocols of timer servers begin."""

_EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
_QUOTED = 100

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


class _Unreachable(Struct):
    peer: str
    reason: str


class _Info(Struct):
    protocol: str
    unreachable: tuple[_Unreachable, ...] = ()


class _Error(Struct):
    message: str


class _Answer(Struct):
    id: Any = None
    result: _Info | None = None
    error: _Error | None = None


class Health(NamedTuple):
    """What is wrong with a server, None where it is well; and a sentence for each server that it cannot reach.

    These make nobody ill: to start a server again does not mend a network.
    """

    fault: str | None
    unreachable: Sequence[str] = ()


def check(bind: str, curve: CurveFiles | None) -> Health:
    """Asks the server that binds this endpoint about itself, which it has to answer within two seconds.

    So it is told nothing of other servers, nor does it wait for them; and it does not answer where it is no member of
    its cluster just now.

    Raises `SettingError` where no server can be asked at such an endpoint, `KeyFileError` where keys cannot be read.
    """
    context: Context = zmq.Context()
    try:
        endpoint = _reachable(context, bind)
        with context.socket(zmq.REQ) as socket:
            return _ask(socket, endpoint, curve)
    except (zmq.ZMQError, UnknownHost) as error:
        return Health(f"cannot ask {bind}: {error}")
    finally:
        context.destroy(linger=0)


def _reachable(context: Context, bind: str) -> str:
    """Where a server that binds an endpoint can be asked. Raises `SettingError` where the endpoint does not tell."""
    scheme, _, address = bind.partition("://")
    if scheme == "inproc":
        raise SettingError(f"TIMER_BIND is {bind!r}, which is within the server's process: nobody else can ask there")
    host, _, port = address.rpartition(":")
    if address == "*" or (scheme == "tcp" and port.strip("0") in ("", "*")):
        raise SettingError(f"TIMER_BIND is {bind!r}, which picks an address at each start: name one to be asked at")
    if scheme != "tcp":
        return bind
    return for_binding(f"tcp://{_OF_EVERY_INTERFACE.get(host) or _address_of(context, host)}:{port}")


def _address_of(context: Context, host: str) -> str:
    """The address of a network interface, whose name can be bound but not connected to; other hosts as they are."""
    try:
        if_nametoindex(host)
    except OSError:
        return host
    with context.socket(zmq.REP) as socket:  # ZeroMQ finds the address as it does for the server
        socket.bind(f"tcp://{host}:*")
        endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.decode().removeprefix("tcp://").rpartition(":")[0]


def _ask(socket: Socket, endpoint: str, curve: CurveFiles | None) -> Health:
    socket.linger = 0
    socket.ipv6 = "[" in endpoint
    socket.maxmsgsize = _ANSWER_BYTES
    if curve is not None:
        public, socket.curve_secretkey = read_pair(curve.secret)
        socket.curve_publickey = socket.curve_serverkey = public
    with socket.get_monitor_socket(_EVENTS) as monitor:
        socket.connect(endpoint)
        socket.send(_REQUEST)
        is_answered = socket.poll(_TIMEOUT_MS)
        told = _read(socket.recv_multipart()) if is_answered else _silence(monitor)
        socket.disable_monitor()
    if isinstance(told, _Info):
        return Health(None, [f"it cannot reach {other.peer}: {other.reason}" for other in told.unreachable])
    return Health(f"{endpoint} {told}" if is_answered else f"no answer from {endpoint} within {_TIMEOUT_MS} ms: {told}")


def _silence(monitor: Socket) -> str:
    """What is known of a server that has not answered, from the events of the connection to it."""
    seen = set()
    while monitor.poll(0):
        seen.add(struct.unpack("=HI", monitor.recv_multipart()[0])[0])
    if zmq.EVENT_HANDSHAKE_SUCCEEDED in seen and zmq.EVENT_DISCONNECTED in seen:
        if zmq.EVENT_CONNECT_RETRIED in seen:  # not after an answer that is too large
            return "what is there speaks ZeroMQ, and ends the connection"
        return f"what is there is no timer server: its answer has more than {_ANSWER_BYTES} bytes"
    if zmq.EVENT_HANDSHAKE_SUCCEEDED in seen:
        return "what is there speaks ZeroMQ, and says nothing: none of ours, or one that does not reach its store"
    if zmq.EVENT_CONNECTED in seen:
        return (
            "a server that still starts or waits for its store, none of ours, or one with other settings for encryption"
        )
    return "nothing there takes connections"


def _read(frames: list[bytes]) -> _Info | str:
    """What a timer server that is well answers, or what is wrong with the answer."""
    try:
        (body,) = frames
        answer = msgspec.json.decode(body, type=_Answer)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return "is no timer server: its answer is not of JSON-RPC"
    if answer.error is None and (answer.result is None or not answer.result.protocol.startswith(_PROTOCOLS)):
        return "is no timer server: its answer is of another service"
    if not _is_to_us(answer):
        return "is no timer server: its answer is to another request"
    if answer.error is not None:
        return f"answered with an error: {answer.error.message[:_QUOTED]!r}"
    assert answer.result is not None
    if answer.result.protocol != PROTOCOL:
        return f"speaks another protocol, {answer.result.protocol[:_QUOTED]!r} and not {PROTOCOL!r}"
    return answer.result


def _is_to_us(answer: _Answer) -> bool:
    """Whether an answer has the id of the request, or is an error about one that could not be read."""
    return (type(answer.id) is int and answer.id == _ID) or (answer.id is None and answer.error is not None)
