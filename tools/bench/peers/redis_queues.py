"""Entries that a consumer group of a Redis stream takes and acknowledges."""

from collections.abc import Mapping
from functools import partial

from bench.cpu_time import process_ns
from bench.generator import drive, lines
from bench.peers.alternative import Alternative
from bench.peers.redis_requests import together
from bench.peers.redis_server import DURABILITY, redis_server, resp
from bench.run import Run
from bench.sharing import TOGETHER, WORKERS, share
from bench.start_requests import PAYLOAD_JSON

STREAM, GROUP = "ends", "workers"
SYNC = "always"
NAME = f"Redis Streams, {SYNC}: {WORKERS} workers, redis-py, {TOGETHER} at once"
SERVER_CPU, WORKERS_CPU = "Redis Streams: CPU of the server", "Redis Streams: CPU of the workers"
ADD_TOGETHER = 500


def entries(how_many: int) -> list[bytes]:
    """Entries that say as much as an end: whose it is, and its payload."""
    return [
        resp(*(b"XADD", STREAM.encode(), b"*"), *(b"id", b"order/%d" % number, b"payload", PAYLOAD_JSON))
        for number in range(how_many)
    ]


def share_rate(run: Run) -> Mapping[str, float]:
    """Entries a second, and what one costs."""
    how_many = run.pick(5_000, 100_000)
    with redis_server(SYNC) as process:
        process.ask(resp(b"XGROUP", b"CREATE", STREAM.encode(), GROUP.encode(), b"$", b"MKSTREAM"))
        adds = together(entries(how_many), ADD_TOGETHER)
        drive(lines(process.endpoint, b"", 2 * ADD_TOGETHER), adds, 1, 4)  # each reply is a length and an id
        assert process.ask(resp(b"XLEN", STREAM.encode())) == b":%d\r\n" % how_many
        before_ns = process_ns(process.pid)
        shared = share(how_many, "bench.peers.redis_queue_worker", str(process.port))
        server_us = (process_ns(process.pid) - before_ns) / how_many / 1000
        reply = process.ask(resp(b"XPENDING", STREAM.encode(), GROUP.encode()))
        assert reply.startswith(b"*4\r\n:0\r\n"), reply
    return {NAME: shared.rate, SERVER_CPU: server_us, WORKERS_CPU: shared.workers_us}


def alternatives(run: Run) -> list[Alternative]:
    """For the figure of queues."""
    units = {NAME: "ends/s", SERVER_CPU: "µs an end", WORKERS_CPU: "µs an end"}
    return [Alternative(units, DURABILITY[SYNC], partial(share_rate, run))]
