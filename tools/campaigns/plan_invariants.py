"""What holds of plans, whatever happens to the server: the invariants, and the judge that asks them all.

They read nothing but what clients asked and were told, what the log held after each kill, and the log in the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from campaigns.checker import Violation
from campaigns.plan_facts import Call, Facts
from campaigns.plan_moments import told_wrongly
from campaigns.plan_notes import Note, PlanGone, PlanSet, PlanStood, TimerLogged

PENDING = ("running", "paused")
BEHIND_MS = 3_000
"""How late the timer that a plan waits for may be in the end, while tests run beside."""

MAY_BE_REFUSED = {
    "plan.skip": {"wrong_state"},
    "timer.pause": {"wrong_state"},
    "timer.resume": {"wrong_state"},
    "timer.cancel": {"wrong_state"},
}
"""A timer may have ended before somebody asks for something, and a plan may have finished."""

Invariant = Callable[[Facts], Iterator[str]]


def what_comes_next_is_there(facts: Facts) -> Iterator[str]:
    """No log of a killed server holds a plan without the timer that comes next, unless it rests or has finished."""
    for at_rest in facts.at_rest:
        for plan in at_rest.plans:
            if plan.state == "active" and plan.pending_state not in PENDING:
                waits_for = "nothing" if plan.pending is None else f"{plan.pending}, which is {plan.pending_state}"
                yield f"{plan.plan} is active after {at_rest.fault} and waits for {waits_for}"
            elif plan.state == "finished" and plan.pending is not None:
                yield f"{plan.plan} has finished after {at_rest.fault} and waits for {plan.pending}"


def moments_are_started_or_told(facts: Facts) -> Iterator[str]:
    """Between one occurrence and the next lie the moments that were told as skipped, and no others."""
    for chapter in facts.chapters:
        yield from told_wrongly(chapter)


def an_occurrence_fires_once(facts: Facts) -> Iterator[str]:
    """One that has fired is not started again, unless its plan rested or began anew and the clock was set back."""
    yield from (f"{one} is waited for and was never started" for one in facts.planned - facts.events.keys())
    for chapter in facts.chapters:
        fired: set[str] = set()
        for entry in chapter.entries:
            if isinstance(entry, PlanStood) and entry.state == "paused":
                fired.clear()
            elif isinstance(entry, TimerLogged) and entry.kind == "fired":
                fired.add(entry.id)
            elif isinstance(entry, TimerLogged) and entry.id in fired:
                yield f"{entry.id} has fired and is {entry.kind} again"


def count_is_never_passed(facts: Facts) -> Iterator[str]:
    """No more occurrences fire than `count` says, but for those that had been started when that was put."""
    for chapter in facts.chapters:
        fired, count, most = 0, None, None
        begun: set[str] = set()
        for entry in chapter.entries if chapter.settings.kind != "steps" else ():
            if isinstance(entry, PlanSet) and entry.count != count:
                count = entry.count
                most = None if count is None else max(count, len(begun))
            elif isinstance(entry, TimerLogged) and entry.id in chapter.started:
                (begun.discard if entry.kind == "cancelled" else begun.add)(entry.id)
                fired += entry.kind == "fired"
                if entry.kind == "fired" and most is not None and fired > most:
                    yield f"{entry.id} has fired as number {fired} of {most}"


def rounds_are_never_passed(facts: Facts) -> Iterator[str]:
    """No more rounds of steps begin than `count` says as it stands."""
    for chapter in facts.chapters:
        most = None
        for entry in chapter.entries if chapter.settings.kind == "steps" else ():
            if isinstance(entry, PlanSet):
                most = entry.count
            elif isinstance(entry, PlanStood) and entry.pending and entry.round > (most or entry.round):
                yield f"{entry.plan} is in round {entry.round} of {most}"


def a_repeat_acts_once(facts: Facts) -> Iterator[str]:
    """A call that was sent again, with the same key or for the same settings, has had one effect."""
    runs = Counter(call.asked.plan for call in facts.calls_of("plan.run"))
    skips = Counter(call.asked.plan for call in facts.calls_of("plan.skip"))
    for plan, entries in facts.log.items():
        started = {entry.id for entry in entries if isinstance(entry, TimerLogged)} - facts.planned
        skipped = [
            entry for entry in entries if isinstance(entry, PlanStood) and (entry.skipped or ("",))[-1] == "skip"
        ]
        for what, found, asked in (("run", len(started), runs[plan]), ("skip", len(skipped), skips[plan])):
            if found != asked:
                yield f"{plan} shows {found} effects of {asked} calls of plan.{what}"


def puts_make_one_version_each(facts: Facts) -> Iterator[str]:
    """A put that asks for something else makes the next version, and the same put makes none."""
    for plan, calls in _by_plan(facts.calls_of("plan.put", "plan.delete")):
        asked = _versions(calls)
        found = [
            None if isinstance(entry, PlanGone) else entry.version
            for entry in facts.log[plan]
            if isinstance(entry, PlanSet | PlanGone)
        ]
        if found != asked:
            yield f"{plan} has the versions {found} in the log; its puts should have made {asked}"


def what_was_told_is_kept(facts: Facts) -> Iterator[str]:
    """The timers and versions that any answer has told of are in the log."""
    started = {timer_id for timer_id, events in facts.events.items() if any(one.kind == "started" for one in events)}
    versions = {
        (plan, entry.version) for plan, entries in facts.log.items() for entry in entries if isinstance(entry, PlanSet)
    }
    for call in facts.calls:
        for told in call.answers:
            if told.result is None or "version" not in told.result or not call.asked.method.startswith("plan."):
                continue
            for timer in (told.result["pending"], told.result.get("ran")):
                if timer is not None and timer["id"] not in started:
                    yield f"{call.asked.method} of {call.asked.plan} has told of {timer['id']}, which the log never had"
            if (call.asked.plan, told.result["version"]) not in versions:
                yield f"version {told.result['version']} of {call.asked.plan} was told, which the log never had"


def no_plan_stays_behind(facts: Facts) -> Iterator[str]:
    """In the end the moment that each plan waits for is still to come."""
    if facts.closed is None or not facts.at_rest:
        yield "the history has no end; expected the log and the server's clock"
        return
    for plan in facts.at_rest[-1].plans:
        now_ms = facts.closed.wall_ms if plan.by_wall else facts.closed.timeline_ms
        if plan.due_ms is not None and plan.due_ms < now_ms - BEHIND_MS:
            yield f"{plan.plan} waits for {plan.pending}, which was due {now_ms - plan.due_ms} ms before the end"


def clients_get_no_errors(facts: Facts) -> Iterator[str]:
    """What clients ask is right, so nothing else is refused than what came too late."""
    for call in facts.calls:
        for told in call.answers:
            if told.error is not None and told.error not in MAY_BE_REFUSED.get(call.asked.method, ()):
                yield f"{call.asked.method} of {call.asked.plan} was refused: {told.error}"
        if not call.answers:
            yield f"{call.asked.method} of {call.asked.plan} was never answered"


LOSSES: tuple[Invariant, ...] = (what_was_told_is_kept,)
"""Those that count what was acknowledged and is gone."""

INVARIANTS: tuple[Invariant, ...] = (
    *LOSSES,
    what_comes_next_is_there,
    moments_are_started_or_told,
    an_occurrence_fires_once,
    count_is_never_passed,
    rounds_are_never_passed,
    a_repeat_acts_once,
    puts_make_one_version_each,
    no_plan_stays_behind,
    clients_get_no_errors,
)


def judge_plans(notes: Sequence[Note]) -> list[Violation]:
    """All violations there are in some notes, invariant by invariant."""
    facts = Facts.of(notes)
    return [Violation(invariant.__name__, sentence) for invariant in INVARIANTS for sentence in invariant(facts)]


def _by_plan(calls: Sequence[Call]) -> Iterator[tuple[str, list[Call]]]:
    for plan, group in groupby(sorted(calls, key=lambda call: call.asked.plan), key=lambda call: call.asked.plan):
        yield plan, list(group)


def _versions(calls: Sequence[Call]) -> list[int | None]:
    """The versions that calls in order make; None for a deletion."""
    versions: list[int | None] = []
    before = None
    for call in calls:
        if call.asked.method == "plan.delete":
            versions.append(None)
            before = None
        elif call.asked.params != before:
            versions.append(1 if before is None else (versions[-1] or 0) + 1)
            before = call.asked.params
    return versions
