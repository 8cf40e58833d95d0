"""A crowd of timers, started thousands a second, of each of which only moments are kept.

What the checker keeps of a timer would be too much for that. A crowd is of timers that nobody changes, so a number
tells all of one: its id, and how long it takes.
"""

import subprocess
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import msgspec
import zmq
from msgspec import UNSET, Raw, Struct, UnsetType

from bench.servers import python_process
from timer_protocol.settings import endpoints

PREFIX = "crowd/"
BATCH = 100
THREADS = 4
SHORTEST_MS, LONGEST_MS = 500, 8_000
REPLY_LIMIT_MS = 500
PATIENCE_S = 40.0
EAR_LIMIT_S = 60.0


class _Response(Struct):
    id: int
    result: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(list[_Response]).decode


def duration_ms(number: int) -> int:
    """How long a timer of the crowd takes."""
    return SHORTEST_MS + number * 7_919 % (LONGEST_MS - SHORTEST_MS)


class Crowd:
    """While entered, starts timers at a rate, a hundred in a message, at all servers alike, until each is acknowledged.

    `asked_s` and `answered_s` have the moments of each by its number; 0 is for none.
    """

    def __init__(self, servers: str, rate: int) -> None:
        self.asked_s = array("d")
        self.answered_s = array("d")
        self.failures: list[str] = []
        self._servers = endpoints(servers)
        self._period_s = THREADS * BATCH / rate
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(THREADS)]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S + 1)

    def _run(self, thread: int) -> None:
        servers = cycle(self._servers[thread % len(self._servers) :] + self._servers[: thread % len(self._servers)])
        context, due_s = zmq.Context(), time.monotonic()
        socket = _connected(context, next(servers))
        while not self._is_over.wait(max(due_s - time.monotonic(), 0)):
            due_s += self._period_s
            waiting, until_s = self._numbers(), time.monotonic() + PATIENCE_S
            while waiting := self._ask(socket, waiting):
                if time.monotonic() > until_s:
                    self.failures.append(f"{len(waiting)} starts of the crowd are not acknowledged")
                    break
                socket.close(0)
                socket = _connected(context, next(servers))
        socket.close(0)
        context.term()

    def _numbers(self) -> list[int]:
        with self._lock:
            first = len(self.asked_s)
            self.asked_s.extend([time.monotonic()] * BATCH)
            self.answered_s.extend([0.0] * BATCH)
        return list(range(first, first + BATCH))

    def _ask(self, socket: zmq.Socket[bytes], numbers: list[int]) -> list[int]:
        """Asks for some timers, and returns those that are not acknowledged."""
        socket.send(b"[" + b",".join(map(_request, numbers)) + b"]")
        if not socket.poll(REPLY_LIMIT_MS):
            return numbers
        responses, now_s = _decode(socket.recv()), time.monotonic()
        acknowledged = {response.id for response in responses if response.result is not UNSET}
        for number in acknowledged:
            self.answered_s[number] = now_s
        return [number for number in numbers if number not in acknowledged]


def _request(number: int) -> bytes:
    params = b'{"id":"%s%d","seconds":%.3f}' % (PREFIX.encode(), number, duration_ms(number) / 1000)
    return b'{"jsonrpc":"2.0","id":%d,"method":"timer.start","params":%s}' % (number, params)


def _connected(context: "zmq.Context[zmq.Socket[bytes]]", server: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(server)
    return socket


class Ear:
    """A process that hears the ends of a crowd, and writes down when."""

    def __init__(self, process: "subprocess.Popen[str]", path: Path) -> None:
        self._process = process
        self._path = path

    def wait_for(self, ends: int) -> None:
        """Waits until it has heard so many, as long as that is worth it."""
        until_s = time.monotonic() + EAR_LIMIT_S
        while len(self._lines()) < ends and time.monotonic() < until_s and self._process.poll() is None:
            time.sleep(0.1)  # its file is all that it tells

    def heard(self) -> Iterator[tuple[int, float]]:
        """The numbers of timers whose ends were heard, and when."""
        for line in self._lines():
            number, at_s = line.split()
            yield int(number), float(at_s)

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []


@contextmanager
def ear(folder: Path, servers: str, events: str) -> Iterator[Ear]:
    """A process that hears, as long as the block lasts."""
    path = folder / "heard"
    with python_process("campaigns.crowd_ear", servers, events, str(path)) as process:
        yield Ear(process, path)
