"""One client, one start at a time: how many a second, and how long each takes."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import zmq

from bench.fsynced import append_ms
from bench.generator import undisturbed
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least, at_most
from bench.run import Run
from bench.servers import check_running, durable_echo, echo, server
from bench.spread import median
from bench.start_requests import PAYLOAD, start_requests
from drivers.peers import socket_to
from timer_client import TimerClient

FSYNCED = "fsync before the reply"
SOCKET = "pyzmq REQ"
LIBRARY = "TimerClient"
ECHO = "raw echo over REQ"
DURABLE_ECHO = "raw echo that appends and fsyncs first, over REQ"
APPEND = "one append of 4 KiB and its fsync"
APPENDS_ALLOWED = 1.5
REDIS = "redis-py, always: rate"
AIM_OF_REDIS = 0.8
AIM_OF_SOCKET = 0.85


def start_by_socket(run: Run) -> Mapping[str, float]:
    """Starts over a REQ socket, requests made beforehand."""
    warm_up, how_many = sizes(run)
    with server() as process, socket_to(zmq.REQ, process.commands) as socket:
        took_ms = req_round_trips_ms(socket, run)
        check_running(process, warm_up + how_many)
    return figures_of(SOCKET, took_ms)


def start_by_library(run: Run) -> Mapping[str, float]:
    """Starts through the library."""
    warm_up, how_many = sizes(run)
    with server() as process, TimerClient(server=process.commands, events=process.events) as client:
        took_ms = each_ms(lambda: client.start(hours=1, payload=PAYLOAD), warm_up, how_many)
        check_running(process, warm_up + how_many)
    return figures_of(LIBRARY, took_ms)


def echo_by_socket(run: Run, name: str, echoing: Callable[[], AbstractContextManager[str]]) -> Mapping[str, float]:
    """The same over a raw echo."""
    with echoing() as endpoint, socket_to(zmq.REQ, endpoint) as socket:
        return figures_of(name, req_round_trips_ms(socket, run))


def append(run: Run) -> Mapping[str, float]:
    """What the disk takes alone."""
    return figures_of(APPEND, append_ms(run.pick(200, 2_000)))


def req_round_trips_ms(socket: "zmq.Socket[bytes]", run: Run) -> list[float]:
    """How long each request took, after some that warm up."""
    warm_up, how_many = sizes(run)
    requests = iter(start_requests("order", range(warm_up + how_many)))

    def ask() -> None:
        socket.send(next(requests))
        socket.recv()

    return each_ms(ask, warm_up, how_many)


def each_ms(ask: Callable[[], object], warm_up: int, how_many: int) -> list[float]:
    """How long each call took, after some that warm up."""
    for _ in range(warm_up):
        ask()
    took_ms = []
    with undisturbed():
        for _ in range(how_many):
            begun = time.perf_counter()
            ask()
            took_ms.append((time.perf_counter() - begun) * 1000)
    return took_ms


def figures_of(name: str, took_ms: Sequence[float]) -> Mapping[str, float]:
    """The rate, and the median of a repetition."""
    return {f"{name}: rate": 1000 * len(took_ms) / sum(took_ms), f"{name}: p50": median(took_ms)}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    samples = run.interleaved(
        [
            partial(start_by_socket, run),
            partial(echo_by_socket, run, ECHO, echo),
            partial(echo_by_socket, run, DURABLE_ECHO, durable_echo),
            partial(append, run),
            partial(start_by_library, run),
            *(peer.way for peer in peers),
        ]
    )
    rows = []
    for name, limit, durability in (
        (SOCKET, DURABLE_ECHO, FSYNCED),
        (LIBRARY, DURABLE_ECHO, FSYNCED),
        (DURABLE_ECHO, ECHO, "fsync"),
        (ECHO, "", "none"),
        (APPEND, "", "fsync"),
    ):
        for part, unit in ((": rate", "a second"), (": p50", "ms")):
            rows.append(Row(name + part, unit, samples[name + part], limit and limit + part, durability))
    figure = Figure("one-client", "One client, one start at a time", [*rows, *rows_of(peers, samples)])
    bound_ms = figure.row(f"{ECHO}: p50").median + APPENDS_ALLOWED * figure.row(f"{APPEND}: p50").median
    socket = figure.row(f"{SOCKET}: p50")
    socket.aims.append(at_most(f"echo + {APPENDS_ALLOWED} appends = {bound_ms:.3f} ms", socket.median, bound_ms))
    rate, library = figure.row(f"{SOCKET}: rate"), figure.row(f"{LIBRARY}: rate")
    share = library.median / rate.median
    library.aims.append(at_least(f"{AIM_OF_SOCKET} × the plain REQ ({share:.2f})", share, AIM_OF_SOCKET))
    if REDIS in samples:
        ratio = rate.median / figure.row(REDIS).median
        rate.aims.append(at_least(f"{AIM_OF_REDIS} × redis-py, fsync always ({ratio:.2f})", ratio, AIM_OF_REDIS))
    return figure


def sizes(run: Run) -> tuple[int, int]:
    """How many warm up, and how many count."""
    return run.pick((100, 500), (500, 4_000))
