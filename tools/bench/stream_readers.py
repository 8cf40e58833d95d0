"""Reads many streams of a gateway, each on a prefix of its own, in one process: plain TCP connections.

Arguments: a port, how many streams, and for how many seconds they are read on in the end. Prints `listening` once all
have begun. A line of input starts the time. Another one is the final version of each stream's timer, as JSON: what has
not come some seconds later is missing. Then prints one line of JSON, which is what `report` returns.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from io import RawIOBase

import msgspec

from bench.elsewhere import take_what_is_left

RECEIVE_BYTES = 8_192
_HEAD = b"GET /events?prefix=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
STARTED_VERSION = 1
"""That of each timer before the streams are read."""

Parts = Sequence[tuple[int, bytes]]
"""What has come over a stream, piece by piece, each with the time of its arrival in ns."""


class TimerSeen(msgspec.Struct):
    """What is needed of a timer."""

    id: str
    version: int


class Told(msgspec.Struct):
    """What is needed of an event."""

    at_ms: int
    timer: TimerSeen


def stream_id(number: int) -> str:
    """The timer of a stream."""
    return f"stream/{number:04}/tea"


class Stream:
    """One stream, and what has come over it."""

    def __init__(self, port: int, number: int) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", port))
        self.tcp.sendall(_HEAD % (stream_id(number).removesuffix("tea").encode(), port))
        self.parts: list[tuple[int, bytes]] = []

    def read(self) -> bytes:
        """What is there."""
        data = self.tcp.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("a stream was ended")
        return data

    def keep(self) -> None:
        """Keeps what is there, with the time."""
        self.parts.append((time.time_ns(), self.read()))


def begun(port: int, how_many: int) -> list[Stream]:
    """The streams, each with its first beat there: what happens from then on is told."""
    streams = [Stream(port, number) for number in range(how_many)]
    for stream in streams:
        text = b""
        while b"event: beat" not in text:
            text += stream.read()
        stream.tcp.setblocking(False)
    return streams


def read_to_the_end(streams: list[Stream], told: RawIOBase, seconds: float) -> list[int]:
    """Reads all until there is a line of input, and for some seconds more. Returns the final versions in that line."""
    by_descriptor = {stream.tcp.fileno(): stream for stream in streams}
    final_versions: list[int] = []
    ends_s = float("inf")
    with select.epoll() as poll:
        for descriptor in (*by_descriptor, told.fileno()):
            poll.register(descriptor, select.EPOLLIN)
        while (left_s := ends_s - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(min(left_s, 1)):
                if descriptor in by_descriptor:
                    by_descriptor[descriptor].keep()
                else:
                    final_versions = json.loads(told.readline())
                    poll.unregister(descriptor)
                    ends_s = time.monotonic() + seconds
    return final_versions


def messages(parts: Parts) -> Iterator[tuple[int, str, bytes]]:
    """The messages of a stream: when the whole of each was there in ns, its name, and its data."""
    rest = b""
    for arrived_ns, data in parts:
        *whole, rest = (rest + data).split(b"\n\n")
        for message in whole:
            members = dict(line.partition(b": ")[::2] for line in message.split(b"\n"))
            yield arrived_ns, members.get(b"event", b"message").decode(), members[b"data"]


def report(came: Sequence[Parts], final_versions: Sequence[int]) -> dict[str, object]:
    """What has come over all streams, whose timers have these versions in the end.

    `events` is how many came, over `took_s` from the first to the last, and `late_ms` how long each took from its time
    on the server, by the wall clock. `missing` is how many versions never came; `misplaced` how many events came twice,
    out of order or of another timer; and `notices` how many messages said that the server is away or events are gone.
    """
    decode = msgspec.json.Decoder(Told).decode
    arrivals_ns: list[int] = []
    late_ms: list[float] = []
    missing = misplaced = notices = 0
    for number, (parts, final) in enumerate(zip(came, final_versions, strict=True)):
        wanted, last = set(range(STARTED_VERSION + 1, final + 1)), STARTED_VERSION
        for arrived_ns, name, data in messages(parts):
            if name != "message":
                notices += name != "beat"
                continue
            told = decode(data)
            arrivals_ns.append(arrived_ns)
            late_ms.append(arrived_ns / 1e6 - told.at_ms)
            if told.timer.id != stream_id(number) or told.timer.version <= last:
                misplaced += 1
            if told.timer.id == stream_id(number):
                wanted.discard(told.timer.version)
                last = max(last, told.timer.version)
        missing += len(wanted)
    took_s = (max(arrivals_ns) - min(arrivals_ns)) / 1e9 if arrivals_ns else 0.0
    return {
        "events": len(late_ms),
        "took_s": took_s,
        "missing": missing,
        "misplaced": misplaced,
        "notices": notices,
        "late_ms": late_ms,
    }


def main() -> None:
    take_what_is_left()
    port, how_many, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    streams = begun(port, how_many)
    print("listening", flush=True)
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as told:  # so that a line not read is still there
        told.readline()
        final_versions = read_to_the_end(streams, told, seconds)
    print(json.dumps(report([stream.parts for stream in streams], final_versions)), flush=True)


if __name__ == "__main__":
    main()
