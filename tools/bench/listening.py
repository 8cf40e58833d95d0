"""A watcher in a process of its own, as the measuring process sees it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import Popen

import msgspec

from bench.servers import line_of, python_process
from bench.spread import percentile

PARTS = ("p50", "p99", "max")


class Lateness(msgspec.Struct):
    """What a watcher tells in the end."""

    late_ms: list[float]
    took_ms: float

    def rows(self, name: str) -> Mapping[str, float]:
        """The rows of one repetition."""
        ordered = sorted(self.late_ms)
        values = (percentile(ordered, 50), percentile(ordered, 99), ordered[-1])
        return {f"{name}: {part}": value for part, value in zip(PARTS, values, strict=True)}

    def never_early(self) -> "Lateness":
        """Itself. Raises AssertionError where an end was heard before its time."""
        if min(self.late_ms) < 0:
            raise AssertionError(f"an end was heard {-min(self.late_ms):.3f} ms early, or the clocks drift apart")
        return self


@contextmanager
def watcher(endpoint: str, topic: str, how_many: int) -> Iterator["Popen[str]"]:
    """A watcher that has subscribed."""
    with python_process("bench.watcher", endpoint, topic, str(how_many)) as process:
        if line_of(process) != "listening":
            raise RuntimeError("the watcher did not come to listen")
        yield process


def heard_by(process: "Popen[str]") -> Lateness:
    """What a watcher has heard, once it has heard all."""
    return msgspec.convert(json.loads(line_of(process)), Lateness)


def percentile_curve(late_ms: Sequence[float]) -> tuple[list[float], list[float]]:
    """Percentiles for a plot, closer together towards the end, and the lateness at each."""
    ordered = sorted(late_ms)
    percents = [*range(1, 99), *(99 + tenth / 10 for tenth in range(10)), 99.95, 99.99, 100]
    return [float(percent) for percent in percents], [round(percentile(ordered, percent), 4) for percent in percents]
