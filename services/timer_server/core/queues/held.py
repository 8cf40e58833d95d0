"""The ends that queues hold, so that the log keeps them, and those that the last of them has let go."""

from collections.abc import Callable, Iterable

RELEASED_A_TURN = 1_000
"""Places handed out at once: each is to be removed from the log in that turn's commit."""


class HeldEnds:
    """Counts how many queues hold an end that was delivered before; `holds_new` tells whether one has it undelivered.

    Only what retention has passed is of interest when it is let go, and that is what was asked for already: `passed` is
    the last place of it.
    """

    def __init__(self, holds_new: Callable[[int], bool]) -> None:
        self._holds_new = holds_new
        self._count_of: dict[int, int] = {}
        self._released: list[int] = []
        self.passed = 0

    @property
    def has_released(self) -> bool:
        """Whether `take_released` has something to look at."""
        return bool(self._released)

    def is_held(self, place: int) -> bool:
        """Whether any queue holds the end at a place."""
        return place in self._count_of or self._holds_new(place)

    def hold(self, places: Iterable[int]) -> None:
        """Notes that a queue holds ends as deliveries."""
        count_of = self._count_of
        for place in places:
            count_of[place] = count_of.get(place, 0) + 1

    def release(self, place: int) -> None:
        """Notes that a queue is done with a delivery."""
        count = self._count_of[place] - 1
        if count:
            self._count_of[place] = count
            return
        del self._count_of[place]
        if place <= self.passed:
            self._released.append(place)

    def release_new(self, places: Iterable[int]) -> None:
        """Notes that a queue is done with ends that it has never delivered."""
        self._released += [place for place in places if place <= self.passed]

    def take_released(self) -> list[int]:
        """Some of the places behind the horizon that no queue holds any more, each once."""
        taken = set(self._released[-RELEASED_A_TURN:])
        del self._released[-RELEASED_A_TURN:]
        return [place for place in sorted(taken) if not self.is_held(place)]

    def count_anew(self, places: Iterable[int]) -> None:
        """Replaces the counts: the log has been read to its end."""
        self._count_of = {}
        self._released = []
        self.hold(places)
