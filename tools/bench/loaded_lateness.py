"""How late ends are heard while starts pour in from another process."""

import time
from collections.abc import Mapping
from functools import partial
from threading import Event, Thread

import zmq

from bench.lateness import FIRST_DUE_S, HOP, SPREAD_S, TIMERS, Latenesses, hop, rows_of, size, start_spread
from bench.listening import heard_by, watcher
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import server
from bench.start_requests import batched, start_requests
from drivers.peers import socket_to

STARTS_A_SECOND = 20_000
BATCH = 100
AIM_P99_MS = 5.0
NAME = f"{STARTS_A_SECOND:,} starts/s meanwhile"
RATE = "starts that arrived meanwhile"


class Pouring:
    """Sends batches at their times, whatever becomes of the replies, while entered."""

    def __init__(self, endpoint: str, longest_s: float, prefix: str = "order") -> None:
        self._endpoint = endpoint
        self._messages = batched(start_requests(prefix, range(int(STARTS_A_SECOND * longest_s))), BATCH)
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.rate = 0.0

    def __enter__(self) -> "Pouring":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with socket_to(zmq.DEALER, self._endpoint, sndhwm=0, rcvhwm=0) as socket:
            begun = time.perf_counter()
            answered = 0
            for sent, message in enumerate(self._messages):
                time.sleep(max(0.0, begun + sent * BATCH / STARTS_A_SECOND - time.perf_counter()))
                socket.send(message)
                answered += _answers(socket)
                if self._stop.is_set():
                    break
            self.rate = answered * BATCH / (time.perf_counter() - begun)


def heard_late(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many, spread_s = size(run)
    with server() as process, watcher(process.events, "late/", how_many) as listener:
        with Pouring(process.commands, FIRST_DUE_S + spread_s + 30) as pouring:
            start_spread(process, how_many, spread_s)
            rows = heard.rows(NAME, heard_by(listener).never_early())
        return {**rows, RATE: pouring.rate}


def measure(run: Run) -> Figure:
    """The table."""
    heard = Latenesses()
    samples = run.interleaved([partial(hop, run, heard), partial(heard_late, run, heard)])
    p50, p99, longest = rows_of(NAME, samples, "fsync before the event")
    p99.aims.append(at_most(f"{AIM_P99_MS} ms", p99.median, AIM_P99_MS))
    rows = [*rows_of(HOP, samples, "fsync before the event"), p50, p99, longest]
    rows.append(Row(RATE, "starts/s", samples[RATE], durability="fsync before the reply"))
    return Figure("lateness-loaded", "Lateness while starts arrive", rows, [NOTE], heard.curves())


NOTE = (
    f"{TIMERS:,} timers, due over {SPREAD_S:.0f} s, while a third process sends a batch of {BATCH} starts every"
    f" {1000 * BATCH / STARTS_A_SECOND:.0f} ms, by the clock and not by the replies. Nobody is subscribed to those."
)


def _answers(socket: "zmq.Socket[bytes]") -> int:
    answered = 0
    while True:
        try:
            reply = socket.recv(zmq.DONTWAIT)
        except zmq.Again:
            return answered
        assert b'"error"' not in reply
        answered += 1
