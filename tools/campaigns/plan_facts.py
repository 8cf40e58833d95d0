"""What the notes of a campaign of plans come to: the log plan by plan, and each call with what came of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from campaigns.plan_log import planned_ids
from campaigns.plan_notes import Asked, AtRest, Closed, Logged, Note, PlanGone, PlanSet, PlanStood, TimerLogged, Told


@dataclass(frozen=True)
class Call:
    """What was asked, and each answer: a call may have been repeated though it was answered."""

    asked: Asked
    answers: list[Told]

    @property
    def result(self) -> dict[str, Any] | None:
        """The first answer that is a result."""
        return next((told.result for told in self.answers if told.result is not None), None)

    @property
    def is_refused(self) -> bool:
        """Whether the first answer was an error."""
        return bool(self.answers) and self.answers[0].error is not None


@dataclass(frozen=True)
class Chapter:
    """What was logged of a plan from a put after which its moments are others, to the next such put or its deletion."""

    settings: PlanSet
    entries: list[Logged]

    @cached_property
    def started(self) -> set[str]:
        """The timers that the plan has waited for."""
        return planned_ids(self.entries)


@dataclass
class Facts:
    """All that is known. Entries of the log are in its order."""

    calls: list[Call]
    at_rest: list[AtRest]
    log: dict[str, list[Logged]]
    """By plan."""

    closed: Closed | None

    @classmethod
    def of(cls, notes: Sequence[Note]) -> "Facts":
        """The facts in some notes."""
        answers: dict[tuple[str, int], list[Told]] = defaultdict(list)
        log: dict[str, list[Logged]] = defaultdict(list)
        for note in notes:
            if isinstance(note, Told):
                answers[note.by, note.call].append(note)
            elif isinstance(note, TimerLogged | PlanSet | PlanStood | PlanGone):
                log[note.plan].append(note)
        return cls(
            [Call(note, answers[note.by, note.call]) for note in notes if isinstance(note, Asked)],
            [note for note in notes if isinstance(note, AtRest)],
            log,
            next((note for note in notes if isinstance(note, Closed)), None),
        )

    @cached_property
    def events(self) -> dict[str, list[TimerLogged]]:
        """The events of each timer."""
        events: dict[str, list[TimerLogged]] = defaultdict(list)
        for entries in self.log.values():
            for entry in entries:
                if isinstance(entry, TimerLogged):
                    events[entry.id].append(entry)
        return events

    @cached_property
    def planned(self) -> set[str]:
        """The timers that any plan has waited for."""
        return set().union(*map(planned_ids, self.log.values()))

    @cached_property
    def chapters(self) -> list[Chapter]:
        """All of them, plan by plan."""
        return [chapter for entries in self.log.values() for chapter in _chapters(entries)]

    def calls_of(self, *methods: str) -> list[Call]:
        """The calls of some methods that were not refused."""
        return [call for call in self.calls if call.asked.method in methods and not call.is_refused]


def _chapters(entries: Sequence[Logged]) -> list[Chapter]:
    chapters: list[Chapter] = []
    before: PlanSet | None = None
    for entry in entries:
        if isinstance(entry, PlanSet):
            if entry.begins_anew_after(before):
                chapters.append(Chapter(entry, []))
            before = entry
        if isinstance(entry, PlanGone):
            before = None
        if chapters:
            chapters[-1].entries.append(entry)
    return chapters
