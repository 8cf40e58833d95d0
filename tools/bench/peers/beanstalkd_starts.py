"""Durable starts a second in beanstalkd, and what a job costs it in memory."""

import time
from collections.abc import Mapping
from functools import partial

from bench.generator import drive, lines
from bench.memory_per_timer import PENDING, SETTLE_S
from bench.peers.alternative import Alternative
from bench.peers.beanstalkd_server import DURABILITY, INSERTED, SYNCS_MS, beanstalkd, check_kept, puts
from bench.peers.redis_requests import together
from bench.run import Run
from drivers.memory import resident_bytes

TOGETHER = 100
IN_FLIGHT = 16
CLIENTS = 50
RESIDENT = "beanstalkd: growth of its resident set"


def pipelined_name(sync_ms: int) -> str:
    """The row of jobs that do not wait for one another."""
    return f"beanstalkd -f{sync_ms}: a put each, pipelined by {TOGETHER}, 1 client"


def pipelined_rate(run: Run, sync_ms: int) -> Mapping[str, float]:
    """Jobs a second, many on the way."""
    how_many = run.pick(5_000, 20_000)
    with beanstalkd(sync_ms) as process:
        target = lines(process.endpoint, INSERTED, TOGETHER)
        drive(target, together(puts("warm", range(1_000)), TOGETHER), 1, 1)
        outcome = drive(target, together(puts("order", range(how_many)), TOGETHER), 1, IN_FLIGHT)
        check_kept(process, 1_000 + how_many)
    return {pipelined_name(sync_ms): how_many / outcome.took_s}


def concurrent_name(sync_ms: int) -> str:
    """The row of fifty connections."""
    return f"beanstalkd -f{sync_ms}: {CLIENTS} clients, a put each"


def concurrent_rate(run: Run, sync_ms: int) -> Mapping[str, float]:
    """Jobs a second from fifty connections, each waiting for its reply."""
    how_many = run.pick(2_000, 20_000)
    with beanstalkd(sync_ms) as process:
        target = lines(process.endpoint, INSERTED)
        drive(target, puts("warm", range(1_000)), CLIENTS, 1)
        outcome = drive(target, puts("order", range(how_many)), CLIENTS, 1)
        check_kept(process, 1_000 + how_many)
    return {concurrent_name(sync_ms): outcome.rate}


def grown(run: Run) -> Mapping[str, float]:
    """What a job costs in memory."""
    how_many = run.pick(20_000, PENDING)
    with beanstalkd(50) as process:
        before_bytes = resident_bytes(process.pid)
        drive(lines(process.endpoint, INSERTED, TOGETHER), together(puts("order", range(how_many)), TOGETHER), 1, 8)
        check_kept(process, how_many)
        time.sleep(SETTLE_S)
        return {RESIDENT: (resident_bytes(process.pid) - before_bytes) / how_many}


def in_bulk(run: Run) -> list[Alternative]:
    """For the figure of batches."""
    return [
        Alternative({pipelined_name(sync): "starts/s"}, DURABILITY[sync], partial(pipelined_rate, run, sync))
        for sync in SYNCS_MS
    ]


def concurrent(run: Run) -> list[Alternative]:
    """For the figure of fifty clients."""
    return [
        Alternative({concurrent_name(sync): "starts/s"}, DURABILITY[sync], partial(concurrent_rate, run, sync))
        for sync in SYNCS_MS
    ]


def memory(run: Run) -> list[Alternative]:
    """For the figure of memory."""
    return [Alternative({RESIDENT: "bytes a timer"}, DURABILITY[50], partial(grown, run))]
