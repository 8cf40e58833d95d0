"""A world in which time passes by what happens next, so that a game of minutes takes milliseconds."""

from collections.abc import Callable
from heapq import heappop, heappush


class World:
    """What will happen, in the order of true time."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000
        self._coming: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, moment_ns: int, happen: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._coming, (max(moment_ns, self.now_ns), self._number, happen))

    def after(self, delay_ns: int, happen: Callable[[], None]) -> None:
        self.at(self.now_ns + delay_ns, happen)

    def run_for(self, span_ns: int) -> None:
        end_ns = self.now_ns + span_ns
        while self._coming and self._coming[0][0] <= end_ns:
            self.now_ns, _, happen = heappop(self._coming)
            happen()
        self.now_ns = end_ns

    def run_until(self, is_so: Callable[[], bool], most_ns: int) -> bool:
        """Whether something has come to be so within a time."""
        end_ns = self.now_ns + most_ns
        while not is_so() and self.now_ns < end_ns:
            self.run_for(100_000_000)
        return is_so()
