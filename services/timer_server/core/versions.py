"""Versions: what a timer is after a request, or its deadline. They are not logged here."""

from collections.abc import Mapping

from msgspec.structs import replace

from timer_protocol.durations import LONGEST_S
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams, State
from timer_server.core.effects import EFFECTS, Fields, Now, WallClock, bound_as_before, moved, round_up
from timer_server.core.keys import digest_of, knows, remembering
from timer_server.core.ledger import Ledger
from timer_server.core.model import FIRED, MOVED_BY_CLOCK, NUMBER_OF, Countdown, Revision
from timer_server.core.places import NONE_BEGUN, Places
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.core.readers import EndReaders
from timer_server.core.transitions import TRANSITIONS, Change, Refuse, Request

ChangeParams = PauseParams | ResumeParams | CancelParams | ExtendParams | RestartParams


class Versions:
    """Makes the next version of a timer. Its place is the one after the last, behind what readers have done so far."""

    def __init__(
        self, limits: Limits, ledger: Ledger, places: Places, readers: EndReaders, wall_clock: WallClock
    ) -> None:
        self._limits = limits
        self._limits_of_plans = replace(limits, max_duration_s=LONGEST_S)
        self._ledger = ledger
        self._places = places
        self._readers = readers
        self._wall_clock = wall_clock

    def now(self, now_ns: int) -> Now:
        """The time by both clocks."""
        return Now(now_ns, self._wall_clock.ahead_ns())

    def fired(self, timer: Countdown, now: Now) -> Countdown:
        """A running timer that its deadline has ended."""
        assert permitted("expire", timer) is not None
        return self._changed(timer, FIRED, now, bound_as_before(timer, now), timer.keys)

    def moved(self, timer: Countdown, now: Now) -> Countdown:
        """A timer that is bound to the wall clock, after that was set."""
        return self._changed(timer, MOVED_BY_CLOCK, now, moved(timer, now), timer.keys)

    def after(
        self, timer: Countdown, params: ChangeParams, now_ns: int, begun: Mapping[str, int] = NONE_BEGUN
    ) -> Countdown:
        """The timer after a request; itself where nothing changes. `begun` are those to be counted as pending besides,
        below each prefix. Raises `Refusal`.
        """
        key, keys = None if params.key is None else digest_of(params.key), timer.keys
        if key is not None and knows(keys, key):
            return timer
        request, effect = EFFECTS[type(params)]
        change = permitted(request, timer)
        if change is None:
            return timer
        if timer.has_ended:
            self._places.check(timer.id, begun)
        now = Now(now_ns) if timer.wall is None else self.now(now_ns)
        changed = effect(timer, params, now, self._limits_of_plans if PLAN_MARK in timer.id else self._limits)
        return self._changed(timer, NUMBER_OF[change.kind], now, changed, remembering(keys, key))

    def _changed(self, timer: Countdown, kind_number: int, now: Now, changed: Fields, keys: bytes) -> Countdown:
        if self._readers.has_news:
            self._ledger.take_news()
        elapsed_ms = round_up(now.ns) - changed.get("started_at_ms", timer.started_at_ms)
        left_ms, wall, ahead_ms = changed.pop("remaining_ms", 0), timer.wall, changed.pop("ahead_ms", None)
        if wall is not None:
            wall = replace(wall, ahead_ms=ahead_ms)
        return replace(
            timer,
            place=self._ledger.last_place + 1,
            others=self._ledger.others,
            kind_number=kind_number,
            revision=Revision(timer.version + 1, elapsed_ms, left_ms, keys, wall),
            **changed,
        )


def permitted(request: Request, timer: Countdown) -> Change | None:
    """The change in the table of transitions; None where nothing changes. Raises `Refusal`."""
    transition = TRANSITIONS[timer.state, request]
    if isinstance(transition, Refuse):
        is_so = "has fired" if timer.state == "fired" else f"is {timer.state}"
        raise refusal(transition.code, timer.id, f"{is_so}: {request} is not possible, restart is", timer.state)
    return transition if isinstance(transition, Change) else None


def refusal(code: ErrorCode, timer_id: str, what: str, state: State | None = None) -> Refusal:
    """Says of a timer why a request about it is refused."""
    helpful = {} if state is None else {"state": state}
    return Refusal(code, f"timer {timer_id!r} {what}", id=timer_id, **helpful)
