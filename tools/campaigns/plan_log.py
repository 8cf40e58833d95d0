"""What the log of a killed server tells of plans, read from a copy of its files."""

import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from campaigns.plan_notes import Logged, PlanGone, PlanSet, PlanStood, Resting, TimerLogged
from drivers.builders import CIVIL_TIME, entries_in
from timer_server.core.entries import PlanEntry, PlanPart
from timer_server.core.model import Countdown, Entry
from timer_server.core.plans.rules import Every, Rule, Steps
from timer_server.core.plans.standing import Settings, decode_settings, decode_standing
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.store.sqlite.store import SqliteStore

MINUTE_MS = 60_000
"""What is between the moments of the cron rules of this campaign."""


def read_log(folder: Path, database: str = "timers.db") -> list[Logged]:
    """All entries about plans and their timers. The files themselves stay as the kill has left them."""
    copy = folder / "copy"
    copy.mkdir()
    for file in folder.glob(f"{database}*"):
        shutil.copy(file, copy)
    with closing(SqliteStore(copy / database, lambda: "none")) as store:
        store.open()
        logged = [entry for entry in map(_logged, entries_in(store)) if entry is not None]
    shutil.rmtree(copy)
    return logged


def resting(logged: Iterable[Logged]) -> list[Resting]:
    """How all plans stand by the end of a log."""
    stood: dict[str, PlanStood] = {}
    timers: dict[str, TimerLogged] = {}
    for entry in logged:
        if isinstance(entry, TimerLogged):
            timers[entry.id] = entry
        elif isinstance(entry, PlanStood):
            stood[entry.plan] = entry
        elif isinstance(entry, PlanGone):
            stood.pop(entry.plan, None)
    return [_resting(one, timers.get(one.pending or "")) for one in stood.values()]


def planned_ids(logged: Sequence[Logged]) -> set[str]:
    """The ids of timers that plans have waited for; others were run."""
    return {entry.pending for entry in logged if isinstance(entry, PlanStood) and entry.pending is not None}


def _resting(stood: PlanStood, timer: TimerLogged | None) -> Resting:
    if timer is None:
        return Resting(stood.plan, stood.state, stood.pending)
    if timer.kind in ("fired", "cancelled"):
        return Resting(stood.plan, stood.state, stood.pending, timer.kind)
    state = "paused" if timer.due_ms is None else "running"
    return Resting(stood.plan, stood.state, stood.pending, state, timer.due_ms, timer.by_wall)


def _logged(entry: Entry) -> Logged | None:
    if isinstance(entry, Countdown) and PLAN_MARK in entry.id:
        plan = entry.id.partition(PLAN_MARK)[0]
        return TimerLogged(entry.place, plan, entry.at_ms, entry.id, entry.kind, entry.due_at_ms, entry.is_wall_bound)
    if not isinstance(entry, PlanEntry):
        return None
    match entry.part:
        case PlanPart.SETTINGS:
            return _plan_set(entry, decode_settings(entry.body))
        case PlanPart.GONE:
            return PlanGone(entry.place, entry.plan)
        case PlanPart.STANDING | PlanPart.SKIPPED:
            return _stood(entry)
        case _:
            return None


def _plan_set(entry: PlanEntry, settings: Settings) -> PlanSet:
    kind, pace_ms = _pace(settings.rule)
    return PlanSet(entry.place, entry.plan, settings.version, kind, pace_ms, settings.from_ms, settings.count)


def _pace(rule: Rule) -> tuple[str, list[int]]:
    if isinstance(rule, Every):
        return "every", [rule.interval.ms]
    if isinstance(rule, Steps):
        return "steps", [step.amounts.ms for step in rule.steps]
    return "cron", [MINUTE_MS]


def _stood(entry: PlanEntry) -> PlanStood:
    standing = decode_standing(entry.body)
    at, pending_ms, row = standing.at, standing.pending_ms, standing.row
    return PlanStood(
        entry.place,
        entry.plan,
        standing.state.name.lower(),
        at.moment_ms,
        at.step,
        at.round,
        None if pending_ms is None else f"{entry.plan}{PLAN_MARK}{CIVIL_TIME.stamp(pending_ms)}",
        (row.first_ms, row.last_ms, row.count, row.reason) if row and entry.part is PlanPart.SKIPPED else None,
    )
