"""The chain of a plan: each occurrence is started when the one before first ends, in the same commit.

A pending timer that is paused, extended or restarted ends at another moment than planned. Then the plan starts the next
one at that moment beside it, or waits for its end and skips what passes meanwhile, or, with steps, waits.
"""

from collections.abc import Callable

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.plan_messages import SkipReason
from timer_server.core.effects import round_up
from timer_server.core.entries import PlanPart
from timer_server.core.model import Countdown
from timer_server.core.plans.agenda import Agenda
from timer_server.core.plans.missed import Walk
from timer_server.core.plans.registry import Registry
from timer_server.core.plans.rules import Amounts, CivilTime, Cron, Every, Position, Steps, beginning_at
from timer_server.core.plans.standing import Plan, Row, Settings, Standing, State, encode
from timer_server.core.plans.timers import PLAN_MARK, Occurrence, PlanTimers

OCCURRENCE_COST = 3
"""The budget that an occurrence takes beside its end: it is looked for and started, and two entries are written."""

LOOK_COST = 4
"""What one look at a passed moment takes of a budget: a cron rule is worked out for it."""

_AT_ONCE = 128
"""Passed moments that are looked at where an occurrence ends; more of them are left for a step."""

_NEIGHBOURS = 16
"""Moments that are tried one after the other for an id that is free, before larger steps are taken."""

_NO_TIME = Amounts(0, 0, 0)


class Chain:
    """Has plans go on. All that it does is logged, and known again after a restart."""

    def __init__(self, registry: Registry, timers: PlanTimers, civil: CivilTime) -> None:
        self._registry = registry
        self._timers = timers
        self._civil = civil
        self.agenda = Agenda()

    def clock_ns(self, settings: Settings, now_ns: int) -> int:
        """This moment by the clock of a plan."""
        return now_ns + (self._timers.wall_ahead_ns() if settings.is_by_wall else 0)

    def now_ms(self, settings: Settings, now_ns: int) -> int:
        """The same in milliseconds, rounded down: which moments have passed."""
        return self.clock_ns(settings, now_ns) // NS_PER_MS

    def pending_id(self, plan: Plan) -> str | None:
        """The id of the timer that a plan waits for."""
        moment_ms = plan.standing.pending_ms
        return None if moment_ms is None else self.occurrence_id(plan, moment_ms)

    def occurrence_id(self, plan: Plan, moment_ms: int) -> str:
        """The id of the timer of a moment."""
        return f"{plan.id}{PLAN_MARK}{self._civil.stamp(moment_ms)}"

    # What happens to timers

    def has_ended(self, plan: Plan, timer: Countdown, now_ns: int) -> int:
        """Goes on after the end of the timer that a plan waits for. Returns what it takes of a budget."""
        settings, standing = plan.settings, plan.standing
        is_fired = timer.state == "fired"
        counted = replace(
            standing,
            fired=standing.fired + is_fired,
            cancelled=standing.cancelled + (not is_fired),
            pending_ms=None,
        )
        begin_ms = timer.due_at_ms if is_fired else timer.at_ms
        if settings.has_steps and begin_ms is not None:
            counted = replace(counted, at=beginning_at(counted.at, begin_ms))
        if standing.state is State.PAUSED:
            self.stand(plan, counted, now_ns)
            return OCCURRENCE_COST
        return OCCURRENCE_COST + self.go_on(plan, settings, counted, now_ns)

    def is_moved(self, plan: Plan, now_ns: int) -> int:
        """Notes that the timer of a plan was paused, extended or restarted. Returns what it takes of a budget."""
        settings, standing = plan.settings, plan.standing
        if standing.is_displaced or settings.has_steps:
            return 0
        self.stand(plan, replace(standing, is_displaced=True), now_ns)
        if settings.overlap == "allow":
            self.agenda.watch(standing.at.moment_ms, plan.id, by_wall=settings.is_by_wall)
        return 1

    def overtake(self, plan: Plan, now_ns: int) -> int:
        """Starts the next occurrence beside the pending one, if that was moved and its moment has passed.

        Where there is no place for one more timer, the plan waits for one. Returns what it takes of a budget.
        """
        if not self.is_to_overtake(plan, now_ns):
            return 0
        if not self._timers.has_place():
            self.agenda.wanting[plan.id] = None
            return 1
        return OCCURRENCE_COST + self.go_on(plan, plan.settings, _overtaken(plan.standing), now_ns)

    def is_to_overtake(self, plan: Plan, now_ns: int) -> bool:
        """Whether there is a next occurrence to start though the pending one, which was moved, has not ended."""
        standing = plan.standing
        if not standing.is_displaced or standing.pending_ms is None or standing.state is not State.ACTIVE:
            return False
        settings = plan.settings
        if settings.overlap != "allow" or standing.at.moment_ms > self.now_ms(settings, now_ns):
            return False
        return self.following(settings, _overtaken(standing)) is not None

    # From one occurrence to the next

    def go_on(self, plan: Plan, settings: Settings, standing: Standing, now_ns: int) -> int:
        """Starts the occurrence that follows `standing.at`, or finds that there is none.

        Where the disk is nearly full the plan stays behind. Returns what looks at passed moments take of a budget.
        """
        following, now_ms = self.following(settings, standing), self.now_ms(settings, now_ns)
        if following is None:
            self._finish(plan, standing, now_ns)
        elif not self._timers.may_grow():
            self._fall_behind(plan, standing, None, now_ns)
        elif following.moment_ms > now_ms or _is_kept(settings, standing, following):
            self.start(plan, settings, standing, following, now_ns)
        else:
            walk = Walk(settings, settings.moments(self._civil), following, now_ms, _reason(settings, standing))
            return self._walk(plan, settings, standing, walk, now_ns, _AT_ONCE)
        return 0

    def following(self, settings: Settings, standing: Standing) -> Position | None:
        """The position that follows; None at the end."""
        if is_counted_out(settings, standing):
            return None
        try:
            return settings.moments(self._civil).after(standing.at)
        except Refusal:  # a zone that this release of the time zones does not have
            return None

    def catch_up(self, plan: Plan, now_ns: int, most: int) -> int:
        """Goes on with a plan that is behind, by a look at up to `most` moments. Returns what it takes of a budget."""
        settings, standing, walk = plan.settings, plan.standing, self.agenda.behind.pop(plan.id)
        if walk is None:
            return OCCURRENCE_COST + self.go_on(plan, settings, standing, now_ns)
        return OCCURRENCE_COST + self._walk(plan, settings, standing, walk, now_ns, most)

    def _walk(self, plan: Plan, settings: Settings, standing: Standing, walk: Walk, now_ns: int, most: int) -> int:
        """Looks at moments that have passed. Once all have been seen, it starts the next occurrence."""
        now_ms = self.now_ms(settings, now_ns)
        cost = LOOK_COST * walk.go_on(now_ms, most)
        if not (walk.is_over(now_ms) and self._timers.may_grow()):
            self._fall_behind(plan, standing, walk, now_ns)
            return cost
        passed = walk.outcome(settings, now_ms)
        standing, row = replace(standing, is_displaced=False), passed.row
        if row is not None:
            is_missed = row.reason == "missed"
            standing = replace(
                standing,
                missed=standing.missed + row.count * is_missed,
                skipped=standing.skipped + row.count * (not is_missed),
            )
        if passed.caught_up:
            standing = replace(standing, kept_until_ms=passed.caught_up[-1].moment_ms)
        if passed.next is None:
            self._finish(plan, standing, now_ns, row)
        else:
            self.start(plan, settings, standing, passed.next, now_ns, row)
        return cost

    def start(
        self,
        plan: Plan,
        settings: Settings,
        standing: Standing,
        position: Position,
        now_ns: int,
        row: Row | None = None,
    ) -> None:
        """Starts the occurrence of a position. Where another timer is pending under its id, it gets the next one."""
        moment_ms, timer_id = self._free_id(plan, position.moment_ms, self._timers.is_pending)
        self.stand(
            plan,
            replace(standing, at=position, pending_ms=moment_ms, is_displaced=False),
            now_ns,
            row,
        )
        self._timers.begin(self._occurrence(timer_id, settings, position), now_ns)

    def run(self, plan: Plan, now_ns: int) -> Countdown:
        """Starts a timer that is due at once and that the plan does not wait for."""
        settings = plan.settings
        _, timer_id = self._free_id(plan, self.now_ms(settings, now_ns), self._timers.is_known)
        occurrence = Occurrence(timer_id, round_up(now_ns), _NO_TIME, settings.label, settings.payload)
        return self._timers.begin(occurrence, now_ns)

    def adjust(self, plan: Plan, settings: Settings, now_ns: int) -> None:
        """Has a plan that waits for a timer go on by settings with the same moments.

        Where the timer is to be another, it is started anew for its moment; but one that was paused, extended or
        restarted stays as it is. Where `count` leaves nothing, the plan has finished.
        """
        standing, timer_id = plan.standing, self.pending_id(plan)
        assert timer_id is not None
        if is_counted_out(settings, standing) or not settings.moments(self._civil).hold(standing.at):
            self.take_back(plan, now_ns)
            self._finish(plan, replace(standing, pending_ms=None), now_ns)
        elif standing.is_displaced:
            if settings.overlap == "allow":
                self.agenda.watch(standing.at.moment_ms, plan.id, by_wall=settings.is_by_wall)
        elif _is_other(self._timers.pending(timer_id), self._occurrence(timer_id, settings, standing.at)):
            self.take_back(plan, now_ns)
            self.start(plan, settings, standing, standing.at, now_ns)

    def take_back(self, plan: Plan, now_ns: int) -> None:
        """Cancels the timer that a plan waits for. What becomes of the plan has to be logged by the caller."""
        timer_id = self.pending_id(plan)
        self.agenda.behind.pop(plan.id, None)
        if timer_id is not None:
            self._registry.set_standing(plan, replace(plan.standing, pending_ms=None, is_displaced=False))
            self._timers.cancel(timer_id, now_ns)

    def stand(self, plan: Plan, standing: Standing, now_ns: int, row: Row | None = None) -> None:
        """Logs how far a plan has come. `row` are moments that were skipped just now."""
        if row is not None:
            standing = replace(standing, row=row)
        part = PlanPart.STANDING if row is None else PlanPart.SKIPPED
        self._registry.set_standing(plan, standing)
        before = plan.standing_place
        plan.standing_place = self._timers.log_plan(plan.id, part, encode(standing), (before,), now_ns)

    def _free_id(self, plan: Plan, moment_ms: int, is_taken: Callable[[str], bool]) -> tuple[int, str]:
        """A moment from this one on, and the id of its timer, which no other has.

        It is among the next ones, or else behind a row of those that are taken. The end of that is searched for in
        steps that double and then halve: a million runs within a second do not make the next one slow.
        """
        for free_ms in range(moment_ms, moment_ms + _NEIGHBOURS):
            if not is_taken(timer_id := self.occurrence_id(plan, free_ms)):
                return free_ms, timer_id
        taken_ms, step_ms = moment_ms + _NEIGHBOURS - 1, 1
        while is_taken(self.occurrence_id(plan, taken_ms + step_ms)):
            taken_ms, step_ms = taken_ms + step_ms, 2 * step_ms
        free_ms = taken_ms + step_ms
        while free_ms - taken_ms > 1:
            middle_ms = (taken_ms + free_ms) // 2
            if is_taken(self.occurrence_id(plan, middle_ms)):
                taken_ms = middle_ms
            else:
                free_ms = middle_ms
        return free_ms, self.occurrence_id(plan, free_ms)

    def _finish(self, plan: Plan, standing: Standing, now_ns: int, row: Row | None = None) -> None:
        self.stand(plan, replace(standing, state=State.FINISHED, is_displaced=False), now_ns, row)

    def _fall_behind(self, plan: Plan, standing: Standing, walk: Walk | None, now_ns: int) -> None:
        self.agenda.behind[plan.id] = walk
        if standing != plan.standing:
            self.stand(plan, standing, now_ns)

    def _occurrence(self, timer_id: str, settings: Settings, position: Position) -> Occurrence:
        rule = settings.rule
        due_ms, label, payload = position.moment_ms, settings.label, settings.payload
        match rule:
            case Every():
                return Occurrence(timer_id, due_ms, rule.interval, label, payload)
            case Cron():
                at = self._civil.local(rule.zone, due_ms)
                return Occurrence(timer_id, due_ms, _NO_TIME, label, payload, at, rule.zone)
            case Steps():
                step = rule.steps[position.step]
                return Occurrence(timer_id, due_ms, step.amounts, step.label or label, payload)


def _reason(settings: Settings, standing: Standing) -> SkipReason:
    """Why moments have passed without an occurrence."""
    return "overlap" if standing.is_displaced and settings.skips_overlap else "missed"


def is_counted_out(settings: Settings, standing: Standing) -> bool:
    """Whether as many occurrences as are wanted have fired, or were overtaken."""
    return (
        settings.count is not None and not settings.has_steps and standing.fired + standing.overtaken >= settings.count
    )


def _overtaken(standing: Standing) -> Standing:
    """How a plan stands that waits no longer for its pending timer."""
    return replace(standing, pending_ms=None, is_displaced=False, overtaken=standing.overtaken + 1)


def _is_other(timer: Countdown, wanted: Occurrence) -> bool:
    """Whether a timer that runs to its moment is not as it is wanted."""
    if timer.due_at_ms is None or (timer.wall is None and timer.due_at_ms != wanted.due_ms):
        return False
    amounts = Amounts(timer.hours, timer.minutes, timer.seconds)
    return (amounts, timer.label, timer.payload) != (wanted.amounts, wanted.label, wanted.payload)


def _is_kept(settings: Settings, standing: Standing, position: Position) -> bool:
    """Whether a moment that has passed is one of those that are caught up."""
    return position.moment_ms <= standing.kept_until_ms and _reason(settings, standing) == "missed"
