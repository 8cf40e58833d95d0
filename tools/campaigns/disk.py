"""The disk campaign: the disk fails at every single operation, is full, and gives back other bytes than it got."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.disk_files import damages, killed_run, opening
from campaigns.disk_operations import SCENARIOS, Scenario, Strike, strike
from campaigns.disk_space import NoMount, fill
from campaigns.faulty_disk import KINDS
from campaigns.faulty_vfs import Unavailable, library

_SAMPLED_FROM = 256
"""Some operations more than a run has."""


def run(folder: Path, length: Length, dice: Random, planted: bool = False) -> Report:
    """Runs all three parts. With a planted fault the server swallows what the disk tells it."""
    report = Report()
    _fail_operations(report, folder, length, dice, planted)
    _fill_up(report, folder)
    _damage_files(report, folder, length, dice)
    return report


def _fail_operations(report: Report, folder: Path, length: Length, dice: Random, planted: bool) -> None:
    """Every kind of fault at every operation of every scenario, or at some of them."""
    try:
        library()
    except Unavailable as reason:
        report.figures["failing operations"] = f"skipped: {reason}"
        return
    checked = 0
    for kind in KINDS:
        struck = 0
        for scenario in SCENARIOS:
            strikes = _at_every_operation if length is Length.LONG else _at_some_operations
            for at, one in strikes(folder / f"{kind} {scenario.name}", scenario, kind, dice, planted):
                _add(report, f"{scenario.name}, {kind} at {at}", one.lost, one.wrong)
                struck += 1
                checked += one.acknowledged
        report.faults += struck
        report.figures[f"faults: {KINDS[kind].claim}"] = str(struck)
    report.figures["acknowledged changes checked after a fault"] = str(checked)


def _at_every_operation(
    folder: Path, scenario: Scenario, kind: str, _: Random, planted: bool
) -> Iterator[tuple[int, Strike]]:
    for at in count(1):
        one = _strike(folder, scenario, kind, at, planted)
        if not one.has_struck:
            return
        yield at, one


def _at_some_operations(
    folder: Path, scenario: Scenario, kind: str, dice: Random, planted: bool
) -> Iterator[tuple[int, Strike]]:
    at = dice.randint(1, _SAMPLED_FROM)
    while not (one := _strike(folder, scenario, kind, at, planted)).has_struck:
        at = (at + 1) // 2
    yield at, one


def _strike(folder: Path, scenario: Scenario, kind: str, at: int, planted: bool) -> Strike:
    place = folder / str(at)
    place.mkdir(parents=True, exist_ok=True)
    return strike(place, scenario, kind, at, planted)


def _fill_up(report: Report, folder: Path) -> None:
    try:
        filled = fill(folder)
    except NoMount as reason:
        report.figures["a full file system"] = f"skipped: {reason}"
        return
    report.faults += 1
    _add(report, "a full file system", filled.lost, filled.wrong)
    report.figures["a full file system"] = f"{filled.acknowledged} acknowledged changes checked"


def _damage_files(report: Report, folder: Path, length: Length, dice: Random) -> None:
    """Flips and cuts of the files that a killed server leaves."""
    source = folder / "killed"
    source.mkdir()
    files, told = killed_run(source)
    outcomes: Counter[bool] = Counter()
    for name, damaged in damages(files, dice, length.pick(2, 100)):
        opened = opening(folder / "damaged", {**files, name: damaged.content}, told)
        outcomes[opened.is_refused] += 1
        _add(report, f"{name}: {damaged.what}", opened.lost, opened.wrong)
    report.faults += outcomes.total()
    report.figures["damaged files"] = f"{outcomes[True]} refused, {outcomes[False]} with every timer as it was"


def _add(report: Report, what: str, lost: list[str], wrong: list[str]) -> None:
    report.lost += len(lost)
    report.violations += [f"{what}: {violation}" for violation in (*lost, *wrong)]


CAMPAIGN = Campaign(
    name="disk",
    claim=(
        "Whatever the disk does, and whenever: what was acknowledged is there after a restart exactly, nothing else"
        " is, or the store is refused with a sentence."
    ),
    run=run,
    least_faults=len(KINDS) * len(SCENARIOS),
)
