"""How long commands take, from the shell's point of view."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import server
from bench.spread import median
from drivers.server_process import ServerProcess

TIMES = 10
HELP, DETACH = "timer --help", "timer start 0 0 1 --detach"
BARE, SOCKETS = "limit: python -c pass", "limit: python -c 'import zmq, msgspec'"
AIMS_S = {HELP: 0.25, DETACH: 0.35}


def wall_s(command: list[str], process: ServerProcess) -> float:
    """How long a command took."""
    environment = {**os.environ, "TIMER_SERVER": process.commands, "TIMER_EVENTS": process.events}
    begun = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - begun


def commands() -> dict[str, list[str]]:
    """What is run, as it is installed beside this interpreter."""
    timer = str(Path(sys.executable).parent / "timer")
    return {
        BARE: [sys.executable, "-c", "pass"],
        SOCKETS: [sys.executable, "-c", "import zmq, msgspec"],
        HELP: [timer, "--help"],
        DETACH: [timer, *DETACH.split()[1:]],
    }


def timed(process: ServerProcess, name: str) -> Mapping[str, float]:
    """A repetition: the median of some runs after one that warms up."""
    command = commands()[name]
    wall_s(command, process)
    return {name: median([wall_s(command, process) for _ in range(TIMES)])}


def measure(run: Run) -> Figure:
    """The table."""
    with server() as process:
        samples = run.interleaved([partial(timed, process, name) for name in commands()])
    rows = [Row(name, "s", values, SOCKETS if name in AIMS_S else "") for name, values in samples.items()]
    for row in rows:
        if row.name in AIMS_S:
            row.aims.append(at_most(f"{AIMS_S[row.name]} s", row.median, AIMS_S[row.name]))
    return Figure("command-line", "The command line", rows, [f"Wall time of the process; medians of {TIMES} runs."])
