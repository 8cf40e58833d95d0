"""Latencies of a load, as the rows of a table have them."""

from collections.abc import Mapping, Sequence

from bench.spread import percentile

PERCENTS = (50, 99)


def latency_names(name: str) -> dict[str, str]:
    """The rows of a load's latencies, each with its unit."""
    return {f"{name}: p{percent}": "ms" for percent in PERCENTS}


def latency_rows(name: str, latencies_s: Sequence[float]) -> Mapping[str, float]:
    """Their values."""
    ordered = sorted(latencies_s)
    return dict(zip(latency_names(name), [1000 * percentile(ordered, one) for one in PERCENTS], strict=True))
