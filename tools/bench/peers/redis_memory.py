"""What a pending timer costs Redis in memory."""

import time
from collections.abc import Mapping
from functools import partial

from bench.generator import drive, lines
from bench.memory_per_timer import PENDING, SETTLE_S
from bench.peers.alternative import Alternative
from bench.peers.daemon import Daemon
from bench.peers.redis_requests import bulk
from bench.peers.redis_server import DURABILITY, check_kept, redis_server, resp
from bench.run import Run
from drivers.memory import resident_bytes

RESIDENT, USED = "Redis: growth of its resident set", "Redis: growth of its used_memory"


def grown(run: Run) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many = run.pick(20_000, PENDING)
    with redis_server("everysec") as process:
        resident, used = resident_bytes(process.pid), _used_bytes(process)
        drive(lines(process.endpoint, b":", 2), bulk("order", range(how_many), 500), 1, 8)
        check_kept(process, how_many)
        time.sleep(SETTLE_S)
        return {
            RESIDENT: (resident_bytes(process.pid) - resident) / how_many,
            USED: (_used_bytes(process) - used) / how_many,
        }


def alternatives(run: Run) -> list[Alternative]:
    """For the figure of memory."""
    return [Alternative(dict.fromkeys((RESIDENT, USED), "bytes a timer"), DURABILITY["everysec"], partial(grown, run))]


def _used_bytes(process: Daemon) -> int:
    fields = process.ask(resp(b"INFO", b"memory")).split(b"\r\n")
    return int(next(field for field in fields if field.startswith(b"used_memory:")).partition(b":")[2])
