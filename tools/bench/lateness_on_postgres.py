"""How late ends are heard where PostgreSQL keeps them, with a synchronous standby and many timers pending."""

import tempfile
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path

from bench.lateness import HOP, Latenesses, hop, name_of, rows_of, size, start_spread
from bench.listening import heard_by, watcher
from bench.on_postgres import REPLICATED, SETTINGS
from bench.results import Figure, at_most
from bench.run import Run
from bench.servers import MAX_TIMERS, fill
from drivers.postgres import Cluster
from drivers.server_process import ServerProcess

PENDING = (0, 1_000_000)
AIM_P99_MS = 5.0

_numbers = count(1)


def heard_late(run: Run, cluster: Cluster, heard: Latenesses, pending: int) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many, spread_s = size(run)
    environment = {
        "TIMER_STORE": cluster.new_place(f"lateness{next(_numbers)}"),
        "TIMER_MAX_TIMERS": str(MAX_TIMERS),
        "TIMER_LOG_LEVEL": "info",
    }
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), environment) as process:
        fill(process, pending)
        with watcher(process.events, "late/", how_many) as listener:
            start_spread(process, how_many, spread_s)
            return heard.rows(name_of(pending), heard_by(listener).never_early())


def measure(run: Run) -> Figure:
    """The table and the lines of the plot."""
    heard = Latenesses()
    pending = run.pick((0, 20_000), PENDING)
    with Cluster(standbys=1, is_fsynced=True, **SETTINGS) as cluster:
        samples = run.interleaved(
            [partial(hop, run, heard), *(partial(heard_late, run, cluster, heard, count) for count in pending)]
        )
    rows = rows_of(HOP, samples, "fsync before the event")
    for how_many in pending:
        p50, p99, longest = rows_of(name_of(how_many), samples, REPLICATED)
        p99.aims.append(at_most(f"{AIM_P99_MS:g} ms", p99.median, AIM_P99_MS))
        rows += [p50, p99, longest]
    return Figure("postgres-lateness", "Lateness at a watcher, on PostgreSQL", rows, [NOTE], heard.curves())


NOTE = (
    "The same timers and the same watcher as on SQLite; one server. An end is made durable on both machines before it"
    " is told, and not ahead of its time, since other requests are answered meanwhile."
)
