"""The rules of plans: which moment follows another.

An interval and steps count elapsed time from a moment that was planned, so they do not drift. The moments of a cron
rule are those of the wall clock. Moments are Unix milliseconds.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.durations import MS_PER_HOUR, NS_PER_MS, total_ms
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.plan_messages import LAST_MOMENT_MS
from timer_server.core.effects import round_up

_LAST_MS = LAST_MOMENT_MS - MS_PER_HOUR
"""The last moment of a rule. Calendars end soon after it, and the id of a timer may need a moment that is later."""


class CivilTime(NamedTuple):
    """Calendars and time zones, as plans ask about them.

    `cron_after` tells the first moment of an expression in a zone after another moment, None where it does not come
    again; it raises `Refusal` for what is no expression or zone. `local` writes a moment as the clocks of a zone show
    it, with their offset; None is UTC. `stamp` writes it short, as 20261127T080000Z. `release` names the release of the
    time zones.
    """

    cron_after: Callable[[str, str, int], int | None]
    local: Callable[[str | None, int], str]
    stamp: Callable[[int], str]
    release: str


def _unknown(expression: str, zone: str, _: int) -> int | None:
    raise Refusal(ErrorCode.INVALID_PARAMS, f"{expression!r} cannot be read: no zone {zone!r} is known here")


NO_CIVIL_TIME = CivilTime(_unknown, lambda _, moment_ms: str(moment_ms), str, "")
"""For whoever has no plans, or none with a cron rule."""


class Amounts(Struct, frozen=True, array_like=True):
    """Hours, minutes and seconds as they were asked for."""

    hours: int | float
    minutes: int | float
    seconds: int | float

    @property
    def ms(self) -> int:
        """What they come to. Raises `Refusal` (invalid_params) where that is too much."""
        return total_ms(self.hours, self.minutes, self.seconds)


class Every(Struct, frozen=True, array_like=True, tag=1):
    """An interval: each moment is so much after the one before."""

    interval: Amounts


class Cron(Struct, frozen=True, array_like=True, tag=2):
    """The moments of a cron expression on the clocks of a zone."""

    expression: str
    zone: str


class Step(Struct, frozen=True, array_like=True):
    """One of several countdowns. Without a label it has that of its plan."""

    amounts: Amounts
    label: str


class Steps(Struct, frozen=True, array_like=True, tag=3):
    """Countdowns one after the other, and from the first again."""

    steps: tuple[Step, ...]


Rule = Every | Cron | Steps


def have_same_moments(rule: Rule, other: Rule) -> bool:
    """Whether two rules come at the same moments: what steps are called and how amounts are written moves none."""
    return type(rule) is type(other) and _pace(rule) == _pace(other)


def _pace(rule: Rule) -> Rule | list[int]:
    if isinstance(rule, Cron):
        return rule
    return [rule.interval.ms] if isinstance(rule, Every) else [step.amounts.ms for step in rule.steps]


class Position(Struct, frozen=True, array_like=True, gc=False):
    """A moment of a rule. Of steps it is also told which one ends there, from 0, and in which round, from 1."""

    moment_ms: int
    step: int = 0
    round: int = 1


class Bounds(NamedTuple):
    """When the moments of a rule may begin and end, and how many rounds of steps there are; None is no bound."""

    from_ms: int | None = None
    until_ms: int | None = None
    rounds: int | None = None


class Moments:
    """The moments of a rule within bounds."""

    def __init__(self, rule: Rule, bounds: Bounds, civil: CivilTime) -> None:
        self._rule = rule
        self._bounds = bounds
        self._cron_after = civil.cron_after

    def origin(self, now_ns: int, grid_ms: int | None = None) -> Position:
        """Where to stand for the next moment to be the first after now, and within the bounds.

        An interval goes on from a moment of its own, `grid_ms`, or `from_ms`; where there is neither, it begins now.
        A countdown that begins now is counted from the next millisecond, so that it does not end early.
        """
        from_ms, now_ms, begin_ms = self._bounds.from_ms, now_ns // NS_PER_MS, round_up(now_ns)
        if isinstance(self._rule, Every):
            interval_ms = self._rule.interval.ms
            grid_ms = from_ms if grid_ms is None else grid_ms
            latest_ms = begin_ms if grid_ms is None else now_ms - (now_ms - grid_ms) % interval_ms
            return Position(latest_ms if from_ms is None else max(latest_ms, from_ms - interval_ms))
        if isinstance(self._rule, Cron):
            return Position(now_ms if from_ms is None else max(now_ms, from_ms - 1))
        return Position(begin_ms if from_ms is None else max(begin_ms, from_ms), step=-1)

    def after(self, position: Position) -> Position | None:
        """The position that follows; None at the end. Raises `Refusal` for a zone that is not known."""
        following = self._after(position)
        return following if following is not None and self.hold(following) else None

    def hold(self, position: Position) -> bool:
        """Whether a position is not behind the end of the bounds."""
        until_ms, rounds = self._bounds.until_ms, self._bounds.rounds
        last_ms = _LAST_MS if until_ms is None else min(until_ms, _LAST_MS)
        is_over = rounds is not None and isinstance(self._rule, Steps) and position.round > rounds
        return not is_over and position.moment_ms <= last_ms

    def before_latest(self, position: Position, now_ms: int, most: int) -> tuple[Position, int]:
        """A later position with at most `most` moments up to now behind it, and how many were passed over.

        Only an interval can tell without a look at each of them.
        """
        if not isinstance(self._rule, Every):
            return position, 0
        interval_ms, until_ms = self._rule.interval.ms, self._bounds.until_ms
        last_ms = now_ms if until_ms is None else min(now_ms, until_ms)
        passed = max((last_ms - position.moment_ms) // interval_ms - most, 0)
        return Position(position.moment_ms + passed * interval_ms), passed

    def _after(self, position: Position) -> Position | None:
        rule = self._rule
        if isinstance(rule, Every):
            return Position(position.moment_ms + rule.interval.ms)
        if isinstance(rule, Cron):
            moment_ms = self._cron_after(rule.expression, rule.zone, position.moment_ms)
            return None if moment_ms is None or moment_ms <= position.moment_ms else Position(moment_ms)
        is_last = position.step + 1 == len(rule.steps)
        step = 0 if is_last else position.step + 1
        return Position(position.moment_ms + rule.steps[step].amounts.ms, step, position.round + is_last)


def beginning_at(position: Position, moment_ms: int) -> Position:
    """A position of steps whose countdown has ended at another moment than planned."""
    return replace(position, moment_ms=moment_ms)
