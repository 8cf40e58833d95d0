"""Ten thousand subscribers of one timer at once: how fast they are served, and what they hold."""

import time
from collections.abc import Mapping
from functools import partial

import zmq

from bench.cpu_time import process_ns
from bench.fan_out import BARE, bare, change_us, heard_timer, subscribers
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.spread import median
from drivers.memory import resident_bytes
from drivers.server_process import ServerProcess

SUBSCRIBERS = 10_000
CHANGES = 20
PAUSE_S = 0.5
CPU_AIM_US = 3.0

MEMORY = "growth of the server's resident set"
CPU = "one event: whole process's CPU"
REPLY, LONGEST = "reply to the change: p50", "reply to the change: longest"
BY_ALL = "from the change until all have heard"
SERIES, SERIES_CPU = "one change after another", "one change after another: whole process's CPU"
UNITS = {
    MEMORY: "bytes a subscriber",
    CPU: "µs a subscriber",
    REPLY: "ms",
    LONGEST: "ms",
    BY_ALL: "ms",
    SERIES: "ms a change",
    SERIES_CPU: "µs an event and subscriber",
}


def paced(socket: "zmq.Socket[bytes]") -> tuple[list[float], list[int]]:
    """Changes with pauses in between: how long each reply took, and when each was sent."""
    replies_ms, sent_ns = [], []
    for _ in range(CHANGES):
        sent_ns.append(time.time_ns())
        replies_ms.append(change_us(socket) / 1000)
        time.sleep(PAUSE_S)
    return replies_ms, sent_ns


def series(process: ServerProcess, socket: "zmq.Socket[bytes]", how_many: int) -> Mapping[str, float]:
    """Changes without a pause: how long each takes, and the processor time until all have gone out."""
    begun_ns, begun_s = process_ns(process.pid), time.perf_counter()
    for _ in range(CHANGES):
        change_us(socket)
    took_ms = (time.perf_counter() - begun_s) * 1000 / CHANGES
    time.sleep(2 * PAUSE_S)
    cpu_us = (process_ns(process.pid) - begun_ns) / 1000 / CHANGES / how_many
    return {SERIES: took_ms, SERIES_CPU: cpu_us}


def heard_by(how_many: int) -> Mapping[str, float]:
    """A repetition with a new server and so many subscribers."""
    with heard_timer() as (process, socket):
        before_bytes = resident_bytes(process.pid)
        with subscribers(process, how_many) as crowd:
            grown_bytes = resident_bytes(process.pid) - before_bytes
            begun_ns = process_ns(process.pid)
            replies_ms, sent_ns = paced(socket)
            cpu_us = (process_ns(process.pid) - begun_ns) / 1000 / CHANGES / how_many
            in_series = series(process, socket, how_many)
        by_all_ms = [(heard - sent) / 1e6 for sent, heard in zip(sent_ns, crowd.heard.by_all_ns, strict=False)]
    return {
        MEMORY: grown_bytes / how_many,
        CPU: cpu_us,
        REPLY: median(replies_ms),
        LONGEST: max(replies_ms),
        BY_ALL: median(by_all_ms),
        **in_series,
    }


def measure(run: Run) -> Figure:
    """The table."""
    how_many = run.pick(200, SUBSCRIBERS)
    samples = run.interleaved([partial(heard_by, how_many), partial(bare, how_many, CHANGES, PAUSE_S)])
    rows = [Row(name, unit, samples[name]) for name, unit in UNITS.items()]
    for row in rows:
        if row.name in (CPU, SERIES_CPU):
            row.limit = BARE
            row.aims.append(at_most(f"{CPU_AIM_US:.0f} µs", row.median, CPU_AIM_US))
    rows.append(Row(BARE, UNITS[CPU], samples[BARE]))
    return Figure("crowd", f"{SUBSCRIBERS:,} subscribers at once", rows, [NOTE])


NOTE = (
    f"One timer is extended {CHANGES} times, {1000 * PAUSE_S:.0f} ms apart, and then as often without a pause. All"
    f" {SUBSCRIBERS:,} subscribers are connections of one process that reads with one thread, whose time is a part of"
    " what passes until all have heard. What the kernel holds for a connection is not in the resident set."
)
