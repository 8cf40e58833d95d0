"""The load: requests made beforehand, sent over plain sockets, so that what is measured is the server."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import zmq

from peers import socket_to

PAYLOAD = "x" * 30
"""With its quotes 32 bytes of JSON, as in the peers' figures."""

_numbers = count()


def start_requests(how_many: int, first_due_s: float = 3600, spread_s: float = 0) -> list[bytes]:
    """Requests to start timers with ids of their own, due one after the other over some time."""
    series = next(_numbers)
    return [
        b'{"jsonrpc":"2.0","id":%d,"method":"timer.start","params":{"id":"bench/%d/%d","seconds":%.3f,"payload":"%s"}}'
        % (number, series, number, first_due_s + spread_s * number / how_many, PAYLOAD.encode())
        for number in range(how_many)
    ]


def rate_pipelined(endpoint: str, messages: list[bytes], in_flight: int) -> float:
    """Messages a second from one socket that keeps some in flight."""
    with socket_to(zmq.DEALER, endpoint, sndhwm=0, rcvhwm=0) as socket:
        waiting = iter(messages)
        begun = time.perf_counter()
        for message in _first(waiting, in_flight):
            socket.send(message)
        for _ in range(len(messages)):
            socket.recv()
            for message in _first(waiting, 1):
                socket.send(message)
        return len(messages) / (time.perf_counter() - begun)


def rate_one_at_a_time(endpoint: str, messages: list[bytes], clients: int) -> float:
    """Messages a second from several sockets, each of which waits for its reply before it sends again."""
    with ExitStack() as stack:
        poller = zmq.Poller()
        sockets = [stack.enter_context(socket_to(zmq.DEALER, endpoint)) for _ in range(clients)]
        waiting = iter(messages)
        begun = time.perf_counter()
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
            socket.send(next(waiting))
        answered = 0
        while answered < len(messages):
            for socket, _ in poller.poll():
                socket.recv()
                answered += 1
                for message in _first(waiting, 1):
                    socket.send(message)
        return len(messages) / (time.perf_counter() - begun)


def _first(messages: Iterator[bytes], how_many: int) -> Iterator[bytes]:
    for _ in range(how_many):
        message = next(messages, None)
        if message is None:
            return
        yield message
