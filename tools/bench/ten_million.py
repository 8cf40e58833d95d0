"""What ten million pending timers cost: memory, a restart, how late ends are, and what a start and a page take.

One server is filled, and everything is measured of it, as that takes minutes.
"""

import time
from collections.abc import Mapping
from functools import partial

import zmq

from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.growth import Held, repetition
from bench.lateness import size, start_spread
from bench.listening import heard_by, watcher
from bench.restart import first_reply_s
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import check_running, server
from bench.start_requests import in_columns
from drivers.memory import resident_bytes
from drivers.peers import socket_to
from drivers.server_process import ServerProcess

PENDING = 10_000_000
FEW = 1_000
SETTLE_S = 2.0
FILL_BATCH = 500
FILL_IN_FLIGHT = 8
FILL_STEP = 50_000
ROUNDS = 7

GROWN = "resident set, less that of an empty server"
AFTER = "resident set after a restart"
LATE = "an end is heard after its deadline"
RESTART, RESTART_CPU = "first reply after kill -9", "the server's CPU until then"
FILLED = "the server's CPU, a start in columns of 500"
START, PAGE = "a start in batches of 100, of that with few", "a page of 100, of that with few"

AIMS: Mapping[str, tuple[str, float]] = {
    AFTER: ("2.0 GB", 2.0),
    RESTART: ("15 s", 15.0),
    f"{LATE}: p99": ("1.0 ms", 1.0),
    START: ("1.3", 1.3),
    PAGE: ("1.2", 1.2),
}
UNITS: Mapping[str, str] = {
    FILLED: "µs",
    GROWN: "bytes a timer",
    AFTER: "GB",
    RESTART: "s",
    RESTART_CPU: "s",
    f"{LATE}: p50": "ms",
    f"{LATE}: p99": "ms",
    f"{LATE}: max": "ms",
    START: "×",
    PAGE: "×",
}


def fill_in_columns(process: ServerProcess, pending: int) -> None:
    """Has so many timers `order/<number>` pending, due in some hours."""
    for begin in range(0, pending, FILL_STEP):
        numbers = range(begin, min(begin + FILL_STEP, pending))
        drive(zmtp(process.commands), in_columns("order", numbers, FILL_BATCH, seconds=36_000), 1, FILL_IN_FLIGHT)
    check_running(process, pending)


def held(run: Run) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many = run.pick(20_000, PENDING)
    with server() as process, server(FEW) as few:
        empty_bytes, begun_ns = resident_bytes(process.pid), process_ns(process.pid)
        fill_in_columns(process, how_many)
        filled_us = (process_ns(process.pid) - begun_ns) / 1000 / how_many
        time.sleep(SETTLE_S)
        grown = (resident_bytes(process.pid) - empty_bytes) / how_many
        late = lateness(run, process)
        ratios = against_few(run, process, few, how_many)
        process.kill()
        reply_s = first_reply_s(process)
        cpu_s = process_ns(process.pid) / 1e9
        check_running(process, how_many)
        time.sleep(SETTLE_S)
        memory = {GROWN: grown, AFTER: resident_bytes(process.pid) / 1e9}
        return {FILLED: filled_us, **memory, RESTART: reply_s, RESTART_CPU: cpu_s, **late, **ratios}


def lateness(run: Run, process: ServerProcess) -> Mapping[str, float]:
    """How late ends are heard."""
    how_many, spread_s = size(run)
    with watcher(process.events, "late/", how_many) as listener:
        start_spread(process, how_many, spread_s)
        return heard_by(listener).never_early().rows(LATE)


def against_few(run: Run, process: ServerProcess, few: ServerProcess, how_many: int) -> Mapping[str, float]:
    """What a start and a page take, against a server that has few timers, which takes its turn."""
    with socket_to(zmq.REQ, process.commands) as many_socket, socket_to(zmq.REQ, few.commands) as few_socket:
        servers = [Held(how_many, process, many_socket), Held(FEW, few, few_socket)]
        took = repetition(servers, run.pick(2, ROUNDS))
    return {name: took[what, how_many] / took[what, FEW] for name, what in ((START, "start"), (PAGE, "list"))}


def measure(run: Run) -> Figure:
    """The table."""
    samples = run.interleaved([partial(held, run)])
    rows = [Row(name, unit, samples[name]) for name, unit in UNITS.items()]
    for row in rows:
        if row.name in AIMS:
            said, limit = AIMS[row.name]
            row.aims.append(at_most(said, row.median, limit))
    return Figure("ten-million", f"{PENDING:,} pending", rows, [NOTE])


NOTE = (
    f"Ids are `order/0` to `order/{PENDING - 1}`, payloads 32 bytes of JSON, all started in columns and due in ten"
    " hours. The files are in the page cache at the restart. It is timed from the launch of the process to the reply to"
    f" a request that waited for it. The server with few timers has {FEW:,}."
)
