"""`make bench ARGS=--guard`: has anything become much slower? Ratios within one run, so a slow machine is no fault.

The floors are a third to a half of what is measured: what falls below is a mistake, not a bad day.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import zmq

from bench import concurrent_starts, starts
from bench.growth import Held, start_and_cancel
from bench.run import Run, say
from bench.servers import server
from bench.spread import median
from drivers.peers import socket_to

ATTEMPTS = 3
RUN = Run(repeats=9, quick=True)
BATCH, CLIENTS = 100, 1
FEW, MANY = 1_000, 100_000
ROUNDS = 60


@dataclass(frozen=True)
class Ratio:
    """What is compared with what, and what it must not fall below."""

    name: str
    floor: float


BATCHED = Ratio("starts in batches against a raw echo of the same messages", 0.02)
CONCURRENT = Ratio("starts of 50 clients against a raw echo of the same messages", 0.2)
BATCHING = Ratio("starts in batches against starts one by one", 2.0)
GROWTH = Ratio(f"starts with {MANY:,} timers pending against starts with {FEW:,}", 0.5)
RATIOS = (BATCHED, CONCURRENT, BATCHING, GROWTH)


def measured() -> Mapping[Ratio, float]:
    """All ratios, from one run."""
    samples = RUN.interleaved(
        [
            partial(starts.batch_rate, RUN, BATCH, CLIENTS),
            partial(starts.echo_rate, RUN, BATCH, CLIENTS),
            partial(concurrent_starts.start_rate, RUN),
            partial(concurrent_starts.echo_rate, RUN),
        ]
    )
    rates = {name: median(values) for name, values in samples.items()}
    batched, concurrent = rates[starts.name_of(BATCH, CLIENTS)], rates[concurrent_starts.OURS]
    return {
        BATCHED: batched / rates[starts.echo_name(BATCH, CLIENTS)],
        CONCURRENT: concurrent / rates[concurrent_starts.ECHO],
        BATCHING: batched / concurrent,
        GROWTH: growth_ratio(),
    }


def growth_ratio() -> float:
    """The speed of starts where many timers are pending, as a part of that where few are."""
    with ExitStack() as stack:
        servers = []
        for pending in (FEW, MANY):
            process = stack.enter_context(server(pending))
            servers.append(Held(pending, process, stack.enter_context(socket_to(zmq.REQ, process.commands))))
        for _ in range(ROUNDS):
            for held in servers:
                held.rounds += 1
                start_and_cancel(held)
        few, many = (median(held.took_us["start"]) for held in servers)
        return few / many


def fallen(ratios: Mapping[Ratio, float]) -> list[str]:
    """A sentence for each ratio that is below its floor."""
    return [
        f"{ratio.name}: {value:.3f}, which is below {ratio.floor}"
        for ratio, value in ratios.items()
        if value < ratio.floor
    ]


def guard(measure: Callable[[], Mapping[Ratio, float]] = measured) -> int:
    """The exit code: 0 where one attempt has all ratios above their floors."""
    sentences: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        ratios = measure()
        sentences = fallen(ratios)
        for ratio, value in ratios.items():
            print(f"{ratio.name}: {value:.3f} (at least {ratio.floor})", flush=True)
        if not sentences:
            return 0
        say(f"attempt {attempt} of {ATTEMPTS} fell short\n")
    for sentence in sentences:
        print(f"fell too low in each of {ATTEMPTS} attempts: {sentence}")
    return 1
