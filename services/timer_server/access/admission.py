"""Answers ZeroMQ's questions about who may connect (ZAP, RFC 27), and numbers the connections.

ZeroMQ asks once while a connection is being made, and marks every message of it with what is in the answer: the number,
which tells it from all others, and the user id where there is encryption. The loop's own thread answers.
"""

import itertools
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import zmq

from timer_server.access.gate import PEERS, Gate

_SUBSCRIBERS = b"subscribers"
_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_NUMBER = "Connection-Number"

_QUESTIONS_A_TURN = 100
"""Questions answered in one turn, so that a flood of connections holds nobody up."""


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
        self._is_behind = False
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(_ENDPOINT)
        self._descriptor = self._socket.fileno()

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for questions."""
        poller.register(self._descriptor, zmq.POLLIN)  # to poll the socket itself costs two system calls a turn

    def guard_events(self, socket: "zmq.Socket[bytes]") -> None:
        """Has ZeroMQ ask about each subscriber of a socket. It must not be bound yet."""
        if self.gate is not None:
            self.gate.guard(socket)
        socket.zap_domain = _SUBSCRIBERS
        socket.zap_enforce_domain = True

    def guard_peers(self, socket: "zmq.Socket[bytes]") -> None:
        """Has ZeroMQ ask about each server that connects to a socket. It must not be bound yet.

        Then it refuses whoever speaks ZMTP 1 or 2, of whose connections nothing can be known.
        """
        if self.gate is not None:
            self.gate.guard(socket, PEERS)
        socket.zap_domain = PEERS
        socket.zap_enforce_domain = True

    def is_asked(self, ready: Mapping[object, int]) -> bool:
        """Whether there are questions to answer, where a poller has told something."""
        return self._descriptor in ready or self._is_behind or bool(self._waiting)

    def admit(self, also_subscribers: bool) -> None:
        """Answers questions; those about subscribers go on waiting unless they may be admitted now."""
        waiting, self._waiting = self._waiting, []
        for question in itertools.chain(waiting, self._new_questions()):
            if also_subscribers or question.domain != _SUBSCRIBERS:
                self._answer(question)
            else:
                self._waiting.append(question)

    def _new_questions(self) -> Iterator[_Question]:
        """The questions that have come in, those among them that come while others are answered.

        The descriptor does not tell of them again, since sending an answer takes note of them.
        """
        for _ in range(_QUESTIONS_A_TURN):
            self._is_behind = bool(self._socket.poll(0))
            if not self._is_behind:
                return
            routing_id, _, _version, request_id, domain, address, _identity, _mechanism, *credentials = (
                self._socket.recv_multipart()
            )
            yield _Question(routing_id, request_id, domain, address, credentials)

    def _answer(self, question: _Question) -> None:
        user_id = (
            b"" if self.gate is None else self.gate.user_id(question.domain, question.address, question.credentials)
        )
        if user_id is None:
            answer = [b"400", b"this key is not allowed", b"", b""]
        else:
            answer = [b"200", b"OK", user_id, _property(_NUMBER, b"%d" % next(self._numbers))]
        self._socket.send_multipart([question.routing_id, b"", _VERSION, question.request_id, *answer])


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
