"""Asks a server for timers at a steady rate, as the clients of a gateway do in `http_requests`, but over ZeroMQ.

Arguments: an endpoint, requests a second, and for how many seconds. A line of input starts it. Prints one line of JSON
in the end: `failed`, how many were not answered with a result.
"""

import json
import math
import sys
import time

import zmq

from bench.elsewhere import take_what_is_left
from drivers.peers import socket_to

_REQUEST = b'{"jsonrpc":"2.0","id":%d,"method":"timer.get","params":{"id":"stream/%04d/tea"}}'
ANSWER_LIMIT_MS = 30_000


def measure(endpoint: str, rate: int, seconds: float) -> dict[str, int]:
    """All of them."""
    how_many, asked, answered, failed = int(rate * seconds), 0, 0, 0
    with socket_to(zmq.DEALER, endpoint, sndhwm=0, rcvhwm=0) as socket:
        begun_s = time.perf_counter()
        while answered < how_many:
            while asked < how_many and begun_s + asked / rate <= time.perf_counter():
                socket.send(_REQUEST % (asked, asked % 100))
                asked += 1
            due_s = max(0.0, begun_s + asked / rate - time.perf_counter())
            due_ms = math.ceil(due_s * 1000)  # a fraction would be cut off, and the rest of it spun away
            if not socket.poll(due_ms if asked < how_many else ANSWER_LIMIT_MS):
                if asked == how_many:
                    raise TimeoutError(f"{how_many - answered} requests were not answered")
                continue
            failed += b'"result"' not in socket.recv()
            answered += 1
    return {"failed": failed}


def main() -> None:
    take_what_is_left()
    endpoint, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sys.stdin.readline()
    print(json.dumps(measure(endpoint, rate, seconds)), flush=True)


if __name__ == "__main__":
    main()
