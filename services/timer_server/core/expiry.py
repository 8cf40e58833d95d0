"""Expiry: what time does to timers. It ends those that are due, and moves those that the wall clock has."""

from collections.abc import Callable, Iterator
from itertools import islice

from timer_protocol.durations import NS_PER_MS
from timer_server.core.bulk_ends import Ends
from timer_server.core.bulk_versions import Step
from timer_server.core.effects import Now, WallClock, is_moved, round_up
from timer_server.core.ledger import Ledger
from timer_server.core.model import FIRED, Countdown
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.core.readers import EndReaders
from timer_server.core.records import columns_of
from timer_server.core.versions import Versions

TAKEN_UP_A_FIRE = 4
"""Queues that take up an end in the time in which a timer could be fired."""

PlanGoesOn = Callable[[Countdown, int], int]
"""Has the plan of an ended timer go on at a moment, and returns how many timers could be fired instead."""


class Expiry:
    """Ends timers at their deadlines, the earliest first. Moments are nanoseconds on the timeline, in order."""

    def __init__(
        self, ledger: Ledger, versions: Versions, readers: EndReaders, wall_clock: WallClock, plan_goes_on: PlanGoesOn
    ) -> None:
        self._ledger = ledger
        self._versions = versions
        self._readers = readers
        self._wall_clock = wall_clock
        self._plan_goes_on = plan_goes_on
        self._to_follow: Iterator[Countdown] = iter(())

    def next_due_ns(self) -> int | None:
        """The earliest deadline; None where nothing runs."""
        next_due_ms = self._ledger.next_due_ms()
        return None if next_due_ms is None else next_due_ms * NS_PER_MS

    def expire(self, now_ns: int, most: int) -> int:
        """Fires up to `most` timers whose deadline has come, and returns how many.

        What their plans do then counts too, and fewer are fired where many queues take them up.
        """
        return self._end_due(Now(now_ns), most, by_wall=False)

    def wall_ahead_ns(self) -> int:
        """By how much the wall clock, read now, is ahead of the timeline."""
        return self._wall_clock.ahead_ns()

    def next_wall_due_ns(self) -> int | None:
        """When the wall clock, as it stands, will have reached the first moment that a timer is bound to."""
        next_due_ms = self._ledger.next_due_ms(by_wall=True)
        return None if next_due_ms is None else next_due_ms * NS_PER_MS - self._wall_clock.ahead_ns()

    def expire_by_wall(self, now_ns: int, most: int) -> int:
        """Fires up to `most` timers whose moment the wall clock has reached, and returns how many."""
        return self._end_due(self._versions.now(now_ns), most, by_wall=True)

    def follow_wall(self) -> None:
        """Notes that the wall clock was set: the timers that are bound to it are to be moved, by `move_bound`."""
        self._to_follow = self._ledger.wall_bound()

    def move_bound(self, now_ns: int, most: int) -> bool:
        """Logs, for up to `most` timers that are bound to the wall clock, soonest first, that they are due at another
        time on the timeline, if that is off by enough to be told. False once all have been looked at.
        """
        now, looked_at = self._versions.now(now_ns), 0
        for before in islice(self._to_follow, most):
            looked_at += 1
            if is_moved(before, now):
                self._ledger.change(self._versions.moved(before, now), before)
        return looked_at == most

    def _end_due(self, now: Now, most: int, by_wall: bool) -> int:
        """One ends as a request would end it; those on the timeline that come behind it then end in one step, up to the
        next of a plan."""
        now_ms = (now.ns + (now.ahead_ns if by_wall else 0)) // NS_PER_MS

        def fired(timer: Countdown) -> Countdown:
            return self._versions.fired(timer, now)

        readers, done = self._readers, 0
        taken_up = readers.taken_up
        while (left := most - done - (readers.taken_up - taken_up) // TAKEN_UP_A_FIRE) > 0 and (
            timer := self._ledger.end_next(now_ms, fired, by_wall)
        ) is not None:
            done += 1
            if PLAN_MARK in timer.id:
                done += self._plan_goes_on(timer, now.ns)
            elif not by_wall:
                done += self._end_together(now, (left - 1) * TAKEN_UP_A_FIRE // (TAKEN_UP_A_FIRE + readers.count))
        return done

    def _end_together(self, now: Now, most: int) -> int:
        """Ends timers that are due in one step, and returns how many: as `Versions.fired` would one after the other.

        One has ended right before, so what readers have done before is logged already.
        """
        rows = self._ledger.take_due(now.ns // NS_PER_MS, most, PLAN_MARK)
        if rows:
            ledger = self._ledger
            step = Step(FIRED, round_up(now.ns))
            ledger.end_all(Ends(columns_of(rows), step, ledger.last_place + 1, ledger.others))
        return len(rows)
