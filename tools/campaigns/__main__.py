"""`make campaigns`: runs each campaign after its claim, and prints one table; exit 1 where anything was violated."""

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.catalogue import BY_NAME, CAMPAIGNS
from campaigns.checker import check
from campaigns.history import History
from campaigns.plan_invariants import judge_plans
from campaigns.plan_notes import PLAN_HISTORY, read_plan_notes
from campaigns.queue_invariants import judge
from campaigns.queue_notes import read_notes

EXIT_HELD, EXIT_VIOLATED = 0, 1
SHOWN = 20
"""Violations that are printed of each campaign; all of them can be had again from its history."""

COLUMNS = ("campaign", "faults", "requests", "events", "lost", "violations", "seconds")


@dataclass(frozen=True)
class Outcome:
    """A campaign that has run."""

    campaign: Campaign
    report: Report
    took_s: float

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in the table."""
        report = self.report
        counts = (report.faults, report.requests, report.events, report.lost, len(report.violations))
        return (self.campaign.name, *(f"{count:,}" for count in counts), f"{self.took_s:.0f}")


def main(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # servers are ended on the way out
    if arguments[:1] == ["check"]:
        return _check(_check_parser().parse_args(arguments[1:]).file)
    parsed = _parsed(arguments)
    chosen = [campaign for campaign in CAMPAIGNS + BY_NAME if campaign.name in parsed.names] or CAMPAIGNS
    seed = secrets.randbelow(1_000_000) if parsed.seed is None else parsed.seed
    length = Length.SHORT if parsed.short else Length.LONG
    print(f"seed {seed}; the same seed draws the same requests and faults, as far as timing allows\n")
    base = Path(tempfile.mkdtemp(prefix="campaigns-"))
    outcomes = [_run(campaign, base / campaign.name, length, Random(f"{seed}/{campaign.name}")) for campaign in chosen]  # noqa: S311
    _print_table(outcomes)
    if any(outcome.report.violations for outcome in outcomes):
        print(f"\nthe histories of those that failed are in {base}")
        return EXIT_VIOLATED
    shutil.rmtree(base)
    return EXIT_HELD


def _run(campaign: Campaign, folder: Path, length: Length, dice: Random) -> Outcome:
    """Says what is claimed, puts it to the test, and says how that went. The folder stays where it failed."""
    print(f"{campaign.name}: {campaign.claim}", flush=True)
    folder.mkdir()
    begun_s = time.monotonic()
    report = campaign.run(folder, length, dice)
    report.violations += campaign.emptiness(report)
    outcome = Outcome(campaign, report, time.monotonic() - begun_s)
    figures = "".join(f"; {name} {value}" for name, value in report.figures.items())
    verdict = f"violated {len(report.violations):,} times" if report.violations else report.not_run or "held"
    print(f"  {verdict} after {report.faults:,} faults in {outcome.took_s:.0f} s{figures}\n", flush=True)
    _print_violations(report.violations)
    if not report.violations:
        shutil.rmtree(folder)
    return outcome


def _print_violations(violations: list[str]) -> None:
    for sentence in violations[:SHOWN]:
        print(f"  - {sentence}")
    if len(violations) > SHOWN:
        kinds = Counter(sentence.partition(":")[0] for sentence in violations[SHOWN:])
        told = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        print(f"  - and {len(violations) - SHOWN:,} more: {told}")


def _print_table(outcomes: list[Outcome]) -> None:
    rows = [COLUMNS, *(outcome.cells for outcome in outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        print("  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]))


def _check(path: Path) -> int:
    """Judges a history that was kept, or the folder of notes of a campaign of queues."""
    if path.is_dir():
        found = judge(read_notes(path))
    else:
        found = judge_plans(read_plan_notes(path)) if path.name == PLAN_HISTORY else check(History.read(path))
    violations = [str(violation) for violation in found]
    _print_violations(violations)
    print(f"{len(violations):,} violations")
    return EXIT_VIOLATED if violations else EXIT_HELD


def _parsed(arguments: list[str]) -> argparse.Namespace:
    names = [campaign.name for campaign in CAMPAIGNS + BY_NAME]
    parser = argparse.ArgumentParser(
        prog="make campaigns",
        description="Faults against real servers under load; every history is checked against the invariants.",
        epilog='`make campaigns ARGS="check FILE"` judges a history again that was kept of a failed campaign.',
    )
    help_names = f"of {', '.join(names)}; all but the last {len(BY_NAME)} where none is named"
    parser.add_argument("names", nargs="*", metavar="campaign", help=help_names)
    parser.add_argument("--short", action="store_true", help="the form that CI runs")
    parser.add_argument("--seed", type=int, help="repeat a run")
    parsed = parser.parse_args(arguments)
    if unknown := [name for name in parsed.names if name not in names]:
        parser.error(f"there is no campaign {unknown[0]!r}; there are {', '.join(names)}")
    return parsed


def _check_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make campaigns", description="Judges a history that was kept.")
    parser.add_argument(
        "file", type=Path, help=f"history.jsonl of a campaign, {PLAN_HISTORY}, or the folder of `queues`"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
