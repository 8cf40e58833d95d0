"""Subscribers that do nothing but read, very many in one process, over plain TCP connections.

Arguments: what they speak, an endpoint, a topic, and how many. Prints `listening` once all are connected and have said
what they subscribe to; ends with its input, and then prints one line of JSON: what `Heard` has.
"""

import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bench.generator import RECEIVE_BYTES
from bench.replies import LineReplies, Replies, ZmtpReplies
from drivers.raw_zmtp import RawPeer, frame

SUBSCRIBE = b"\x01"
LINES_OF_A_MESSAGE, LINES_OF_AN_ANSWER = 7, 6
"""Of Redis: a published message, and what it answers to a subscription."""


class Heard(msgspec.Struct):
    """How many events all subscribers have read together, and when each of these had come to all, by the wall clock.

    The moments are right where no event was sent before the one before had come to all.
    """

    read: int
    by_all_ns: list[int]


@dataclass(frozen=True)
class Language:
    """How one subscribes, and how what is published is counted."""

    subscribed: Callable[[str, bytes], socket.socket]
    replies: Callable[[], Replies]


def of_zmtp(endpoint: str, topic: bytes) -> socket.socket:
    """A SUB. Nobody acknowledges its subscription."""
    peer = RawPeer(endpoint).shake_hands(b"SUB")
    peer.send(frame(SUBSCRIBE + topic))
    return peer.tcp


def of_redis(endpoint: str, topic: bytes) -> socket.socket:
    """A client of Redis that has subscribed to a channel."""
    peer = RawPeer(endpoint)
    peer.send(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n" % (len(topic), topic))
    answer = b""
    while answer.count(b"\r\n") < LINES_OF_AN_ANSWER:
        answer += peer.receive(1)
    return peer.tcp


LANGUAGES = {
    "zmtp": Language(of_zmtp, ZmtpReplies),
    "redis": Language(of_redis, lambda: LineReplies(b"", LINES_OF_A_MESSAGE)),
    "lines": Language(lambda endpoint, _topic: RawPeer(endpoint).tcp, lambda: LineReplies(b"")),
}


def drained(connections: dict[int, socket.socket], replies: dict[int, Replies]) -> Heard:
    """Reads until the input ends."""
    heard = Heard(0, [])
    with select.epoll() as poll:
        for descriptor in connections:
            poll.register(descriptor, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == sys.stdin.fileno():
                    return heard
                data = connections[descriptor].recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("a subscriber was cut off")
                heard.read += replies[descriptor].feed(data)
                if heard.read // len(connections) > len(heard.by_all_ns):
                    heard.by_all_ns.append(time.time_ns())


def main() -> None:
    language, endpoint, topic, how_many = sys.argv[1], sys.argv[2], sys.argv[3].encode(), int(sys.argv[4])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    spoken = LANGUAGES[language]
    peers = [spoken.subscribed(endpoint, topic) for _ in range(how_many)]
    for peer in peers:
        peer.setblocking(False)
    print("listening", flush=True)
    heard = drained({peer.fileno(): peer for peer in peers}, {peer.fileno(): spoken.replies() for peer in peers})
    print(msgspec.json.encode(heard).decode(), flush=True)


if __name__ == "__main__":
    main()
