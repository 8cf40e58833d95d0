"""All figures, in the order of the tables."""

from collections.abc import Callable

from bench import concurrent_starts, one_client, starts
from bench.results import Figure
from bench.run import Run

FIGURES: dict[str, Callable[[Run], Figure]] = {
    "starts": starts.measure,
    "concurrent": concurrent_starts.measure,
    "one-client": one_client.measure,
}
