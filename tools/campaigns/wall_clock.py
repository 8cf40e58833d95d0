"""A server's clocks as the campaign that sets them knows them, for every moment of the monotonic clock."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from campaigns.history import WallSet

Span = tuple[float, float]
"""From one moment of the monotonic clock to another, in seconds."""

_FOR_EVER_S = float("inf")


class _Setting(NamedTuple):
    """A setting of the wall clock: when it was surely in force, and when it can have been."""

    sure: Span
    possible: Span
    ahead_s: float
    ahead_of_timeline_s: float


class WallClock:
    """What the wall clock showed, and the timeline: Unix time as the wall clock stood in the beginning, never set.

    `jumps` are the moments at which time went by for the server alone, and how much; the timeline counts it.
    """

    def __init__(self, settings: Sequence[WallSet], jumps: Sequence[tuple[float, float]]) -> None:
        self._jumps = jumps
        self._timeline_ahead_s = settings[0].ahead_s
        ends = [*settings[1:], WallSet(_FOR_EVER_S, _FOR_EVER_S, 0)]
        self._settings = [
            _Setting(
                (one.done_s, end.begun_s),
                (one.begun_s, end.done_s),
                one.ahead_s,
                one.ahead_s - self._timeline_ahead_s - self._skipped_s(one.begun_s),
            )
            for one, end in zip(settings, ends, strict=True)
        ]

    def monotonic_s(self, timeline_ms: float) -> float:
        """The moment at which the timeline came to a time."""
        moment_s = timeline_ms / 1000 - self._timeline_ahead_s
        for jump_s, passed_s in self._jumps:
            if moment_s - passed_s < jump_s:
                break
            moment_s -= passed_s
        return moment_s

    def latest_ms(self, from_s: float, until_s: float) -> float:
        """The latest time that it can have shown between two moments."""
        return 1000 * max(
            min(until_s, end_s) + one.ahead_s
            for one in self._settings
            for begin_s, end_s in (one.possible,)
            if begin_s <= until_s and from_s <= end_s
        )

    def due_ms(self, moment_ms: int, from_s: float, until_s: float) -> list[int]:
        """When it is to reach a time, on the timeline, as it can have stood between two moments."""
        return [
            round(moment_ms - 1000 * one.ahead_of_timeline_s)
            for one in self._settings
            if one.possible[0] <= until_s and from_s <= one.possible[1]
        ]

    def reached(self, moment_ms: int) -> Iterator[Span]:
        """When it has surely shown a time or a later one, without a break."""
        reached: Span | None = None
        for one in self._settings:
            set_s, end_s = one.sure
            begin_s = max(set_s, moment_ms / 1000 - one.ahead_s)
            if reached is not None and begin_s > set_s:  # it was set back
                yield reached
                reached = None
            if begin_s < end_s:
                reached = (begin_s if reached is None else reached[0], end_s)
        if reached is not None:
            yield reached

    def _skipped_s(self, until_s: float) -> float:
        return sum(passed_s for jump_s, passed_s in self._jumps if jump_s <= until_s)
