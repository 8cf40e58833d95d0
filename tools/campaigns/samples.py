"""Figures taken while a server runs: its memory, its disk, and how late or slow it was."""

import time
from collections.abc import Sequence
from threading import Event, Thread

from drivers.memory import resident_bytes
from drivers.server_process import ServerProcess


def percentiles_ms(values_ms: Sequence[float]) -> str:
    """The median, the 99th percentile and the maximum, as text."""
    ordered = sorted(values_ms)
    if not ordered:
        return "none"
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {p50:.1f} / p99 {p99:.1f} / max {ordered[-1]:.1f} ms"


class Sampler:
    """Notes a server's memory and the size of its files at intervals, in a thread, while entered."""

    def __init__(self, server: ServerProcess, interval_s: float) -> None:
        self._server = server
        self._interval_s = interval_s
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.memory_bytes: list[int] = []
        self.disk_bytes: list[int] = []

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.memory_bytes.append(resident_bytes(self._server.pid))
            self.disk_bytes.append(sum(file.stat().st_size for file in self._server.folder.glob("timers.db*")))


def growth(samples: Sequence[int]) -> float:
    """By what part the last fifth of samples is larger than the second, on average; the first warms up."""
    fifth = len(samples) // 5
    if not fifth:
        raise ValueError(f"{len(samples)} samples are too few")
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return (sum(late) - sum(early)) / sum(early)


def wall_ms() -> float:
    """The wall clock, which is what deadlines on this machine are told in."""
    return time.time_ns() / 1e6
