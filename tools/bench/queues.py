"""How many ends a second the workers of a queue take and acknowledge."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least
from bench.run import Run
from bench.servers import echo, server
from bench.sharing import TOGETHER, WORKERS, share
from bench.start_requests import batched, start_requests
from drivers.peers import requester

QUEUE = "work"
START_BATCH = 500
READY_LIMIT_S = 60
AIMS = (("Redis", "Redis Streams", 1), ("beanstalkd, one after another", "beanstalkd -f0: 4 workers, one", 10))
"""What is compared with, how its row begins, and how many times its rate is aimed at."""

OURS = f"{WORKERS} workers, the library, {TOGETHER} at once"
ECHO = f"raw echo: {WORKERS} workers, as many bytes, {TOGETHER} at once"
SERVER_CPU, WORKERS_CPU = "CPU of the server", "CPU of the workers"


def share_rate(run: Run) -> Mapping[str, float]:
    """Ends a second, and what one costs."""
    how_many = run.pick(5_000, 100_000)
    with server() as process:
        with requester(process.commands) as rpc:
            rpc.call("queue.put", queue=QUEUE, prefix="order/")
            starts = batched(start_requests("order", range(how_many), seconds=0.001), START_BATCH)
            drive(zmtp(process.commands), starts, 1, 8)
            until_s = time.monotonic() + READY_LIMIT_S
            while rpc.call("queue.get", queue=QUEUE)["ready"] < how_many:
                assert time.monotonic() < until_s, "not all timers have ended in time"
                time.sleep(0.05)
        before_ns = process_ns(process.pid)
        shared = share(how_many, "bench.queue_worker", process.commands, QUEUE)
        server_us = (process_ns(process.pid) - before_ns) / how_many / 1000
        with requester(process.commands) as rpc:
            queue = rpc.call("queue.get", queue=QUEUE)
    assert not queue["ready"] + queue["leased"] + queue["delayed"] + queue["dead"], queue
    return {OURS: shared.rate, SERVER_CPU: server_us, WORKERS_CPU: shared.workers_us}


def echo_rate(run: Run) -> Mapping[str, float]:
    """Ends a second that the sockets alone would carry, there and back."""
    how_many = run.pick(5_000, 100_000)
    with echo() as endpoint:
        rounds = -(-how_many // (TOGETHER * WORKERS))
        shared = share(rounds * WORKERS * TOGETHER, "bench.echo_worker", endpoint, str(rounds))
    return {ECHO: shared.rate}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    samples = run.interleaved([partial(share_rate, run), partial(echo_rate, run), *(peer.way for peer in peers)])
    return figure_of(samples, rows_of(peers, samples))


def figure_of(samples: Mapping[str, list[float]], others: Sequence[Row]) -> Figure:
    """The table of what was measured, and of the peers' rows."""
    ours = Row(OURS, "ends/s", samples[OURS], ECHO, "fsync before the reply")
    limit = Row(ECHO, ours.unit, samples[ECHO], durability="none")
    costs = [Row(name, "µs an end", samples[name]) for name in (SERVER_CPU, WORKERS_CPU)]
    for name, begins, least in AIMS:
        theirs = [row.median for row in others if row.name.startswith(begins) and row.unit == ours.unit]
        if theirs:
            ratio = ours.median / max(theirs)
            ours.aims.append(at_least(f"{least} × {name} ({ratio:.2f})", ratio, least))
    return Figure("queues", "Ends taken and acknowledged", [ours, limit, *costs, *others], [NOTE])


NOTE = (
    f"{WORKERS} processes each take {TOGETHER}, acknowledge them, and go on until nothing is left. Ours use the"
    f" library. The echo's send as many bytes as {TOGETHER} deliveries and then as their acknowledgement, get them"
    " back, and read none of it. Those of Redis use redis-py, `XREADGROUP` and `XACK`; what they acknowledged stays"
    " in the stream."
    " Those of beanstalkd send `reserve-with-timeout 0` and then `delete`, and wait for each reply, as the clients that"
    f" there are do; or they send {TOGETHER} in one piece. The processor time is that of all threads, and counts what"
    " the kernel does for them."
)
