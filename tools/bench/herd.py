"""A herd: very many timers due in the same second, while a client goes on asking one thing after another."""

import time
from collections.abc import Mapping
from functools import partial

from bench.listening import heard_by, watcher
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import server
from bench.spread import percentile
from campaigns.herd import Asking, start
from campaigns.samples import wall_ms
from drivers.peers import requester

DUE_IN_MS = 9_000
AIM_ALL_MS = 1_500
AIM_REQUEST_MS = 50
ALL = "first deadline until all were heard"
ASKED = {50: "a request meanwhile: p50", 99: "a request meanwhile: p99", 100: "a request meanwhile: longest"}


def stampede(run: Run) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many = run.pick(5_000, 100_000)
    with server() as process, watcher(process.events, "herd/", how_many) as listener:
        due_ms = wall_ms() + run.pick(2_000, DUE_IN_MS)
        start(process.commands, how_many, due_ms)
        left_s = (due_ms - wall_ms()) / 1000
        assert left_s > 0, "the timers were due before all of them were started"
        time.sleep(max(0.0, left_s - 1))
        with Asking(process.commands) as asking:
            heard = heard_by(listener)
        with requester(process.commands) as rpc:
            fired = rpc.call("server.info")["counts"]["fired"]
    assert fired == how_many == len(heard.late_ms), f"{fired} of {how_many} have fired"
    took_ms = sorted(asking.took_ms)
    return {ALL: heard.took_ms} | {name: percentile(took_ms, percent) for percent, name in ASKED.items()}


def measure(run: Run) -> Figure:
    """The table."""
    samples = run.interleaved([partial(stampede, run)])
    figure = Figure("herd", "A herd of 100,000", [Row(name, "ms", values) for name, values in samples.items()], [NOTE])
    whole, longest = figure.row(ALL), figure.row(ASKED[100])
    whole.durability = "fsync before the event"
    whole.aims.append(at_most(f"{AIM_ALL_MS:,} ms", whole.median, AIM_ALL_MS))
    longest.aims.append(at_most(f"{AIM_REQUEST_MS} ms, in every repetition", max(longest.samples), AIM_REQUEST_MS))
    return figure


NOTE = (
    "100,000 timers due in the same second, one watcher in a process of its own, and a REQ client in another that"
    " starts one timer after another, from a second before the first deadline until all were heard."
)
