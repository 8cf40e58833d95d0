"""How long a server with very many pending timers takes to answer after it is launched."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import zmq

from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import check_running, server
from drivers.peers import request, socket_to
from drivers.server_process import ServerProcess

PENDING = 1_000_000
AIM_S = 1.0
READ_BYTES = 1 << 20
CRASH, STOP, EMPTY = "first reply after kill -9", "first reply after a clean stop", "limit: first reply, empty store"
SIZE = "size of the database file"
READ = "limit: sequential read of the database file"
PATIENCE_MS = 120_000


def first_reply_s(process: ServerProcess) -> float:
    """From the launch of the process until a request that waited for it is answered."""
    with socket_to(zmq.REQ, process.commands, reconnect_ivl=1, rcvtimeo=PATIENCE_MS) as socket:
        socket.send_json(request("timer.list", 1, limit=1))
        begun = time.perf_counter()
        process.launch()
        assert b'"error"' not in socket.recv()
        return time.perf_counter() - begun


def read_s(path: Path) -> float:
    """How long the file takes to read."""
    begun = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(READ_BYTES):
            pass
    return time.perf_counter() - begun


def restarted(run: Run) -> Mapping[str, float]:
    """A repetition: a crash, then a clean stop, of the same store."""
    how_many = run.pick(20_000, PENDING)
    with server(how_many) as process:
        process.kill()
        crash_s = first_reply_s(process)
        check_running(process, how_many)
        process.terminate()
        stop_s = first_reply_s(process)
        check_running(process, how_many)
        file = process.folder / "timers.db"
        return {CRASH: crash_s, STOP: stop_s, READ: read_s(file), SIZE: file.stat().st_size / 1e6}


def empty() -> Mapping[str, float]:
    """A repetition without timers."""
    with server() as process:
        process.terminate()
        return {EMPTY: first_reply_s(process)}


def measure(run: Run) -> Figure:
    """The table."""
    samples = run.interleaved([partial(restarted, run), empty])
    rows = [Row(name, "s", samples[name], EMPTY) for name in (CRASH, STOP)]
    for row in rows:
        row.aims.append(at_most(f"{AIM_S:.1f} s", row.median, AIM_S))
    rows += [Row(name, "s", samples[name]) for name in (EMPTY, READ)]
    rows.append(Row(SIZE, "MB", samples[SIZE]))
    return Figure("restart", f"Restart with {PENDING:,} pending", rows, [NOTE])


NOTE = (
    "From the launch of the process, its interpreter included, to the reply to a request that waited for it. The files"
    " are in the page cache, as they are when only the process has ended."
)
