"""The conditions of a run: whatever a reader needs to judge its figures, without a name or a path of the machine."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import zmq

from bench.fsynced import append_ms, overwrite_ms
from bench.peers.chosen import versions
from bench.run import Run
from bench.spread import percentile

WRITES = 1_000


def conditions(run: Run) -> dict[str, str]:
    """What the machine and the run are like, measured now."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": f"{os.cpu_count()} ({_processor()})",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "Python": platform.python_version(),
        "pyzmq, libzmq": f"{zmq.pyzmq_version()}, {zmq.zmq_version()}",
        "SQLite": sqlite3.sqlite_version,
        "file system": _file_system(Path.cwd()),
        "append of 4 KiB and fsync": _percentiles(append_ms(WRITES)),
        "write of 4 KiB in place and fsync": _percentiles(overwrite_ms(WRITES)),
        "load before the run": f"{os.getloadavg()[0]:.2f} (one minute)",
        **versions(run),
        "repetitions": f"{run.repeats}{', quick: sizes are small and the figures no measure' if run.quick else ''}",
    }


def _percentiles(took_ms: list[float]) -> str:
    ordered = sorted(took_ms)
    return f"p50 {percentile(ordered, 50):.3f} ms, p99 {percentile(ordered, 99):.3f} ms"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _file_system(path: Path) -> str:
    """The type of the file system that holds a path."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted_at, kind, *_ = line.split()
        if path.is_relative_to(mounted_at) and len(mounted_at) >= len(best[0]):
            best = (mounted_at, kind)
    return best[1]
