"""What plans ask of the engine: the timers of a log, and room for more."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from timer_server.core.entries import PlanPart
from timer_server.core.model import Countdown
from timer_server.core.plans.rules import Amounts

PLAN_MARK = "~"
"""Stands between a plan's id and a moment in the ids of its timers, and in no id that a client makes."""


class Occurrence(NamedTuple):
    """A timer that a plan starts. With `at`, a moment as clocks show it, it is bound to the wall clock.

    `due_ms` is by the clock that it is bound to, and may have passed.
    """

    id: str
    due_ms: int
    amounts: Amounts
    label: str
    payload: bytes
    at: str | None = None
    zone: str | None = None


class PlanTimers(Protocol):
    """The timers of a log, as plans start and end them. Moments are nanoseconds on the timeline."""

    def wall_ahead_ns(self) -> int:
        """By how much the wall clock, read now, is ahead of the timeline."""

    def has_place(self) -> bool:
        """Whether one more timer may be pending, beside those for which plans keep a place."""

    def check_place(self, timer_id: str) -> None:
        """Raises `Refusal` (limit_reached) where one with this id may not."""

    def may_grow(self) -> bool:
        """Whether there is room on the disk for more than what ends timers."""

    def is_known(self, timer_id: str) -> bool:
        """Whether there is a timer with this id."""

    def is_pending(self, timer_id: str) -> bool:
        """Whether it is running or paused."""

    def pending(self, timer_id: str) -> Countdown:
        """A pending timer, which may be overdue."""

    def current(self, timer_id: str, now_ns: int) -> Countdown:
        """A pending timer as it is now: if it is overdue it fires. The plan is told of that before this returns."""

    def begin(self, occurrence: Occurrence, now_ns: int) -> Countdown:
        """Starts a timer. One with this id may have ended, and may not be pending."""

    def cancel(self, timer_id: str, now_ns: int) -> None:
        """Ends a pending timer before its time."""

    def set_paused(self, timer_id: str, *, is_paused: bool, now_ns: int) -> None:
        """Pauses or resumes a pending timer. Raises `Refusal` where the disk has no room for it."""

    def log_plan(self, plan: str, part: PlanPart, body: bytes, replaced: Sequence[int], now_ns: int) -> int:
        """Logs an entry of a plan and returns its place. `replaced` are the places of those that are obsolete now; 0
        stands for none."""
