"""Reads many streams of a gateway, each on a prefix of its own, in one process: plain TCP connections.

Arguments: a port, how many streams, and how long they are read in seconds. Prints `listening` once all have begun. A
line of input starts the time. Prints one line of JSON in the end: `events`, how many came; `missing`, how many versions
of the timers were not told, or not in order; and `late_ms`, from each event to its arrival, by the wall clock.
"""

import json
import re
import select
import socket
import sys
import time
from collections.abc import Iterator

RECEIVE_BYTES = 262_144
_HEAD = b"GET /events?prefix=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
_EVENT = re.compile(rb'"at_ms":(\d+),.*?"version":(\d+),')


def stream_id(number: int) -> str:
    """The timer of a stream."""
    return f"stream/{number:04}/tea"


class Stream:
    """One stream, and what has come over it."""

    def __init__(self, port: int, number: int) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", port))
        self.tcp.sendall(_HEAD % (stream_id(number).removesuffix("tea").encode(), port))
        self._parts: list[tuple[int, bytes]] = []

    def read(self) -> bytes:
        """What is there."""
        data = self.tcp.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("a stream was ended")
        return data

    def keep(self) -> None:
        """Keeps what is there, with the time."""
        self._parts.append((time.time_ns(), self.read()))

    def events(self) -> Iterator[tuple[float, int]]:
        """How late each event came, in ms, and the version of its timer."""
        rest = b""
        for arrived_ns, data in self._parts:
            whole, end, rest = (rest + data).rpartition(b"\n\n")
            for at_ms, version in _EVENT.findall(whole + end):
                yield arrived_ns / 1e6 - int(at_ms), int(version)


def begun(port: int, how_many: int) -> list[Stream]:
    """The streams, each with its first beat there: what happens from then on is told."""
    streams = [Stream(port, number) for number in range(how_many)]
    for stream in streams:
        text = b""
        while b"event: beat" not in text:
            text += stream.read()
        stream.tcp.setblocking(False)
    return streams


def read_for(streams: list[Stream], seconds: float) -> None:
    """Reads all for a time."""
    by_descriptor = {stream.tcp.fileno(): stream for stream in streams}
    ends_s = time.monotonic() + seconds
    with select.epoll() as poll:
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        while (left_s := ends_s - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left_s):
                by_descriptor[descriptor].keep()


def report(streams: list[Stream]) -> dict[str, object]:
    """What has come."""
    late_ms: list[float] = []
    missing = 0
    for stream in streams:
        versions = []
        for late, version in stream.events():
            late_ms.append(late)
            versions.append(version)
        expected = range(2, 2 + max(len(versions), max(versions, default=2) - 1))
        missing += sum(1 for at, version in enumerate(expected) if at >= len(versions) or versions[at] != version)
    return {"events": len(late_ms), "missing": missing, "late_ms": late_ms}


def main() -> None:
    port, how_many, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    streams = begun(port, how_many)
    print("listening", flush=True)
    sys.stdin.readline()
    read_for(streams, seconds)
    print(json.dumps(report(streams)), flush=True)


if __name__ == "__main__":
    main()
