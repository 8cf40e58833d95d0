"""All figures, in the order of the tables, each with its peers."""

from collections.abc import Callable

from bench import (
    cancels,
    changes,
    command_line,
    concurrent_starts,
    crowd,
    fan_out,
    gateway_streams,
    growth,
    herd,
    lateness,
    lateness_on_postgres,
    loaded_lateness,
    memory_per_timer,
    on_postgres,
    one_client,
    pauses,
    plans,
    pythons,
    queues,
    restart,
    starts,
    takeover,
    ten_million,
)
from bench.peers import for_figures as peers
from bench.results import Figure
from bench.run import Run

FIGURES: dict[str, Callable[[Run], Figure]] = {
    "starts": lambda run: starts.measure(run, peers.starts(run)),
    "concurrent": lambda run: concurrent_starts.measure(run, peers.concurrent(run)),
    "one-client": lambda run: one_client.measure(run, peers.one_client(run)),
    "queues": lambda run: queues.measure(run, peers.queues(run)),
    "lateness": lambda run: lateness.measure(run, peers.lateness),
    "lateness-loaded": loaded_lateness.measure,
    "herd": herd.measure,
    "memory": lambda run: memory_per_timer.measure(run, peers.memory(run)),
    "restart": restart.measure,
    "growth": growth.measure,
    "fan-out": lambda run: fan_out.measure(run, peers.fan_out(run)),
    "command-line": command_line.measure,
}
"""Those of every run."""

APART: dict[str, Callable[[Run], Figure]] = {
    "plans": lambda run: plans.measure(run, peers.plans(run)),
    "crowd": crowd.measure,
    "cancels": lambda run: cancels.measure(run, peers.cancels(run)),
    "changes": lambda run: changes.measure(run, peers.changes(run)),
    "herd-million": lambda run: herd.measure(run, herd.MILLION),
    "pauses": pauses.measure,
    "ten-million": ten_million.measure,
    "gateway": gateway_streams.measure,
    "postgres": lambda run: on_postgres.measure(run, peers.on_postgres(run)),
    "postgres-lateness": lateness_on_postgres.measure,
    "takeover": takeover.measure,
    "pythons": pythons.measure,
}
"""Those that take long, or more programs: measured where they are asked for by name, or all."""
