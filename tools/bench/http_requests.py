"""Asks a gateway for timers at a steady rate, over some connections that stay open.

Arguments: a port, requests a second, and for how many seconds. A line of input starts it. Prints one line of JSON in
the end: `took_ms`, from the moment at which each request was due to its answer, and `failed`, how many were not
answered with 200. It stands for other machines, so it takes as little of this one as it can.
"""

import json
import select
import socket
import sys
import time
from collections import deque

from bench.elsewhere import take_what_is_left

CONNECTIONS = 20
RECEIVE_BYTES = 8_192
_REQUEST = b"GET /timer?id=stream/%04d/tea HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
_LENGTH = b"content-length: "


class Connection:
    """One connection, over which a request is asked once the one before it is answered."""

    def __init__(self, port: int) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", port))
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting: deque[tuple[float, bytes]] = deque()
        """When each was due, and what it asks. The first one is asked."""
        self._received = b""

    def ask(self, due_s: float, request: bytes) -> None:
        """Asks a request, now or later."""
        self._waiting.append((due_s, request))
        if len(self._waiting) == 1:
            self.tcp.sendall(request)

    def answer(self) -> tuple[float, bytes] | None:
        """When the request was due whose answer has come, and the answer's head; None where some of it is missing."""
        data = self.tcp.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("a connection was ended")
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.partition(_LENGTH)[2].partition(b"\r")[0]):
            return None
        self._received = b""
        due_s, _ = self._waiting.popleft()
        if self._waiting:
            self.tcp.sendall(self._waiting[0][1])
        return due_s, head


def measure(port: int, rate: int, seconds: float) -> dict[str, object]:
    """All of them."""
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    by_descriptor = {connection.tcp.fileno(): connection for connection in connections}
    how_many, asked, failed = int(rate * seconds), 0, 0
    took_ms: list[float] = []
    begun_s = time.perf_counter()
    with select.epoll() as poll:
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        while len(took_ms) < how_many:
            while asked < how_many and (due_s := begun_s + asked / rate) <= time.perf_counter():
                connections[asked % CONNECTIONS].ask(due_s, _REQUEST % (asked % 100, port))
                asked += 1
            pause_s = begun_s + asked / rate - time.perf_counter() if asked < how_many else None
            for descriptor, _ in poll.poll(pause_s and max(0.0, pause_s)):
                if (answer := by_descriptor[descriptor].answer()) is not None:
                    took_ms.append((time.perf_counter() - answer[0]) * 1000)
                    failed += not answer[1].startswith(b"HTTP/1.1 200 ")
    return {"took_ms": took_ms, "failed": failed}


def main() -> None:
    take_what_is_left()
    port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    sys.stdin.readline()
    print(json.dumps(measure(port, rate, seconds)), flush=True)


if __name__ == "__main__":
    main()
