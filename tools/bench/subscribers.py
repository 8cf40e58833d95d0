"""Subscribers that do nothing but read, very many in one process: plain TCP connections that speak ZMTP.

Arguments: an endpoint, a topic, and how many. Prints `listening` once the publisher has answered all of them; ends with
its input, and then prints how many events all of them have read together.
"""

import select
import socket
import sys

from bench.generator import RECEIVE_BYTES
from bench.replies import ZmtpReplies
from drivers.raw_zmtp import RawPeer, frame

SUBSCRIBE = b"\x01"


def subscribed(endpoint: str, topic: bytes) -> socket.socket:
    """One subscriber."""
    peer = RawPeer(endpoint).shake_hands(b"SUB")
    peer.send(frame(SUBSCRIBE + topic))
    peer.tcp.setblocking(False)
    return peer.tcp


def drained(connections: dict[int, socket.socket]) -> int:
    """Reads until the input ends; how many messages came."""
    replies = {descriptor: ZmtpReplies() for descriptor in connections}
    read = 0
    with select.epoll() as poll:
        for descriptor in connections:
            poll.register(descriptor, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == sys.stdin.fileno():
                    return read
                data = connections[descriptor].recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("a subscriber was cut off")
                read += replies[descriptor].feed(data)


def main() -> None:
    endpoint, topic, how_many = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
    peers = [subscribed(endpoint, topic) for _ in range(how_many)]
    print("listening", flush=True)
    print(drained({peer.fileno(): peer for peer in peers}), flush=True)


if __name__ == "__main__":
    main()
