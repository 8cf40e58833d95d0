"""What a campaign is: a claim, faults against a real server, and a report of what they did.

A campaign has a long form, for `make campaigns`, and a short one that CI runs. Both are the same code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random


class Length(Enum):
    """How much of a campaign to run."""

    SHORT = "short"
    LONG = "long"

    def pick(self, short: int, long: int) -> int:
        """The one of two numbers that belongs to this length."""
        return short if self is Length.SHORT else long


@dataclass
class Report:
    """What a campaign has done and found. It has passed if there are no violations.

    `faults` counts what was done to the server or its peers, `requests` and `events` what was recorded, `lost` what
    was acknowledged and is gone; `figures` are further measured values, by what they are, as text with units.
    `not_run` is why nothing could be put to the test here.
    """

    faults: int = 0
    requests: int = 0
    events: int = 0
    lost: int = 0
    violations: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    not_run: str = ""


def joined(parts: Mapping[str, Report]) -> Report:
    """One report of several; figures and violations say of which part they are."""
    whole = Report()
    for name, part in parts.items():
        whole.faults += part.faults
        whole.requests += part.requests
        whole.events += part.events
        whole.lost += part.lost
        whole.violations += [f"{name}: {violation}" for violation in part.violations]
        whole.figures |= {f"{name}: {figure}": text for figure, text in part.figures.items()}
    return whole


@dataclass(frozen=True)
class Campaign:
    """A name, the claim in one sentence, and the function that puts it to the test in a folder of its own.

    The same dice make the same faults. `run` raises only for faults of its own. With fewer faults or requests than even
    the short form has, a run proves nothing.
    """

    name: str
    claim: str
    run: Callable[[Path, Length, Random], Report]
    least_faults: int = 0
    least_requests: int = 0

    def emptiness(self, report: Report) -> list[str]:
        """What a report has too little of."""
        if report.not_run:
            return []
        counts = (("faults", report.faults, self.least_faults), ("requests", report.requests, self.least_requests))
        return [f"only {count:,} {what}; expected {least:,} at least" for what, count, least in counts if count < least]
