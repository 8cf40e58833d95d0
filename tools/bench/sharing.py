"""Worker processes that share what is ready: they begin together, and what they did is counted."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from bench.generator import undisturbed
from bench.servers import line_of, python_process

WORKERS = 4
TOGETHER = 100
"""What a worker takes and acknowledges at once."""


class Shared(NamedTuple):
    """How many a second all workers have taken and acknowledged, and what one costs them in processor time."""

    rate: float
    workers_us: float


def share(expected: int, module: str, *arguments: str) -> Shared:
    """Has the workers, which run a module, take and acknowledge until nothing is left."""
    with ExitStack() as stack:
        workers = [stack.enter_context(python_process(module, *arguments)) for _ in range(WORKERS)]
        for worker in workers:
            if line_of(worker) != "ready":
                raise RuntimeError("a worker did not come to work")
        begun = time.perf_counter()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("begin\n")
            worker.stdin.flush()
        said = [[int(number) for number in line_of(worker).split()] for worker in workers]
        took_s = time.perf_counter() - begun
    done, cpu_ns = map(sum, zip(*said, strict=True))
    if done != expected:
        raise AssertionError(f"{expected:,} were ready, but {done:,} were taken and acknowledged")
    return Shared(expected / took_s, cpu_ns / expected / 1000)


def work(take_and_acknowledge: Callable[[], int]) -> None:
    """A worker's process: once it is told to begin, it goes on until it gets none.

    It prints how many there were, and the nanoseconds that its threads have run meanwhile.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    done, before_ns = 0, time.process_time_ns()
    with undisturbed():
        while taken := take_and_acknowledge():
            done += taken
    print(done, time.process_time_ns() - before_ns, flush=True)
