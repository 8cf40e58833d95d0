"""Answers ZeroMQ's questions about who may connect (ZAP, RFC 27), and numbers the connections.

ZeroMQ asks once while a connection is being made, and marks every message of it with what is in the answer: the number,
which tells it from all others, and the user id where there is encryption. The loop's own thread answers.
"""

import itertools
import struct
from typing import NamedTuple

import zmq

from timer_server.access.gate import Gate

_SUBSCRIBERS = b"subscribers"
_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_NUMBER = "Connection-Number"


class _Question(NamedTuple):
    routing_id: bytes
    request_id: bytes
    domain: bytes
    address: bytes
    credentials: list[bytes]


class Admission:
    """Admits the connections that the gate admits; without a gate, all.

    Each context has one, made before its sockets.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", gate: Gate | None) -> None:
        self.gate = gate
        self._numbers = itertools.count(1)
        self._waiting: list[_Question] = []
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(_ENDPOINT)

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for questions."""
        poller.register(self.socket, zmq.POLLIN)

    def guard_events(self, socket: "zmq.Socket[bytes]") -> None:
        """Has ZeroMQ ask about each subscriber of a socket. It must not be bound yet."""
        if self.gate is not None:
            self.gate.guard(socket)
        socket.zap_domain = _SUBSCRIBERS
        socket.zap_enforce_domain = True

    @property
    def has_waiting(self) -> bool:
        """Whether subscribers wait to be admitted."""
        return bool(self._waiting)

    def admit(self, also_subscribers: bool) -> None:
        """Answers all questions that wait; those about subscribers go on waiting unless they may be admitted now."""
        questions, self._waiting = self._waiting, []
        while self.socket.poll(0):
            routing_id, _, _version, request_id, domain, address, _identity, _mechanism, *credentials = (
                self.socket.recv_multipart()
            )
            questions.append(_Question(routing_id, request_id, domain, address, credentials))
        for question in questions:
            if also_subscribers or question.domain != _SUBSCRIBERS:
                self._answer(question)
            else:
                self._waiting.append(question)

    def _answer(self, question: _Question) -> None:
        user_id = b"" if self.gate is None else self.gate.user_id(question.address, question.credentials)
        if user_id is None:
            answer = [b"400", b"this key is not allowed", b"", b""]
        else:
            answer = [b"200", b"OK", user_id, _property(_NUMBER, b"%d" % next(self._numbers))]
        self.socket.send_multipart([question.routing_id, b"", _VERSION, question.request_id, *answer])


def connection_number(frame: zmq.Frame) -> str | None:
    """The number of the connection that a frame came over.

    None for a frame of ZeroMQ's own, such as one about a peer that has gone, and for one of an `inproc` peer.
    """
    try:
        return str(frame.get(_NUMBER))
    except zmq.ZMQError:
        return None


def _property(name: str, value: bytes) -> bytes:
    return bytes([len(name)]) + name.encode() + struct.pack(">I", len(value)) + value
