"""`python -m bench.parts [INTERPRETER]`: where the processor time of starts, in columns and single, and of an end goes.

`perf` samples the process and says in which thread and library it was; `strace` counts its system calls. Both have to
be installed and allowed. What they cost is in none of the microseconds: those are of a run without them.
"""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.guarded.costs import ask_alone
from bench.listening import heard_by, watcher
from bench.servers import server
from bench.start_requests import in_columns, start_requests
from bench.table import markdown, number
from drivers.server_process import ServerProcess

SAMPLES_A_SECOND = 4_000
BEGUN_S = 2.0
DUE_S = 5.0
COLUMNS, ALONE, CROWDED, ENDS = 200_000, 2_000, 40_000, 20_000
NAMED = 10
FIELDS = 3
"""Of a line of perf: a share, a thread, a library."""

LEAST = 0.01
"""Parts of less are not shown."""

Work = Callable[[], int]
"""Has a server do something; returns how often it was done."""

_LIBRARIES = (
    (r"kernel|vdso", "kernel"),
    (r"zmq", "ZeroMQ"),
    (r"sqlite", "SQLite"),
    (r"msgspec|^_core[.]", "msgspec"),
    (r"libz[.]|^zlib[.]", "zlib"),
    (r"python", "interpreter"),
    (r"libc[.-]|libm[.-]|ld-|pthread|libstdc", "C library"),
)


@contextmanager
def columns(process: ServerProcess, prefix: str) -> Iterator[Work]:
    """Starts in columns of 500, four clients with four on their way."""
    messages = in_columns(prefix, range(COLUMNS), 500)

    def start() -> int:
        drive(zmtp(process.commands), messages, 4, 4)
        return COLUMNS

    yield start


@contextmanager
def alone(process: ServerProcess, prefix: str) -> Iterator[Work]:
    """Starts of the only client, one after another."""
    messages = start_requests(prefix, range(ALONE))

    def start() -> int:
        ask_alone(process.commands, messages)
        return ALONE

    yield start


@contextmanager
def among_fifty(process: ServerProcess, prefix: str) -> Iterator[Work]:
    """Starts of fifty clients, each of which waits for its reply."""
    messages = start_requests(prefix, range(CROWDED))

    def start() -> int:
        drive(zmtp(process.commands), messages, 50, 1)
        return CROWDED

    yield start


@contextmanager
def ends(process: ServerProcess, prefix: str) -> Iterator[Work]:
    """Timers that end in the same moment, and a watcher who hears them."""
    with watcher(process.events, prefix, ENDS) as listener:
        drive(zmtp(process.commands), in_columns(prefix, range(ENDS), 500, seconds=DUE_S), 1, 8)

        def hear() -> int:
            heard_by(listener)
            return ENDS

        yield hear


KINDS = {
    "a start in columns of 500": columns,
    "a start of the only client": alone,
    "a start of one of fifty clients": among_fifty,
    "an end that one watcher hears": ends,
}


def shares(process: ServerProcess, folder: Path, work: Callable[[], object]) -> Mapping[tuple[str, str], float]:
    """Parts of the process's time, by thread and library."""
    data = folder / "perf.data"
    command = ["perf", "record", "-q", "-e", "task-clock", "-F", str(SAMPLES_A_SECOND), "-p", str(process.pid)]
    with _beside([*command, "-o", str(data)]):
        work()
    report = ["perf", "report", "-i", str(data), "--stdio", "-q", "-s", "comm,dso", "-t", ";"]
    said = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    found: Counter[tuple[str, str]] = Counter()
    for line in said.splitlines():
        fields = [field.strip() for field in line.split(";")]
        if len(fields) == FIELDS:
            found[_thread(fields[1]), _library(fields[2])] += float(fields[0].rstrip("%")) / 100
    return found


def calls(process: ServerProcess, folder: Path, work: Callable[[], int]) -> Mapping[str, float]:
    """System calls, each time that it is done."""
    counted = folder / "strace"
    with _beside(["strace", "-f", "-q", "-c", "-U", "calls,name", "-o", str(counted), "-p", str(process.pid)]):
        done = work()
    lines = re.findall(r"^\s*(\d+)\s+(\w+)$", counted.read_text(), re.MULTILINE)
    return {name: int(count) / done for count, name in lines if name != "total"}


@contextmanager
def _beside(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(BEGUN_S)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended at once: is it allowed to look at other processes?")
        yield
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _thread(name: str) -> str:
    return "the loop" if name.startswith(("python", "timer")) else name


def _library(name: str) -> str:
    return next((library for pattern, library in _LIBRARIES if re.search(pattern, name)), "others")


def described(prepared: Callable[[ServerProcess, str], AbstractContextManager[Work]], python: str) -> str:
    """What each of a kind costs, its parts and its system calls."""
    with server(python=python) as process, TemporaryDirectory() as folder:
        with prepared(process, "warm") as work:
            work()
        with prepared(process, "timed") as work:
            before_ns = process_ns(process.pid)
            done = work()
            each_us = (process_ns(process.pid) - before_ns) / 1000 / done
        with prepared(process, "sampled") as work:
            parts = shares(process, Path(folder), work)
        with prepared(process, "traced") as work:
            counted = calls(process, Path(folder), work)
    lines = [("thread", "library", "share", "µs")]
    for (thread, library), share in sorted(parts.items(), key=lambda part: -part[1]):
        if share >= LEAST:
            lines.append((thread, library, f"{share:.0%}", number(share * each_us)))
    named = [f"{name} {number(count)}" for name, count in sorted(counted.items(), key=lambda one: -one[1])]
    return f"{number(each_us)} µs\n\n{markdown(lines)}\n\nSystem calls: {', '.join(named[:NAMED])}"


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    for title, prepared in KINDS.items():
        print(f"\n### {title}: {described(prepared, python)}", flush=True)


if __name__ == "__main__":
    main()
