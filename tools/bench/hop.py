"""The limit of lateness: waits for each deadline, writes 4 KiB, fsyncs, publishes. No timers, no store, no protocol.

It writes over what a file has already: one that grows would have the file system keep its own books for each fsync.

Arguments: a file to write to, how many deadlines, over how many seconds. Prints its endpoint, goes on when it reads a
line, and ends with its input.
"""

import os
import sys
import time
from pathlib import Path

import zmq

from bench.fsynced import APPEND_BYTES

BEGIN_S = 1.0
BEAT_S = 0.1
BLOCKS = 256


def wait_until(due_ns: int) -> None:
    """A bare timer."""
    while (left_ns := due_ns - time.time_ns()) > 0:
        time.sleep(left_ns / 1e9)


def run(publisher: "zmq.Socket[bytes]", descriptor: int, how_many: int, spread_s: float) -> None:
    """Meets one deadline after the other."""
    block = os.urandom(APPEND_BYTES)
    begin_ms = time.time_ns() // 1_000_000 + int(BEGIN_S * 1000)
    for number in range(how_many):
        due_ms = begin_ms + int(1000 * spread_s * number / how_many)
        wait_until(due_ms * 1_000_000)
        os.pwrite(descriptor, block, len(block) * (number % BLOCKS))
        os.fdatasync(descriptor)
        publisher.send_multipart((b"late/%d fired" % number, b'{"timer":{"due_at_ms":%d}}' % due_ms))


def main() -> None:
    path, how_many, spread_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    publisher.sndhwm = 0
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    poller = zmq.Poller()
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while not poller.poll(BEAT_S * 1000):
        publisher.send_multipart((b"~beat", b"{}"))
    sys.stdin.readline()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, bytes(BLOCKS * APPEND_BYTES))
    os.fsync(descriptor)
    run(publisher, descriptor, how_many, spread_s)
    sys.stdin.read()
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
