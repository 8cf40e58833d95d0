"""The load: requests made beforehand, sent over plain TCP sockets. The same code drives every server in a run."""

import gc
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle

from bench.replies import LineReplies, Replies, ZmtpReplies
from drivers.raw_zmtp import RawPeer, frame

RECEIVE_BYTES = 1 << 16
SILENCE_LIMIT_S = 60


@dataclass(frozen=True)
class Target:
    """Where requests go, how they are framed, and how their replies are counted."""

    endpoint: str
    connect: Callable[[str], socket.socket]
    framed: Callable[[bytes], bytes]
    replies: Callable[[], Replies]


def zmtp(endpoint: str) -> Target:
    """A ROUTER: each connection is a DEALER that sends just the body."""
    return Target(endpoint, _dealer, frame, ZmtpReplies)


def lines(endpoint: str, begins_with: bytes, lines_a_reply: int = 1) -> Target:
    """A server that answers in lines. The requests are framed already."""
    return Target(endpoint, _tcp, bytes, lambda: LineReplies(begins_with, lines_a_reply))


@dataclass
class Outcome:
    """How long a load took, from its first byte to its last reply."""

    messages: int
    took_s: float
    last_reply: bytes
    latencies_s: list[float]
    """How long each reply took, where replies come in the order of their requests."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.took_s


class _Connection:
    __slots__ = ("replies", "sent_s", "tcp")

    def __init__(self, target: Target) -> None:
        self.tcp = target.connect(target.endpoint)
        self.replies = target.replies()
        self.sent_s: deque[float] = deque()
        """When those were sent that are not answered."""


def drive(
    target: Target, messages: Sequence[bytes], connections: int, in_flight: int, others: Sequence[Target] = ()
) -> Outcome:
    """Sends all messages over some connections, each of which keeps so many in flight.

    Where there are `others` of the same kind, these have their share of the connections.
    """
    waiting = iter([target.framed(message) for message in messages])
    targets = cycle([target, *others])
    latencies_s: list[float] = []
    with ExitStack() as stack:
        peers = {}
        poll = stack.enter_context(select.epoll())
        for _ in range(connections):
            peer = _Connection(next(targets))
            stack.callback(peer.tcp.close)
            peers[peer.tcp.fileno()] = peer
            poll.register(peer.tcp.fileno(), select.EPOLLIN)
        with undisturbed():
            begun = time.perf_counter()
            last = _exchange(peers, poll, waiting, len(messages), in_flight, latencies_s)
            return Outcome(len(messages), time.perf_counter() - begun, last, latencies_s)


def _exchange(
    peers: dict[int, _Connection],
    poll: select.epoll,
    waiting: Iterator[bytes],
    how_many: int,
    in_flight: int,
    latencies_s: list[float],
) -> bytes:
    for _ in range(in_flight):
        for peer in peers.values():
            _send(peer, waiting, 1)
    answered = 0
    last = b""
    while answered < how_many:
        ready = poll.poll(SILENCE_LIMIT_S)
        if not ready:
            raise TimeoutError(f"{answered} of {how_many} messages were answered, then none for {SILENCE_LIMIT_S} s")
        for descriptor, _ in ready:
            peer = peers[descriptor]
            data = peer.tcp.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError(f"cut off after {answered} of {how_many} replies")
            if completed := peer.replies.feed(data):
                answered += completed
                now_s = time.perf_counter()
                latencies_s += [now_s - peer.sent_s.popleft() for _ in range(completed)]
                last = peer.replies.last
                _send(peer, waiting, completed)
    return last


def _send(peer: _Connection, waiting: Iterator[bytes], how_many: int) -> None:
    for _ in range(how_many):
        message = next(waiting, None)
        if message is None:
            return
        peer.sent_s.append(time.perf_counter())
        peer.tcp.sendall(message)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps the garbage collector of the load out of what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _dealer(endpoint: str) -> socket.socket:
    tcp = RawPeer(endpoint).shake_hands(b"DEALER").tcp
    return _prompt(tcp)


def _tcp(endpoint: str) -> socket.socket:
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return _prompt(socket.create_connection((host, int(port))))


def _prompt(tcp: socket.socket) -> socket.socket:
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tcp.settimeout(None)  # Python's own time-out would cost a system call for each read and write
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        tcp.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE_LIMIT_S, 0))
    return tcp
