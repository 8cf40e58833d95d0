"""All figures, in the order of the tables."""

from collections.abc import Callable

from bench import (
    command_line,
    concurrent_starts,
    fan_out,
    growth,
    herd,
    lateness,
    loaded_lateness,
    memory_per_timer,
    one_client,
    restart,
    starts,
)
from bench.results import Figure
from bench.run import Run

FIGURES: dict[str, Callable[[Run], Figure]] = {
    "starts": starts.measure,
    "concurrent": concurrent_starts.measure,
    "one-client": one_client.measure,
    "lateness": lateness.measure,
    "lateness-loaded": loaded_lateness.measure,
    "herd": herd.measure,
    "memory": memory_per_timer.measure,
    "restart": restart.measure,
    "growth": growth.measure,
    "fan-out": fan_out.measure,
    "command-line": command_line.measure,
}
