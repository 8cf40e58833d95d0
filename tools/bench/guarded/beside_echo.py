"""Ratios of one server to a raw echo, which takes turns with it."""

from collections.abc import Callable

from bench.guarded.costs import Echo, echo
from bench.guarded.ratio import Ratios, medians
from bench.servers import server
from drivers.server_process import ServerProcess


def beside_echo(once: Callable[[ServerProcess, Echo], Ratios], repetitions: int) -> Ratios:
    """The medians of so many repetitions with the same two, after one that warms them up."""
    with server() as process, echo() as reference:
        once(process, reference)
        return medians([once(process, reference) for _ in range(repetitions)])
