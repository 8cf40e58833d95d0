"""A countdown between two replies of the server: a pure model, which is told the time."""

from dataclasses import dataclass

from timer_protocol.durations import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND
from timer_protocol.messages import Timer

_MS_PER_DAY = 24 * MS_PER_HOUR

_MILESTONES_MS = (
    *(seconds * MS_PER_SECOND for seconds in (1, 2, 3, 4, 5, 10, 20, 30)),
    *(minutes * MS_PER_MINUTE for minutes in (1, 2, 3, 4, 5, 10, 20, 30)),
    *(hours * MS_PER_HOUR for hours in (1, 2, 3, 6, 12)),
)


@dataclass(frozen=True, slots=True)
class Countdown:
    """A timer as the server told it at a moment of the local monotonic clock.

    `remaining_ms` was true at that moment by the server's clock. Only elapsed time is added here, so neither a wrong
    wall clock nor one that is set makes the countdown jump.
    """

    timer: Timer
    told_at_s: float

    def remaining_ms(self, now_s: float) -> int:
        """Time to go, never below zero. That it is zero does not say that the timer has fired: only the server does."""
        if self.timer.state != "running":
            return self.timer.remaining_ms
        return max(self.timer.remaining_ms - round((now_s - self.told_at_s) * MS_PER_SECOND), 0)

    def done(self, now_s: float) -> float:
        """The elapsed part of the timer's time, from 0 to 1. Extending a timer moves it back."""
        if self.timer.ended or self.timer.duration_ms <= 0:
            return 1.0
        return min(max(1 - self.remaining_ms(now_s) / self.timer.duration_ms, 0.0), 1.0)


def clock_face(remaining_ms: int) -> str:
    """Time to go as `0:00:03` or `2d 03:04:05`, rounded up to whole seconds, so that zero is the end."""
    seconds = -(-remaining_ms // MS_PER_SECOND)
    days, seconds = divmod(seconds, _MS_PER_DAY // MS_PER_SECOND)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{days}d {hours:02}:{minutes:02}:{seconds:02}" if days else f"{hours}:{minutes:02}:{seconds:02}"


def next_milestone_ms(remaining_ms: int) -> int:
    """The next time to go at which a display of plain lines prints one; closer together towards the end."""
    if remaining_ms > _MS_PER_DAY:
        return (remaining_ms - 1) // _MS_PER_DAY * _MS_PER_DAY
    return max((milestone_ms for milestone_ms in _MILESTONES_MS if milestone_ms < remaining_ms), default=0)
