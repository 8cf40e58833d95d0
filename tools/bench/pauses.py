"""How long a client waits for a small answer while a million timers are pending and starts pour in."""

import json
import time
from collections.abc import Mapping
from functools import partial

from bench.loaded_lateness import BATCH, STARTS_A_SECOND, Pouring
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import echo, line_of, python_process, server
from bench.spread import percentile
from bench.ten_million import fill_in_columns
from drivers.server_process import ServerProcess

PENDING = 1_000_000
ASKED_A_SECOND = 500
SECONDS = 15.0
"""How long each is asked. The server's table of timers grows at 1,398,101 entries, which is not reached by then."""

GROWING_S = 10.0
"""How long the server is asked after that, so that the growth is."""

LEAD_S = 1.0
"""How long starts pour in before the first request, so that the load is as it stays."""

AIM_MS = 5.0
PARTS = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "longest": 100.0}
ASKED = f"{STARTS_A_SECOND:,} starts/s meanwhile"
LIMIT = "limit: a raw echo beside the same load"
GROWING = "the table of timers grows meanwhile: longest"
RATE = "starts that arrived meanwhile"


def waited(run: Run) -> Mapping[str, float]:
    """A repetition with a new server: it is asked, again while its table grows, and then an echo beside it."""
    seconds, growing_s = run.pick((2.0, 1.0), (SECONDS, GROWING_S))
    with server() as process, echo() as echoing:
        fill_in_columns(process, run.pick(20_000, PENDING))
        asked, rate = beside_starts(process, "asked", process.commands, seconds)
        growing, _ = beside_starts(process, "growing", process.commands, growing_s)
        limit, _ = beside_starts(process, "limit", echoing, seconds)
    return {**rows_of(ASKED, asked), **rows_of(LIMIT, limit), GROWING: growing[-1], RATE: rate}


def beside_starts(process: ServerProcess, prefix: str, endpoint: str, seconds: float) -> tuple[list[float], float]:
    """What a client of an endpoint waits for answers while starts pour into a server, the shortest first, and how many
    of those arrived a second."""
    with Pouring(process.commands, seconds + LEAD_S + 10, prefix) as pouring:
        time.sleep(LEAD_S)
        with python_process("bench.probe", endpoint, "order/0", str(ASKED_A_SECOND), str(seconds)) as probe:
            waits_ms = sorted(json.loads(line_of(probe)))
    return waits_ms, pouring.rate


def rows_of(name: str, waits_ms: list[float]) -> Mapping[str, float]:
    """The rows of one repetition."""
    return {f"{name}: {part}": percentile(waits_ms, percent) for part, percent in PARTS.items()}


def measure(run: Run) -> Figure:
    """The table."""
    samples = run.interleaved([partial(waited, run)])
    rows = [Row(f"{LIMIT}: {part}", "ms", samples[f"{LIMIT}: {part}"]) for part in PARTS]
    rows += [Row(f"{ASKED}: {part}", "ms", samples[f"{ASKED}: {part}"], f"{LIMIT}: {part}") for part in PARTS]
    rows.append(Row(GROWING, "ms", samples[GROWING], f"{LIMIT}: longest"))
    rows.append(Row(RATE, "starts/s", samples[RATE], durability="fsync before the reply"))
    figure = Figure("pauses", f"Pauses with {PENDING:,} pending", rows, [NOTE])
    late = figure.row(f"{ASKED}: p99.9")
    late.aims.append(at_most(f"{AIM_MS} ms", late.median, AIM_MS))
    return figure


NOTE = (
    f"{ASKED_A_SECOND} `timer.get` a second for {SECONDS:.0f} s by a client in a process of its own, while another"
    f" sends a batch of {BATCH} starts every {1000 * BATCH / STARTS_A_SECOND:.0f} ms. Both go by the clock and not by"
    " the replies, and an answer's time counts from when its request was due. The limit is the same client at an echo"
    " that has nothing else to do, while the server has the same load: what two cores that are shared make it wait. At"
    f" 1,398,101 timers the server's table of them grows, in the {GROWING_S:.0f} s after that."
)
