"""Durable starts a second in batches, beside a raw echo of the same messages."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import zmq

from bench.generator import drive, undisturbed, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least
from bench.run import Run, Way
from bench.servers import check_running, echo, server
from bench.start_requests import PAYLOAD, batched, in_columns, start_requests
from drivers.peers import socket_to
from timer_client import AsyncTimerClient, TimerSpec

SIZES = (100, 500)
CLIENTS = (1, 4)
IN_COLUMNS = 500
IN_FLIGHT = 16
WARM_UP = 5_000
AIM_A_SECOND = 200_000
AIM_OF_REDIS = 1.0
AIM_OF_SCRIPTS = 2.0
FSYNCED = "fsync before the reply"


def name_of(size: int, clients: int) -> str:
    """The row of the generator's starts."""
    return f"batches of {size}, {clients} client{'s' if clients > 1 else ''}"


def columns_name(clients: int) -> str:
    """The row of starts in columns."""
    return f"timer.start_many of {IN_COLUMNS}, {clients} client{'s' if clients > 1 else ''}"


def echo_name(size: int, clients: int) -> str:
    """The row of their limit."""
    return f"raw echo: {name_of(size, clients)}"


def batch_rate(run: Run, size: int, clients: int) -> Mapping[str, float]:
    """Starts a second by the generator."""
    how_many = run.pick(20_000, 200_000)
    with server() as process:
        drive(zmtp(process.commands), batched(start_requests("warm", range(WARM_UP)), size), clients, 1)
        messages = batched(start_requests("order", range(how_many)), size)
        outcome = drive(zmtp(process.commands), messages, clients, IN_FLIGHT // clients)
        check_running(process, WARM_UP + how_many)
    assert b'"error"' not in outcome.last_reply
    return {name_of(size, clients): how_many / outcome.took_s}


def columns_rate(run: Run, clients: int) -> Mapping[str, float]:
    """Starts a second by `timer.start_many`."""
    how_many = run.pick(20_000, 200_000)
    with server() as process:
        drive(zmtp(process.commands), in_columns("warm", range(WARM_UP), IN_COLUMNS), clients, 1)
        messages = in_columns("order", range(how_many), IN_COLUMNS)
        outcome = drive(zmtp(process.commands), messages, clients, IN_FLIGHT // clients)
        check_running(process, WARM_UP + how_many)
    assert b'"started":%d' % IN_COLUMNS in outcome.last_reply
    return {columns_name(clients): how_many / outcome.took_s}


def echo_rate(run: Run, size: int, clients: int) -> Mapping[str, float]:
    """How many starts a second the sockets alone would carry."""
    how_many = run.pick(20_000, 200_000)
    with echo() as endpoint:
        drive(zmtp(endpoint), batched(start_requests("warm", range(WARM_UP)), size), clients, 1)
        outcome = drive(
            zmtp(endpoint), batched(start_requests("order", range(how_many)), size), clients, IN_FLIGHT // clients
        )
    return {echo_name(size, clients): how_many / outcome.took_s}


def library_rate(run: Run) -> Mapping[str, float]:
    """Starts a second through the library."""
    how_many = run.pick(10_000, 100_000)

    async def start(endpoint: str) -> float:
        async with AsyncTimerClient(server=endpoint) as client:
            await client.start_many(TimerSpec(hours=1, payload=PAYLOAD) for _ in range(WARM_UP))
            begun = time.perf_counter()
            await client.start_many(TimerSpec(hours=1, payload=PAYLOAD) for _ in range(how_many))
            return how_many / (time.perf_counter() - begun)

    with server() as process:
        rate = asyncio.run(start(process.commands))
        check_running(process, WARM_UP + how_many)
    return {LIBRARY: rate}


def socket_rate(run: Run) -> Mapping[str, float]:
    """Starts a second through a plain ZeroMQ socket."""
    how_many = run.pick(20_000, 200_000)
    with server() as process, _dealer(process.commands) as socket:
        _pipelined(socket, batched(start_requests("warm", range(WARM_UP)), 100))
        messages = batched(start_requests("order", range(how_many)), 100)
        with undisturbed():
            begun = time.perf_counter()
            _pipelined(socket, messages)
            took_s = time.perf_counter() - begun
        check_running(process, WARM_UP + how_many)
    return {SOCKET: how_many / took_s}


LIBRARY = "batches of 100, AsyncTimerClient.start_many"
SOCKET = "batches of 100, one pyzmq DEALER"


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    ways: list[Way] = []
    for size in SIZES:
        for clients in CLIENTS:
            ways += [partial(batch_rate, run, size, clients), partial(echo_rate, run, size, clients)]
    ways += [partial(columns_rate, run, clients) for clients in CLIENTS]
    ways += [partial(socket_rate, run), partial(library_rate, run)]
    samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    rows = []
    for size in SIZES:
        for clients in CLIENTS:
            name, limit = name_of(size, clients), echo_name(size, clients)
            rows.append(Row(name, "starts/s", samples[name], limit, FSYNCED))
            rows[-1].aims.append(at_least(f"{AIM_A_SECOND:,}/s", rows[-1].median, AIM_A_SECOND))
            rows.append(Row(limit, "starts/s", samples[limit], durability="none"))
    for clients in CLIENTS:
        name = columns_name(clients)
        rows.append(Row(name, "starts/s", samples[name], echo_name(IN_COLUMNS, clients), FSYNCED))
    rows += [Row(name, "starts/s", samples[name], echo_name(100, 1), FSYNCED) for name in (SOCKET, LIBRARY)]
    figure = Figure("starts", "Durable starts in batches", [*rows, *rows_of(peers, samples)], notes=[NOTE])
    against_redis(figure)
    return figure


def against_redis(figure: Figure) -> None:
    """Sets our best beside the best that Redis came to, and its script calls, fsync before the reply in all."""
    redis = {row.name: row.median for row in figure.rows if row.name.startswith("Redis, always")}
    if not redis:
        return
    best = max((row for row in figure.rows if row.limit), key=lambda row: row.median)
    scripts = max((rate for name, rate in redis.items() if "a script call" in name), default=None)
    for what, bound, rate in (
        ("Redis' best with fsync always", AIM_OF_REDIS, max(redis.values())),
        ("its script calls", AIM_OF_SCRIPTS, scripts),
    ):
        if rate is not None:
            ratio = best.median / rate
            best.aims.append(at_least(f"{bound} × {what} ({ratio:.2f})", ratio, bound))


NOTE = (
    f"{IN_FLIGHT} batches in flight in all, whatever the number of clients. The first rows are prebuilt bytes over"
    " plain TCP, so that the server is what is measured; `AsyncTimerClient` is what a program sees. Every start is"
    " counted by the server itself after the run."
)


@contextmanager
def _dealer(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    with socket_to(zmq.DEALER, endpoint, sndhwm=0, rcvhwm=0) as socket:
        yield socket


def _pipelined(socket: "zmq.Socket[bytes]", messages: list[bytes]) -> None:
    for at, message in enumerate(messages):
        if at >= IN_FLIGHT:
            socket.recv()
        socket.send(message)
    for _ in messages[-IN_FLIGHT:]:
        socket.recv()
