"""What plans have yet to do: when moments pass whose timers were moved, and what waits for room or for its turn."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from timer_server.core.plans.missed import Walk


class Agenda:
    """Plans by what they wait for, each by its id.

    `watched` are those whose timer was moved away from its moment, by the clock that decides: they go on at the moment.
    One that has changed since is found out when its moment comes. `wanting` plans wait for a place, and `behind` are
    those whose next occurrence has yet to be found, each with the look at passed moments that has been begun.
    """

    def __init__(self) -> None:
        self._watched: list[tuple[int, str]] = []
        self._watched_by_wall: list[tuple[int, str]] = []
        self.wanting: dict[str, None] = {}
        self.behind: dict[str, Walk | None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done before a request, or an end of a timer."""
        return not (self._watched or self._watched_by_wall or self.wanting or self.behind)

    def load(self, watched: Iterable[tuple[int, str]], watched_by_wall: Iterable[tuple[int, str]]) -> None:
        """Replaces the plans that are watched."""
        self._watched, self._watched_by_wall = list(watched), list(watched_by_wall)
        heapify(self._watched)
        heapify(self._watched_by_wall)

    def watch(self, moment_ms: int, plan_id: str, *, by_wall: bool) -> None:
        """Notes when a plan goes on though its timer is pending."""
        heappush(self._watched_by_wall if by_wall else self._watched, (moment_ms, plan_id))

    def next_watched_ms(self, *, by_wall: bool) -> int | None:
        """The first moment for which a plan is watched."""
        watched = self._watched_by_wall if by_wall else self._watched
        return watched[0][0] if watched else None

    def pop_watched(self, now_ms: int, *, by_wall: bool) -> tuple[int, str] | None:
        """Takes out the first plan whose moment has come."""
        watched = self._watched_by_wall if by_wall else self._watched
        return heappop(watched) if watched and watched[0][0] <= now_ms else None
