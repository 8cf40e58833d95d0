"""What is compared with what, and the lowest that it may be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.spread import median


@dataclass(frozen=True)
class Ratio:
    """A reference's cost as a part of ours. The floor is a third to a half of what is usual."""

    name: str
    floor: float


Ratios = Mapping[Ratio, float]
Measure = Callable[[], Ratios]
"""One attempt at some ratios that are measured together."""


def medians(samples: Sequence[Ratios]) -> Ratios:
    """The median of each over some repetitions."""
    return {ratio: median([sample[ratio] for sample in samples]) for ratio in samples[0]}
