"""APScheduler: a scheduler for Python programs, whose jobs are durable in SQLite."""

import json
from collections.abc import Mapping
from functools import partial

import msgspec

from bench.lateness import Latenesses
from bench.listening import PARTS, Lateness
from bench.peers.alternative import Alternative
from bench.run import Run
from bench.servers import disk_folder, line_of, python_process

DURABILITY = "SQLite's commit, synchronous=FULL"
DURABILITY_OF_END = "none: the job runs before its removal is committed"
STARTS = "APScheduler on SQLite: one job at a time, in the program's own process"
JOBS, SPREAD_S = 300, 3.0
PLANS, PLANS_LAST_S = 200, 5.0
PLAN_ADDED = "APScheduler on SQLite: a job with an interval added, CPU"
PLAN_RUN = f"APScheduler on SQLite: a run of one of {PLANS} such jobs, CPU"
LATENESS = f"APScheduler on SQLite, {JOBS} jobs over {SPREAD_S:.0f} s"


def _said(what: str, how_many: int, spread_s: float) -> Mapping[str, object]:
    with disk_folder() as folder:
        arguments = (str(folder / "jobs.db"), what, str(how_many), str(spread_s))
        with python_process("bench.peers.apscheduler_process", *arguments) as process:
            said: Mapping[str, object] = json.loads(line_of(process))
            return said


def start_rate(run: Run) -> Mapping[str, float]:
    """Jobs a second."""
    return {STARTS: msgspec.convert(_said("starts", run.pick(100, 1_000), 0)["rate"], float)}


def heard_late(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """How late jobs run."""
    return heard.rows(LATENESS, msgspec.convert(_said("lateness", JOBS, SPREAD_S), Lateness))


def plan_costs(run: Run) -> Mapping[str, float]:
    """What jobs that come every second cost in processor time."""
    said = _said("plans", run.pick(50, PLANS), PLANS_LAST_S)
    return {PLAN_ADDED: msgspec.convert(said["add_us"], float), PLAN_RUN: msgspec.convert(said["run_us"], float)}


def plans(run: Run) -> list[Alternative]:
    """For the figure of plans."""
    return [Alternative(dict.fromkeys((PLAN_ADDED, PLAN_RUN), "µs"), DURABILITY, partial(plan_costs, run))]


def one_client(run: Run) -> list[Alternative]:
    """For the figure of one client."""
    return [Alternative({STARTS: "a second"}, DURABILITY, partial(start_rate, run))]


def lateness(run: Run, heard: Latenesses) -> list[Alternative]:
    """For the figure of lateness."""
    units = {f"{LATENESS}: {part}": "ms" for part in PARTS}
    return [Alternative(units, DURABILITY_OF_END, partial(heard_late, run, heard))]
