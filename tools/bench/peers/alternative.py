"""A peer's way to do what a figure measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.results import Row
from bench.run import Way


@dataclass(frozen=True)
class Alternative:
    """The rows that a way fills, each with its unit."""

    units: Mapping[str, str]
    durability: str
    way: Way

    def rows(self, samples: Mapping[str, list[float]]) -> list[Row]:
        """The rows, once they are measured."""
        return [Row(name, unit, samples[name], durability=self.durability) for name, unit in self.units.items()]


def rows_of(alternatives: Sequence[Alternative], samples: Mapping[str, list[float]]) -> list[Row]:
    """The rows of all of them."""
    return [row for alternative in alternatives for row in alternative.rows(samples)]
