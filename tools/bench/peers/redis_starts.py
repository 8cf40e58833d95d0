"""Durable starts a second in Redis, by the same generator that drives ours, and by Redis' own."""

import csv
import subprocess
from collections.abc import Mapping
from functools import partial

from bench.generator import drive, lines
from bench.peers.alternative import Alternative
from bench.peers.daemon import Daemon
from bench.peers.redis_requests import FAR_MS, bulk, scripted, together
from bench.peers.redis_server import (
    DUE,
    DURABILITY,
    PAYLOADS,
    START_SCRIPT,
    SYNCS,
    check_kept,
    load_script,
    redis_server,
)
from bench.run import Run
from bench.start_requests import PAYLOAD_JSON

BATCH = 500
IN_FLIGHT = 16
CLIENTS = 50
INTEGER = b":"


def bulk_name(sync: str, clients: int, in_flight: int = IN_FLIGHT) -> str:
    """The row of Redis' best bulk way, with so many batches in flight in all."""
    several = "s" if clients > 1 else ""
    waiting = ", one batch after another" if in_flight == clients else ""
    return f"Redis, {sync}: HSET and ZADD of {BATCH}, {clients} client{several}{waiting}"


def bulk_rate(run: Run, sync: str, clients: int, in_flight: int) -> Mapping[str, float]:
    """Starts a second in as few commands as there can be."""
    how_many = run.pick(20_000, 200_000)
    with redis_server(sync) as process:
        target = lines(process.endpoint, INTEGER, lines_a_reply=2)
        drive(target, bulk("warm", range(5_000), BATCH), clients, 1)
        outcome = drive(target, bulk("order", range(how_many), BATCH), clients, in_flight // clients)
        check_kept(process, 5_000 + how_many)
    return {bulk_name(sync, clients, in_flight): how_many / outcome.took_s}


def pipelined_name(sync: str) -> str:
    """The row of script calls that do not wait for one another."""
    return f"Redis, {sync}: a script call each, pipelined by {BATCH}, 1 client"


def pipelined_rate(run: Run, sync: str) -> Mapping[str, float]:
    """Starts a second with a script call each, many on the way."""
    how_many = run.pick(20_000, 100_000)
    with redis_server(sync) as process:
        script = load_script(process, START_SCRIPT)
        target = lines(process.endpoint, INTEGER, lines_a_reply=BATCH)
        drive(target, together(scripted(script, "warm", range(5_000)), BATCH), 1, 1)
        messages = together(scripted(script, "order", range(how_many)), BATCH)
        outcome = drive(target, messages, 1, IN_FLIGHT)
        check_kept(process, 5_000 + how_many)
    return {pipelined_name(sync): how_many / outcome.took_s}


def generator_name(sync: str) -> str:
    """The row of fifty connections by our generator."""
    return f"Redis, {sync}: {CLIENTS} clients, a script call each"


def concurrent_rate(run: Run, sync: str) -> Mapping[str, float]:
    """Starts a second from fifty connections, each waiting for its reply."""
    warm_up, how_many = run.pick((500, 5_000), (2_000, 40_000))
    with redis_server(sync) as process:
        script = load_script(process, START_SCRIPT)
        target = lines(process.endpoint, INTEGER)
        drive(target, scripted(script, "warm", range(warm_up)), CLIENTS, 1)
        outcome = drive(target, scripted(script, "order", range(how_many)), CLIENTS, 1)
        check_kept(process, warm_up + how_many)
    return {generator_name(sync): outcome.rate}


def own_name(sync: str) -> str:
    """The row of fifty connections by Redis' generator."""
    return f"{generator_name(sync)}, redis-benchmark"


def own_rate(run: Run, sync: str) -> Mapping[str, float]:
    """The same with Redis' own generator, which is written in C."""
    warm_up, how_many = run.pick((500, 5_000), (2_000, 40_000))
    with redis_server(sync) as process:
        script = load_script(process, START_SCRIPT)
        _redis_benchmark(process, script, warm_up)
        return {own_name(sync): _redis_benchmark(process, script, how_many)}


def _redis_benchmark(process: Daemon, script: bytes, how_many: int) -> float:
    options = ["-h", "127.0.0.1", "-p", str(process.port), "-c", str(CLIENTS), "-P", "1", "-n", str(how_many)]
    timer = ["order/__rand_int__", str(FAR_MS), PAYLOAD_JSON.decode()]
    call = ["evalsha", script.decode(), "2", DUE, PAYLOADS, *timer]
    command = ["redis-benchmark", *options, "-r", "1000000000", "--csv", *call]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(next(csv.DictReader(done.stdout.splitlines()))["rps"])


def in_bulk(run: Run) -> list[Alternative]:
    """For the figure of batches."""
    made = []
    for sync in SYNCS:
        for clients, in_flight in ((1, 1), (1, IN_FLIGHT), (4, IN_FLIGHT)):
            way = partial(bulk_rate, run, sync, clients, in_flight)
            made.append(Alternative({bulk_name(sync, clients, in_flight): "starts/s"}, DURABILITY[sync], way))
        way = partial(pipelined_rate, run, sync)
        made.append(Alternative({pipelined_name(sync): "starts/s"}, DURABILITY[sync], way))
    return made


def concurrent(run: Run) -> list[Alternative]:
    """For the figure of fifty clients."""
    made = []
    for sync in SYNCS:
        for name, way in ((generator_name(sync), concurrent_rate), (own_name(sync), own_rate)):
            made.append(Alternative({name: "starts/s"}, DURABILITY[sync], partial(way, run, sync)))
    return made
