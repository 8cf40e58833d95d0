"""The limit of a queue's workers: the same messages in size and number, of an echo that sends back what it gets.

Arguments: an endpoint, and how many times to take and acknowledge.
"""

import sys

import zmq

from bench.sharing import TOGETHER, work
from drivers.peers import socket_to

DELIVERY_BYTES = 440
"""About what `queue.take` answers for an end with a payload of 32 bytes."""

ACK_BYTES = 2_300
"""About what acknowledges all that was taken at once."""


def main() -> None:
    endpoint, rounds = sys.argv[1], int(sys.argv[2])
    messages = (bytes(DELIVERY_BYTES * TOGETHER), bytes(ACK_BYTES))
    left = iter([TOGETHER] * rounds)
    with socket_to(zmq.REQ, endpoint) as socket:

        def take_and_acknowledge() -> int:
            taken = next(left, 0)
            if taken:
                for message in messages:
                    socket.send(message)
                    socket.recv()
            return taken

        work(take_and_acknowledge)


if __name__ == "__main__":
    main()
