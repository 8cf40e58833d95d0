"""Hears ends of timers in a process of its own, and tells how late each was.

Arguments: an endpoint, a topic's beginning, and how many ends to wait for. Prints `listening` once subscribed, and in
the end one line of JSON: `late_ms`, one for each end, and `took_ms` from the first deadline until all were heard.
"""

import json
import sys
import time

import msgspec
import zmq

SILENCE_LIMIT_MS = 120_000
BEAT = b"~beat"


class Ending(msgspec.Struct):
    """What is needed of a timer."""

    due_at_ms: int


class Heard(msgspec.Struct):
    """What is needed of an event."""

    timer: Ending


def hear(socket: "zmq.Socket[bytes]", how_many: int) -> list[tuple[int, bytes]]:
    """When each end came, by the wall clock, and what came.

    An event is two frames. To ask the socket after each whether there are more would take longer than to receive it.
    """
    heard = []
    receive = socket.recv
    while len(heard) < how_many:
        topic, body = receive(), receive()
        arrived_ns = time.time_ns()
        if topic.endswith(b" fired"):
            heard.append((arrived_ns, body))
    return heard


def report(heard: list[tuple[int, bytes]]) -> dict[str, object]:
    """How late each end was."""
    decode = msgspec.json.Decoder(Heard).decode
    due_ms = [decode(body).timer.due_at_ms for _, body in heard]
    late_ms = [arrived_ns / 1e6 - due for (arrived_ns, _), due in zip(heard, due_ms, strict=True)]
    return {"late_ms": late_ms, "took_ms": heard[-1][0] / 1e6 - min(due_ms)}


def main() -> None:
    endpoint, topic, how_many = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvhwm = 0
    socket.rcvtimeo = SILENCE_LIMIT_MS
    socket.connect(endpoint)
    socket.subscribe(topic)
    socket.subscribe(BEAT)
    while socket.recv_multipart()[0] != BEAT:
        pass
    socket.unsubscribe(BEAT)
    print("listening", flush=True)
    print(json.dumps(report(hear(socket, how_many))), flush=True)
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
