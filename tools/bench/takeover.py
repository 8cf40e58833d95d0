"""How long a server's shards are without an owner once it is killed, by what is pending in them."""

import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import zmq

from bench.on_postgres import SETTINGS
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import MAX_TIMERS, check_running, fill
from drivers.peers import request, socket_to
from drivers.postgres import Cluster
from drivers.server_cluster import ServerCluster

PENDING = (100_000, 1_000_000)
"""At both servers together: each has half of it."""

SHARDS = 16
LEASE_S = 2.0
AIMS_S = {100_000: LEASE_S + 1, 1_000_000: LEASE_S + 3}
ASK_AGAIN_MS = 4_500
PATIENCE_S = 60.0

_numbers = count(1)


def name_of(pending: int) -> str:
    """The row for so many timers."""
    return f"{pending:,} pending, all shards served again"


def taken_over(cluster: Cluster, pending: int) -> Mapping[str, float]:
    """A repetition with new servers: one of two is killed, and the other asked until it serves all shards."""
    url = cluster.new_place(f"takeover{next(_numbers)}")
    environment = {"TIMER_MAX_TIMERS": str(MAX_TIMERS), "TIMER_LOG_LEVEL": "info"}
    with tempfile.TemporaryDirectory() as folder:
        first, second = ServerCluster(Path(folder), [url, url], environment).servers
        with first, second:  # one after the other: the first gives the second half of its shards
            second.wait_for_shards(SHARDS // 2)
            fill(first, pending)
            begun_s = time.monotonic()
            first.kill()
            took_s = _listed_at_s(second.commands) - begun_s
            check_running(second, pending)
    return {name_of(pending): took_s}


def _listed_at_s(commands: str) -> float:
    """When a list was answered, which waits for all shards."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with socket_to(zmq.REQ, commands, rcvtimeo=ASK_AGAIN_MS) as socket, suppress(zmq.Again):
            socket.send_json(request("timer.list", 1, limit=1))
            if b'"error"' not in socket.recv():
                return time.monotonic()
    raise TimeoutError(f"not all shards were served within {PATIENCE_S:g} s")


def measure(run: Run) -> Figure:
    """The table."""
    sizes = run.pick(PENDING[:1], PENDING)
    with Cluster(standbys=1, is_fsynced=True, **SETTINGS) as cluster:
        samples = run.interleaved([partial(taken_over, cluster, pending) for pending in sizes])
    rows = [Row(name_of(pending), "s", samples[name_of(pending)]) for pending in sizes]
    for row, pending in zip(rows, sizes, strict=True):
        row.aims.append(at_most(f"{AIMS_S[pending]:g} s", row.median, AIMS_S[pending]))
    return Figure("takeover", "Takeover", rows, [NOTE])


NOTE = (
    f"One of two servers is killed, each of which has half of the timers in half of the {SHARDS} shards. Measured until"
    f" the other answers `timer.list`, which waits for all shards: the lease of {LEASE_S:g} s is part of it. Nothing"
    " else is asked meanwhile."
)
