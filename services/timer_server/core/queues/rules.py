"""Rules: what a queue is, the same in every log. Its home log decides on it, and all others are told.

A queue holds the ends of each log in that log, so each needs the queue's settings. They are told one log at a time, and
a crash may come between. So a rule can be told again, late or in any order, and every log comes to what its home has:
rules are ordered by `made` and `version`, and an older one changes nothing. `untold` is what has to be told again.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from timer_server.core.queues.changes import Begin, Settings


class Standing(NamedTuple):
    """How new a rule is. A higher one is newer: what is made again under the same name has a higher `made`."""

    made: int
    version: int


class Rule(Struct, frozen=True, array_like=True):
    """A queue as its home log has it. `made` is of its making there: no other queue of that home has the same.

    `begin` is for a log that hears of the queue later than others: whether it takes up the ends that it has.
    """

    queue: str
    made: int
    version: int
    settings: Settings
    begin: Begin

    @property
    def standing(self) -> Standing:
        """How new it is."""
        return Standing(self.made, self.version)


class Gone(Struct, frozen=True, array_like=True):
    """The queue with this `made` is deleted, and so are all that had its name before."""

    queue: str
    made: int


def untold(home: Iterable[Rule], heard: Mapping[str, Standing]) -> list[Rule | Gone]:
    """What a log has to be told, which has heard of the queues of one home log what `heard` says.

    Of a queue that is there but not at its home the log has missed the deletion, for the home is always the first to
    know.
    """
    rules = {rule.queue: rule for rule in home}
    news: list[Rule | Gone] = [Gone(name, standing.made) for name, standing in heard.items() if name not in rules]
    news += [rule for name, rule in rules.items() if name not in heard or heard[name] < rule.standing]
    return news
