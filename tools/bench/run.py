"""How a run is made: how often, how large, and whether peers take part."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

Way = Callable[[], Mapping[str, float]]
"""One repetition of one alternative, with everything new: the names of its rows, and their values."""


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line."""

    repeats: int = 3
    quick: bool = False
    peers: bool = False

    def pick(self, quick: T, full: T) -> T:
        """The size for a quick look, or the one whose figures count."""
        return quick if self.quick else full

    def interleaved(self, ways: Iterable[Way]) -> dict[str, list[float]]:
        """Repeats all alternatives in turn, so that whatever the machine does hits all of them alike."""
        samples: dict[str, list[float]] = {}
        ways = list(ways)
        for _ in range(self.repeats):
            for way in ways:
                for name, value in way().items():
                    samples.setdefault(name, []).append(value)
                say(".")
        say("\n")
        return samples


def say(text: str) -> None:
    """Shows that something is going on, beside the tables."""
    sys.stderr.write(text)
    sys.stderr.flush()
