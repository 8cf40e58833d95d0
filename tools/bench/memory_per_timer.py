"""What a pending timer costs in memory."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import fill, server
from drivers.memory import resident_bytes

PENDING = 1_000_000
SETTLE_S = 1.0
AIM_BYTES = 200
OURS = "growth of the server's resident set"


def grown(run: Run) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many = run.pick(20_000, PENDING)
    with server() as process:
        before_bytes = resident_bytes(process.pid)
        fill(process, how_many)
        time.sleep(SETTLE_S)
        return {OURS: (resident_bytes(process.pid) - before_bytes) / how_many}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    samples = run.interleaved([partial(grown, run), *(peer.way for peer in peers)])
    row = Row(OURS, "bytes a timer", samples[OURS], durability="fsync before the reply")
    row.aims.append(at_most(f"{AIM_BYTES} bytes", row.median, AIM_BYTES))
    return Figure("memory", f"Memory with {PENDING:,} pending", [row, *rows_of(peers, samples)], [NOTE])


NOTE = (
    "Ids are `order/0` to `order/999999` (12 characters for nine in ten), payloads 32 bytes of JSON. beanstalkd"
    " names jobs by itself, so there the id is in the body. The resident set includes buffers and what the allocator"
    " has not given back."
)
