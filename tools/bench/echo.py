"""A ROUTER that sends every message back: what the sockets alone can do. Prints its endpoint, ends with its input."""

import sys
from collections.abc import Callable

import zmq

Router = zmq.Socket[bytes]


def serve(answer: Callable[[Router], None]) -> None:
    """Has a ROUTER answered each time that something has come in, until there is no more input."""
    context = zmq.Context()
    router: Router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while sys.stdin.fileno() not in dict(poller.poll()):
        answer(router)
    context.destroy(linger=0)


def send_back(router: Router) -> None:
    """Sends back all that is there."""
    while True:
        try:
            router.send_multipart(router.recv_multipart(zmq.DONTWAIT))
        except zmq.Again:
            return


if __name__ == "__main__":
    serve(send_back)
