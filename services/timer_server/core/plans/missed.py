"""Moments that have passed: which of them are caught up, and which are skipped."""

from collections import deque
from typing import NamedTuple

from timer_protocol.plan_messages import CAUGHT_UP_MAXIMUM, Missed, SkipReason
from timer_server.core.plans.rules import Moments, Position
from timer_server.core.plans.standing import Row, Settings

_CAUGHT_UP: dict[Missed, int] = {"none": 0, "last": 1, "all": CAUGHT_UP_MAXIMUM}


class Passed(NamedTuple):
    """What becomes of the moments that have passed: those that are caught up, those skipped, and what comes then."""

    caught_up: list[Position]
    row: Row | None
    following: Position | None

    @property
    def next(self) -> Position | None:
        """The occurrence to start; None where there is none left."""
        return self.caught_up[0] if self.caught_up else self.following


class Walk:
    """A look at the moments of a rule that have passed by now, one after the other. It can be interrupted."""

    def __init__(self, settings: Settings, moments: Moments, first: Position, now_ms: int, reason: SkipReason) -> None:
        self._moments = moments
        self._reason: SkipReason = reason
        self._most = _CAUGHT_UP[settings.missed] if reason == "missed" else 0
        """How many are caught up; moments that passed while an occurrence was waited for never are."""
        self._first_ms = first.moment_ms
        self._at: Position | None
        self._at, self._count = moments.before_latest(first, now_ms, self._most + 1)
        self._latest: deque[Position] = deque(maxlen=self._most + 1)

    def go_on(self, now_ms: int, most: int) -> int:
        """Looks at up to `most` moments, and returns at how many."""
        looked_at = 0
        while looked_at < most and not self.is_over(now_ms):
            assert self._at is not None
            self._latest.append(self._at)
            self._count += 1
            looked_at += 1
            self._at = self._moments.after(self._at)
        return looked_at

    def is_over(self, now_ms: int) -> bool:
        """Whether all that have passed by now were looked at."""
        return self._at is None or self._at.moment_ms > now_ms

    def outcome(self, settings: Settings, now_ms: int) -> Passed:
        """What becomes of them."""
        oldest_ms, latest = now_ms - settings.missed_window_ms, list(self._latest)
        last = latest[-self._most :] if self._most else []
        caught_up = [position for position in last if position.moment_ms >= oldest_ms]
        count = self._count - len(caught_up)
        if not count:
            return Passed(caught_up, None, self._at)
        last_ms = latest[len(latest) - len(caught_up) - 1].moment_ms
        return Passed(caught_up, Row(self._first_ms, last_ms, count, self._reason), self._at)
