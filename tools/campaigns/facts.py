"""A history put in order for those who judge it: tries with their replies, and the log timer by timer."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from campaigns.bindings import bound_moments, moment_ms
from campaigns.history import (
    CONTINUED,
    RESTARTED,
    Among,
    Answered,
    Asked,
    Closed,
    Failed,
    Heard,
    History,
    Listed,
    Logged,
    Mark,
    Retried,
    WallSet,
    Watching,
)
from campaigns.wall_clock import WallClock
from timer_protocol.messages import Event, EventKind, Timer

RUN_BEGINS: frozenset[EventKind] = frozenset({"started", "restarted"})

Position = tuple[str, int]
"""Where an event stands: its log, and its `seq` there."""


def position(event: Event) -> Position:
    """Where an event stands."""
    return event.log, event.seq


@dataclass(frozen=True)
class Try:
    """A request and its reply, if one came."""

    asked: Asked
    answered: Answered | None

    @property
    def timer_id(self) -> str:
        """The timer that it is about."""
        return str(self.asked.params["id"])

    @property
    def timer(self) -> Timer | None:
        """The timer that the reply has told of."""
        return None if self.answered is None else self.answered.timer

    @property
    def error(self) -> str | None:
        """The name of the error in the reply."""
        return None if self.answered is None else self.answered.error

    def may_have_made(self, version: int) -> bool:
        """Whether it can be what made a version: its reply shows that or a later one, or it may still be on its way."""
        answered = self.answered
        return answered is None or answered.tries > 1 or answered.timer is None or answered.timer.version >= version


@dataclass(frozen=True)
class Run:
    """A timer from its start or a restart on, `number` 0 for the start. `events` begin with that."""

    number: int
    events: list[Event]

    @property
    def ends(self) -> list[Event]:
        """The events that told of its end by time; one at most, if all is well."""
        return [event for event in self.events if event.kind == "fired"]


@dataclass
class Facts:
    """What there is to know of a history. Events are in the order in which their log gave them.

    Where there is an `own_prefix`, those of timers with other ids are not among them.
    """

    tries: list[Try]
    retried: list[Retried]
    failed: list[Failed]
    marks: list[Mark]
    wall_sets: list[WallSet]
    watching: dict[str, int]
    heard: list[Heard]
    log: list[Event]
    listed: dict[str, Timer]
    closed: Closed | None
    own_prefix: str

    @staticmethod
    def of(history: History) -> "Facts":
        """The facts of a history."""
        answers = {entry.number: entry for entry in history.all_of(Answered)}
        return Facts(
            tries=[Try(entry, answers.get(entry.number)) for entry in history.all_of(Asked)],
            retried=history.all_of(Retried),
            failed=history.all_of(Failed),
            marks=history.all_of(Mark),
            wall_sets=history.all_of(WallSet),
            watching={entry.watcher: entry.after for entry in history.all_of(Watching)},
            heard=history.all_of(Heard),
            log=[entry.event for entry in history.all_of(Logged)],
            listed={entry.timer.id: entry.timer for entry in history.all_of(Listed)},
            closed=next(iter(history.all_of(Closed)), None),
            own_prefix=next((entry.own_prefix for entry in history.all_of(Among)), ""),
        )

    @cached_property
    def lives(self) -> dict[str, list[Event]]:
        """The log of each timer."""
        lives: dict[str, list[Event]] = defaultdict(list)
        for event in self.log:
            lives[event.timer.id].append(event)
        return lives

    @cached_property
    def runs(self) -> dict[str, list[Run]]:
        """The runs of each timer."""
        return {timer_id: _runs(life) for timer_id, life in self.lives.items()}

    @cached_property
    def tries_of(self) -> dict[str, list[Try]]:
        """The tries about each timer, in the order in which they were asked."""
        tries: dict[str, list[Try]] = defaultdict(list)
        for one in self.tries:
            tries[one.timer_id].append(one)
        return tries

    @cached_property
    def acknowledged(self) -> dict[str, Timer]:
        """The timers whose start was acknowledged, as the first acknowledgement told of them."""
        timers: dict[str, Timer] = {}
        for one in self.tries:
            if one.asked.method == "timer.start" and one.timer is not None:
                timers.setdefault(one.timer_id, one.timer)
        return timers

    @cached_property
    def calls(self) -> dict[int, list[Try]]:
        """All tries of each call."""
        calls: dict[int, list[Try]] = defaultdict(list)
        for one in self.tries:
            calls[one.asked.call].append(one)
        return calls

    @cached_property
    def logs(self) -> dict[str, list[Event]]:
        """The events of each log: a store has one for each of its shards."""
        logs: dict[str, list[Event]] = defaultdict(list)
        for event in self.log:
            logs[event.log].append(event)
        return logs

    @cached_property
    def first_heard_s(self) -> dict[Position, float]:
        """When anybody heard of each event first."""
        return {position(one.event): one.at_s for one in reversed(self.heard)}

    @cached_property
    def wall_clock(self) -> WallClock | None:
        """The server's wall clock; None where no campaign has set it."""
        jumps = [(mark.at_s, mark.passed_s) for mark in self.marks if mark.passed_s]
        return WallClock(self.wall_sets, jumps) if self.wall_sets else None

    @cached_property
    def bound(self) -> dict[tuple[str, int], int]:
        """The versions of timers that the wall clock binds, or that a pause has just let go: to which Unix time."""
        return {
            (timer_id, version): moment_ms
            for timer_id, life in self.lives.items()
            for version, moment_ms in bound_moments(life).items()
        }

    def is_bound(self, event: Event) -> bool:
        """Whether the wall clock binds the timer of an event, or did until a pause, which this is."""
        return (event.timer.id, event.timer.version) in self.bound

    def asked_moment(self, one: Try) -> int | None:
        """The Unix time that a start or a restart aims at; None where it is for no moment of the wall clock."""
        if one.asked.method not in ("timer.start", "timer.restart"):
            return None
        params = self._starts.get(one.timer_id, {})
        return moment_ms(params["at"], params.get("zone")) if "at" in params else None

    @cached_property
    def _starts(self) -> dict[str, dict[str, Any]]:
        """What the start of each timer has asked for."""
        return {one.timer_id: one.asked.params for one in self.tries if one.asked.method == "timer.start"}

    @cached_property
    def outages(self) -> list[tuple[float, float]]:
        """When the server was gone or stood still: from the first mark to the one that it is back."""
        outages: list[tuple[float, float]] = []
        gone_s: float | None = None
        for mark in self.marks:
            gone_s = mark.at_s if gone_s is None else gone_s
            if mark.what in (RESTARTED, CONTINUED):
                outages.append((gone_s, mark.at_s))
                gone_s = None
        return outages

    def skipped_s(self, after_s: float, until_s: float) -> float:
        """Time that went by for the server alone between two moments."""
        return sum(mark.passed_s for mark in self.marks if after_s <= mark.at_s <= until_s)


def _runs(life: list[Event]) -> list[Run]:
    runs: list[Run] = []
    for event in life:
        if event.kind in RUN_BEGINS or not runs:
            runs.append(Run(len(runs), []))
        runs[-1].events.append(event)
    return runs
