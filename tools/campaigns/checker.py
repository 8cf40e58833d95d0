"""Judges a history: every invariant is asked, and what it finds wrong is a sentence."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from campaigns.facts import Facts
from campaigns.history import History
from campaigns.invariants_of_clocks import (
    no_wall_bound_before_its_moment,
    only_moments_that_have_passed_are_refused,
    only_wall_bound_are_moved_by_the_clock,
    the_timeline_ignores_the_wall_clock,
    wall_bound_are_due_at_their_moment,
    what_is_due_fires_promptly,
)
from campaigns.invariants_of_effect import (
    a_repeat_has_one_effect,
    acknowledged_changes_are_kept,
    acknowledged_starts_are_kept,
    clients_notice_nothing,
    list_and_log_agree,
    nothing_is_invented,
)
from campaigns.invariants_of_order import (
    lives_are_possible,
    no_fired_after_a_stop,
    one_fired_per_run,
    replies_are_current,
    the_log_is_whole,
    watchers_hear_all_once_in_order,
)
from campaigns.invariants_of_time import (
    no_deadline_is_forgotten,
    no_deadline_moves,
    no_event_before_its_deadline,
    paused_time_never_counts,
)

Invariant = Callable[[Facts], Iterator[str]]


class Violation(NamedTuple):
    """An invariant that does not hold, by name, and how."""

    invariant: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}"


def the_history_is_whole(facts: Facts) -> Iterator[str]:
    """It was recorded to its end, so what is not there has not happened."""
    if facts.closed is None:
        yield "the history has no end; expected the log, the list and the server's clock"


LOSSES: tuple[Invariant, ...] = (acknowledged_starts_are_kept, acknowledged_changes_are_kept)
"""Those that count what was acknowledged and is gone."""

INVARIANTS: tuple[Invariant, ...] = (
    the_history_is_whole,
    *LOSSES,
    nothing_is_invented,
    a_repeat_has_one_effect,
    list_and_log_agree,
    clients_notice_nothing,
    the_log_is_whole,
    lives_are_possible,
    one_fired_per_run,
    no_fired_after_a_stop,
    watchers_hear_all_once_in_order,
    replies_are_current,
    no_event_before_its_deadline,
    no_deadline_moves,
    no_deadline_is_forgotten,
    paused_time_never_counts,
    the_timeline_ignores_the_wall_clock,
    no_wall_bound_before_its_moment,
    wall_bound_are_due_at_their_moment,
    only_wall_bound_are_moved_by_the_clock,
    only_moments_that_have_passed_are_refused,
    what_is_due_fires_promptly,
)


def check(history: History) -> list[Violation]:
    """All violations there are in a history, invariant by invariant."""
    facts = Facts.of(history)
    return [Violation(invariant.__name__, sentence) for invariant in INVARIANTS for sentence in invariant(facts)]


def count_lost(violations: list[Violation]) -> int:
    """How many of them tell of something acknowledged that is gone."""
    names = {invariant.__name__ for invariant in LOSSES}
    return sum(violation.invariant in names for violation in violations)
