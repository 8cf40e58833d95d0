"""Whether the moments of a plan follow one another as its rule says, but for those that were told as skipped.

The rules of the campaign are so plain that this is worked out anew: intervals, whole minutes, and steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from campaigns.plan_facts import Chapter
from campaigns.plan_notes import PlanSet, PlanStood, TimerLogged


@dataclass(frozen=True)
class _Skipped:
    first_ms: int
    last_ms: int
    count: int


def told_wrongly(chapter: Chapter) -> Iterator[str]:
    """What is wrong with the moments of a plan while its rule is the same: as sentences."""
    before: PlanStood | None = None
    ends: dict[str, TimerLogged] = {}
    for entry in chapter.entries:
        if isinstance(entry, TimerLogged):
            if entry.kind in ("fired", "cancelled"):
                ends[entry.id] = entry
        elif isinstance(entry, PlanStood):
            if entry.skipped is not None and entry.skipped[-1] == "skip":
                yield from _skip_told_wrongly(entry, before)
            elif entry.pending is not None and before is not None and entry.moment_ms != before.moment_ms:
                yield from _followed_wrongly(chapter.settings, before, entry, ends)
            before = entry if entry.pending is not None or before is None else _gone_on(before, entry)


def _gone_on(before: PlanStood, entry: PlanStood) -> PlanStood:
    """The occurrence that was pending last, and how the plan stands now."""
    return PlanStood(entry.place, entry.plan, entry.state, entry.moment_ms, entry.step, entry.round, before.pending)


def _skip_told_wrongly(entry: PlanStood, before: PlanStood | None) -> Iterator[str]:
    assert entry.skipped is not None
    if before is None or entry.skipped[:3] != (before.moment_ms, before.moment_ms, 1):
        yield f"{entry.plan} was to skip {before and before.moment_ms} and told {entry.skipped}"


def _followed_wrongly(
    settings: PlanSet, before: PlanStood, after: PlanStood, ends: dict[str, TimerLogged]
) -> Iterator[str]:
    between = (
        _between_steps(settings, before, after, ends)
        if settings.kind == "steps"
        else _between(settings.pace_ms[0], before, after)
    )
    if isinstance(between, str):
        yield f"{after.plan}: {between}"
    elif before.state == "active":  # what passes while it rests is not told
        told = None if after.skipped is None else _Skipped(*after.skipped[:3])
        if told != between:
            yield f"{after.plan} goes on from {before.moment_ms} to {after.moment_ms} and tells {told}, not {between}"


def _between(pace_ms: int, before: PlanStood, after: PlanStood) -> _Skipped | str | None:
    """The moments between two; what is wrong, where the second is none."""
    gone_ms = after.moment_ms - before.moment_ms
    if gone_ms % pace_ms or (gone_ms < 0 and before.state == "active"):  # one that rested goes on from now
        return f"{after.moment_ms} is no moment {pace_ms} ms after another from {before.moment_ms} on"
    if gone_ms <= pace_ms:
        return None
    return _Skipped(before.moment_ms + pace_ms, after.moment_ms - pace_ms, gone_ms // pace_ms - 1)


def _between_steps(
    settings: PlanSet, before: PlanStood, after: PlanStood, ends: dict[str, TimerLogged]
) -> _Skipped | str | None:
    end = ends.get(before.pending or "")
    if end is None:
        return f"{after.pending} was started before {before.pending} had ended"
    begin_ms = end.due_ms if end.kind == "fired" else end.at_ms
    assert begin_ms is not None
    if before.state != "active":
        return None
    moment_ms, step, number = begin_ms, before.step, before.round
    passed: list[int] = []
    while moment_ms < after.moment_ms:
        step += 1
        if step == len(settings.pace_ms):
            step, number = 0, number + 1
        moment_ms += settings.pace_ms[step]
        passed.append(moment_ms)
    if (moment_ms, step, number) != (after.moment_ms, after.step, after.round):
        return f"step {after.step} of round {after.round} ends at {after.moment_ms}; expected {moment_ms}"
    return _Skipped(passed[0], passed[-2], len(passed) - 1) if len(passed) > 1 else None
