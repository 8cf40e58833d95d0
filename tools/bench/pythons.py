"""What a server costs by the Python that runs it: several of them side by side.

`PYTHONS` has them, each as `name=interpreter`. An interpreter has what `deploy/requirements/server.txt` says, and may
be a script that becomes one.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.guarded.costs import ask_alone, cost_us
from bench.results import Figure, Row
from bench.run import Run
from bench.servers import fill, server
from bench.start_requests import batched, in_columns, start_requests
from drivers.memory import resident_bytes
from drivers.peers import requester
from drivers.server_process import ServerProcess

PYTHONS = "PYTHONS"
CLIENTS = 50
WARM_UP = 5_000
PENDING = 100_000
VERSIONS = "import platform, sqlite3, zmq, msgspec; print(platform.python_version(), sqlite3.sqlite_version)"

COLUMNS, BATCHES = "a start in columns of 500: the server's CPU", "a start in batches of 100: the server's CPU"
CROWD, ALONE = "a start of one of 50 clients: the server's CPU", "a start of the only client: the server's CPU"
WAIT, MEMORY = "the only client's wait, p50", "a pending timer: the resident set's growth"
RESTART, EMPTY = "a restart, for each pending timer: CPU", "a restart without timers: CPU"
UNITS = {
    COLUMNS: "µs",
    BATCHES: "µs",
    CROWD: "µs",
    ALONE: "µs",
    WAIT: "ms",
    MEMORY: "bytes",
    RESTART: "µs",
    EMPTY: "ms",
}

_numbers = count(1)


@dataclass(frozen=True)
class Python:
    """An interpreter, and how it is called in the table."""

    name: str
    interpreter: str


def asked_for(text: str) -> list[Python]:
    """Those that a text names; without any the one that runs this. Raises ValueError with a sentence."""
    named = [Python(*entry.partition("=")[::2]) for entry in text.split()] or [Python("", sys.executable)]
    return [Python(_full_name(one), one.interpreter) for one in named]


def _full_name(python: Python) -> str:
    try:
        done = subprocess.run(
            [python.interpreter, "-c", VERSIONS], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "").strip().rpartition("\n")[2] or error
        raise ValueError(f"{PYTHONS}: {python.name}={python.interpreter} runs no server: {why}") from None
    version, sqlite = done.stdout.split()
    return f"{version}{python.name and ', '}{python.name} (SQLite {sqlite})"


def costs(run: Run, python: Python) -> Mapping[str, float]:
    """A repetition with a new server."""
    many, some, alone = run.pick((5_000, 2_000, 100), (50_000, 10_000, 500))
    pending, prefix = run.pick(10_000, PENDING), f"order{next(_numbers)}"
    with server(python=python.interpreter) as process:
        empty_ns = _restarted_ns(process)  # by now its code is compiled
        target, pid = zmtp(process.commands), process.pid
        before_bytes = resident_bytes(pid)
        fill(process, pending)
        grown_bytes = resident_bytes(pid) - before_bytes
        drive(target, start_requests("warm", range(WARM_UP)), CLIENTS, 1)
        columns = in_columns(f"{prefix}/columns", range(many), 500)
        batches = batched(start_requests(f"{prefix}/batch", range(many)), 100)
        crowd = start_requests(f"{prefix}/crowd", range(some))
        singles = start_requests(f"{prefix}/alone", range(alone))
        waits_ms: list[float] = []
        values = {
            COLUMNS: cost_us(pid, many, lambda: drive(target, columns, 4, 4)),
            BATCHES: cost_us(pid, many, lambda: drive(target, batches, 4, 4)),
            CROWD: cost_us(pid, some, lambda: drive(target, crowd, CLIENTS, 1)),
            ALONE: cost_us(pid, alone, lambda: waits_ms.append(ask_alone(process.commands, singles))),
        }
        with requester(process.commands) as rpc:
            kept = rpc.call("server.info")["counts"]["running"]
        restart_ns = _restarted_ns(process) - empty_ns
    return {
        **values,
        WAIT: waits_ms[0],
        MEMORY: grown_bytes / pending,
        RESTART: restart_ns / 1000 / kept,
        EMPTY: empty_ns / 1e6,
    }


def _restarted_ns(process: ServerProcess) -> int:
    """How long the process has run for until its first reply."""
    process.kill()
    process.start()
    with requester(process.commands) as rpc:
        rpc.call("timer.list", limit=1)
    return process_ns(process.pid)


def repetition(run: Run, python: Python) -> Mapping[str, float]:
    """The rows of one interpreter."""
    return {row_name(what, python): value for what, value in costs(run, python).items()}


def row_name(what: str, python: Python) -> str:
    """The row of an interpreter's cost."""
    return f"{what}, {python.name}"


def measure(run: Run) -> Figure:
    """The table: of each cost a row for each interpreter, of which the first is the others' limit."""
    pythons = asked_for(os.environ.get(PYTHONS, ""))
    samples = run.interleaved([partial(repetition, run, python) for python in pythons])
    rows = []
    for what, unit in UNITS.items():
        names = [row_name(what, python) for python in pythons]
        rows += [Row(name, unit, samples[name], "" if name == names[0] else names[0]) for name in names]
    return Figure("pythons", "By the Python that runs the server", rows, [NOTE])


NOTE = (
    "The load, the same for all, is made by the Python of the benchmark. The limit is the first one's row. The resident"
    f" set has grown by {PENDING:,} pending timers with payloads of 32 bytes."
)
