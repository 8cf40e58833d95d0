"""Readers of ends: what queues and the engine ask of each other.

A reader, such as a queue, *holds* the ends that it has yet to be done with. It remembers places; the events themselves
stay in the log for it, also when retention has passed them. What it does is logged in entries of its own, and from
those and the ends it is made again after a restart.
"""

from collections.abc import Sequence
from typing import Protocol

from timer_server.core.entries import Draft, QueueEntry, ServerStarted
from timer_server.core.model import Countdown


class EndReaders(Protocol):
    """All readers of the ends of one log.

    The log is read to them at a start: `restore` with what concerns them, in order, then `restored`. From then on they
    are offered each end as it happens, and tell what they have done, in order, when they are asked for it.
    """

    has_news: bool
    """Whether `take_drafts` or `take_released` would return something. It is looked at at each change of a timer."""

    waits_at: int | None
    """The place that retention may not pass yet, since ends behind it are still to be taken up; None for none."""

    taken_up: int
    """How many times a reader has taken up an end that it was offered."""

    @property
    def count(self) -> int:
        """How many of them may take up an end. Where there are none, none has to be offered."""

    def restore(self, entry: Countdown | QueueEntry | ServerStarted) -> None:
        """Takes up an entry of the log. It is told nothing of the ends before the first entry of a queue.

        An end is held if it was put in a queue when it happened; nothing else follows from it, since all that was done
        then has entries of its own. Of a queue's entries that newer ones have made obsolete, the first may be gone.
        """

    def restored(self) -> None:
        """Notes that the log has been read to its end."""

    def server_started(self, at_ms: int) -> None:
        """Notes that a server has started, which is logged behind all that it has been told before."""

    def offer(self, end: Countdown) -> None:
        """Takes up the end of a timer that has just happened."""

    def is_held(self, place: int) -> bool:
        """Whether the end at a place is needed by any of them. Asked when retention passes it."""

    def take_drafts(self) -> Sequence[Draft]:
        """The entries to log for what has been done since the last call, in order. They get their places at once."""

    def take_released(self) -> Sequence[int]:
        """The ends that none of them holds any more, since the last call; each is named once."""


class NoReaders:
    """Stands in where nobody reads ends."""

    has_news: bool = False
    waits_at: int | None = None
    taken_up: int = 0
    count: int = 0

    def restore(self, entry: Countdown | QueueEntry | ServerStarted) -> None:
        """Nobody takes it up."""

    def restored(self) -> None:
        """Nothing to note."""

    def server_started(self, at_ms: int) -> None:
        """Nothing to note."""

    def offer(self, end: Countdown) -> None:
        """Nobody takes it up."""

    def is_held(self, place: int) -> bool:  # noqa: ARG002 - nothing is held
        return False

    def take_drafts(self) -> Sequence[Draft]:
        return ()

    def take_released(self) -> Sequence[int]:
        return ()
