"""Asks one small thing on a schedule, in a process of its own, and tells how late each answer came.

An answer's time counts from when its request was due, and no request waits for the answer before it: a pause holds up
all that are due in it, and each of them counts.

Arguments: an endpoint, an id to ask for, how many requests a second, and for how many seconds. Prints one line of JSON:
the milliseconds of each request.
"""

import json
import sys
import time

import zmq

from drivers.peers import request, socket_to

ANSWERS_WITHIN_S = 30.0


def waits_ms(socket: "zmq.Socket[bytes]", message: bytes, a_second: float, seconds: float) -> list[float]:
    """How long each request waited for its answer, which come in order. Raises where one does not come."""
    how_many = int(a_second * seconds)
    begun = time.perf_counter()
    due = [begun + number / a_second for number in range(how_many)]
    waits: list[float] = []
    sent = 0
    while len(waits) < how_many:
        now = time.perf_counter()
        while sent < how_many and due[sent] <= now:
            socket.send(message)
            sent += 1
        if socket.poll(1000 * (due[sent] - now if sent < how_many else ANSWERS_WITHIN_S)):
            reply = socket.recv()
            waits.append(1000 * (time.perf_counter() - due[len(waits)]))
            assert b'"error"' not in reply, reply[:300]
        elif sent == how_many:
            raise RuntimeError(f"{how_many - len(waits)} requests got no answer")
    return waits


def main() -> None:
    endpoint, timer_id, a_second, seconds = sys.argv[1:]
    message = json.dumps(request("timer.get", 1, id=timer_id)).encode()
    with socket_to(zmq.DEALER, endpoint, sndhwm=0, rcvhwm=0) as socket:
        for _ in range(10):  # until the connection stands, and all is loaded
            socket.send(message)
            socket.recv()
        print(json.dumps(waits_ms(socket, message, float(a_second), float(seconds))), flush=True)


if __name__ == "__main__":
    main()
