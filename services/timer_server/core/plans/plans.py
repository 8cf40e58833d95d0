"""The plans of a log: what requests, the ends of timers and time do to them.

A plan starts ordinary timers, one ahead. It is told of each end of a timer of its own, and goes on in the same commit.
Pure: it is told the time. What it does is logged at once.
"""

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.core.effects import round_up
from timer_server.core.entries import PlanPart
from timer_server.core.keys import digest_of, knows, remembering
from timer_server.core.model import Countdown
from timer_server.core.plans.chain import LOOK_COST, OCCURRENCE_COST, Chain
from timer_server.core.plans.registry import Registry
from timer_server.core.plans.rules import CivilTime, Position, beginning_at, have_same_moments
from timer_server.core.plans.standing import Plan, Row, Settings, Standing, State, encode
from timer_server.core.plans.timers import PLAN_MARK, PlanTimers

_LOOKED_AT_MOST = 2
"""Overdue timers that fire where somebody only looks at a plan: the one that was waited for, and the last missed one.
Others, which it catches up, fire in their turn."""


class Plans:
    """All plans of a log. Moments are nanoseconds on the timeline, in order."""

    def __init__(self, registry: Registry, timers: PlanTimers, civil: CivilTime) -> None:
        self.civil = civil
        self._registry = registry
        self._timers = timers
        self._chain = Chain(registry, timers, civil)
        self._agenda = self._chain.agenda
        self._overdue = 0

    def __len__(self) -> int:
        return len(self._registry)

    @property
    def paused(self) -> int:
        """How many are paused."""
        return self._registry.paused

    def restored(self) -> None:
        """Notes that the log has been read to its end."""
        watched: list[tuple[int, str]] = []
        watched_by_wall: list[tuple[int, str]] = []
        for plan in self._registry:
            standing = plan.standing
            if standing.is_behind:
                self._agenda.behind[plan.id] = None
            if standing.waiting:
                self._agenda.wanting[plan.id] = None
            if standing.is_displaced and standing.pending_ms is not None and plan.settings.overlap == "allow":
                found = watched_by_wall if plan.settings.is_by_wall else watched
                found.append((standing.at.moment_ms, plan.id))
        self._agenda.load(watched, watched_by_wall)

    # What happens to timers

    def is_changed(self, timer: Countdown, now_ns: int) -> int:
        """Takes up a change of a timer with an id as plans give them. Returns what it takes of a budget.

        Only the first end of the timer that a plan waits for makes it go on.
        """
        plan = self._registry.get(timer.id.partition(PLAN_MARK)[0])
        if plan is None or timer.id != self._chain.pending_id(plan):
            return 0
        return self._chain.has_ended(plan, timer, now_ns) if timer.has_ended else self._chain.is_moved(plan, now_ns)

    # Requests

    def look_at(self, plan_id: str, now_ns: int) -> Plan:
        """A plan as it is now, or as far as it has caught up by now. Raises `Refusal` (plan_not_found)."""
        plan = self._known(plan_id)
        for _ in range(_LOOKED_AT_MOST):
            if not self._is_overdue(plan, now_ns):
                break
        return plan

    def find(self, plan_id: str, now_ns: int) -> Plan:
        """A plan as it is now: all that is overdue fires. Raises `Refusal` (plan_not_found)."""
        plan = self._known(plan_id)
        while self._is_overdue(plan, now_ns):
            self._overdue += 1
        return plan

    def take_overdue(self) -> int:
        """How many overdue timers `find` has had fire since the last call: up to 101 for one plan."""
        overdue, self._overdue = self._overdue, 0
        return overdue

    def by_id(self, after: str | None, prefix: str) -> Iterator[tuple[str, Plan | None]]:
        """The plans in the order of their ids, as `Registry.by_id` gives them. There what is overdue has not fired."""
        return self._registry.by_id(after, prefix)

    def pending(self, plan: Plan) -> Countdown | None:
        """The timer that a plan waits for."""
        timer_id = self._chain.pending_id(plan)
        return None if timer_id is None else self._timers.pending(timer_id)

    def coming(self, plan: Plan, now_ns: int) -> Iterator[int]:
        """The moments to come of a plan, as it stands: none while it is paused."""
        settings, standing = plan.settings, plan.standing
        if standing.state is not State.ACTIVE:
            return iter(())
        pending, at = self.pending(plan), standing.at
        if settings.has_steps and pending is not None:
            to_go_ms = now_ns // NS_PER_MS + pending.remaining_ms
            at = beginning_at(at, to_go_ms if pending.due_at_ms is None else pending.due_at_ms)
        is_listed, most = pending is not None and not standing.is_displaced, None
        if settings.count is not None and not settings.has_steps:
            beside = pending is not None and not is_listed
            most = max(settings.count - standing.fired - standing.overtaken - beside, 0)
        return islice(self._from(settings, at, is_first=is_listed), most)

    def first(self, settings: Settings, now_ns: int) -> Position:
        """The first moment of a rule that begins now. Raises `Refusal` (invalid_params) where there is none."""
        moments = settings.moments(self.civil)
        first = moments.after(moments.origin(self._chain.clock_ns(settings, now_ns)))
        if first is None:
            raise _never_comes()
        return first

    def moments(self, settings: Settings, now_ns: int) -> Iterator[int]:
        """All moments of a rule that begins now. Raises `Refusal` (invalid_params) where there is none."""
        return self._from(settings, self.first(settings, now_ns), is_first=True)

    def put(self, plan_id: str, settings: Settings, *, is_paused: bool | None, now_ns: int) -> Plan:
        """Makes a plan, or changes one. With other moments it begins anew; otherwise it goes on from where it is.

        The version in `settings` does not count. Raises `Refusal` (invalid_params, limit_reached).
        """
        if self._registry.get(plan_id) is None:
            self.first(settings, now_ns)
            self._timers.check_place(plan_id)
            plan = self._registry.add(plan_id)
            self._begin(plan, replace(settings, version=1), is_paused=bool(is_paused), now_ns=now_ns)
            return plan
        plan = self.find(plan_id, now_ns)
        before = plan.settings
        is_same = settings == replace(before, version=settings.version)
        settings = replace(settings, version=before.version + 1)
        if settings.from_ms == before.from_ms and have_same_moments(settings.rule, before.rule):
            if settings.until_ms != before.until_ms:
                self._check_end(plan, settings, now_ns)
            if is_paused:
                self._pause(plan, now_ns)
            if not is_same:
                self._adjust(plan, settings, is_paused=bool(is_paused), now_ns=now_ns)
            if is_paused is False:
                self._resume(plan, now_ns)
            return plan
        self.first(settings, now_ns)
        is_paused = plan.standing.state is State.PAUSED if is_paused is None else is_paused
        self._chain.take_back(plan, now_ns)
        self._begin(plan, settings, is_paused=is_paused, now_ns=now_ns)
        return plan

    def delete(self, plan_id: str, now_ns: int) -> bool:
        """Deletes a plan and cancels the timer that it waits for. Returns whether there was one."""
        if self._registry.get(plan_id) is None:
            return False
        plan = self.find(plan_id, now_ns)
        self._chain.take_back(plan, now_ns)
        self._registry.remove(plan)
        self._agenda.wanting.pop(plan_id, None)
        self._timers.log_plan(plan_id, PlanPart.GONE, b"", (plan.settings_place, plan.standing_place), now_ns)
        return True

    def pause(self, plan_id: str, now_ns: int) -> Plan:
        """Lets a plan rest."""
        plan = self.find(plan_id, now_ns)
        self._pause(plan, now_ns)
        return plan

    def resume(self, plan_id: str, now_ns: int) -> Plan:
        """Lets a plan that rests go on: with the next moment after now, or with its step."""
        plan = self.find(plan_id, now_ns)
        self._resume(plan, now_ns)
        return plan

    def skip(self, plan_id: str, key: str | None, now_ns: int) -> Plan:
        """Cancels the pending timer of a plan and starts the next. Raises `Refusal` (wrong_state)."""
        plan = self.find(plan_id, now_ns)
        settings, standing = plan.settings, plan.standing
        if key is not None and knows(standing.keys, digest_of(key)):
            return plan
        if standing.state is not State.ACTIVE or standing.pending_ms is None:
            state = standing.state.name.lower()
            what = f"{state} and waits for no timer: there is nothing to skip"
            if standing.state is State.PAUSED:
                what = "paused: resume it first, and skip then"
            raise Refusal(ErrorCode.WRONG_STATE, f"plan {plan_id!r} is {what}", plan=plan_id, state=state)
        at = standing.at
        row = Row(at.moment_ms, at.moment_ms, 1, "skip")
        self._chain.take_back(plan, now_ns)
        left = replace(standing, pending_ms=None, skipped=standing.skipped + 1, keys=_with(standing.keys, key))
        if settings.has_steps:
            left = replace(left, at=beginning_at(at, -(-now_ns // NS_PER_MS)))
        self._chain.stand(plan, left, now_ns, row)
        self._chain.go_on(plan, settings, plan.standing, now_ns)
        return plan

    def run(self, plan_id: str, key: str | None, now_ns: int) -> tuple[Plan, Countdown | None]:
        """Starts a timer that is due at once. Where there is no place for it, it waits for one.

        Raises `Refusal` (limit_reached) where the share of a prefix is used up.
        """
        plan = self.find(plan_id, now_ns)
        standing = plan.standing
        if key is not None and knows(standing.keys, digest_of(key)):
            return plan, None
        has_place = self._timers.has_place()
        if has_place:
            self._timers.check_place(plan_id)
        else:
            self._agenda.wanting[plan_id] = None
        if key is not None or not has_place:
            waiting = standing.waiting + (not has_place)
            self._chain.stand(plan, replace(standing, waiting=waiting, keys=_with(standing.keys, key)), now_ns)
        return plan, self._chain.run(plan, now_ns) if has_place else None

    # Time

    def next_due_ns(self) -> int | None:
        """When there is something to do: 0 is now. It may be earlier than that."""
        agenda = self._agenda
        if agenda.is_empty:
            return None
        if (agenda.behind and self._timers.may_grow()) or (agenda.wanting and self._timers.has_place()):
            return 0
        due_ms, by_wall_ms = agenda.next_watched_ms(by_wall=False), agenda.next_watched_ms(by_wall=True)
        moments = [] if due_ms is None else [due_ms * NS_PER_MS]
        if by_wall_ms is not None:
            moments.append(by_wall_ms * NS_PER_MS - self._timers.wall_ahead_ns())
        return min(moments, default=None)

    def step(self, now_ns: int, budget: int) -> None:
        """Does what is due within a budget: the number of timers that could be fired instead."""
        for by_wall in (False, True):
            now_ms = (now_ns + (self._timers.wall_ahead_ns() if by_wall else 0)) // NS_PER_MS
            while budget > 0 and (watched := self._agenda.pop_watched(now_ms, by_wall=by_wall)) is not None:
                plan = self._registry.get(watched[1])
                budget -= 1 if plan is None else self._chain.overtake(plan, now_ns) + 1
        while budget > 0 and self._agenda.wanting and self._timers.has_place():
            plan_id = next(iter(self._agenda.wanting))
            del self._agenda.wanting[plan_id]
            budget -= self._go_on_wanting(plan_id, now_ns)
        while budget > 0 and self._agenda.behind and self._timers.may_grow():
            plan = self._known(next(iter(self._agenda.behind)))
            budget -= self._chain.catch_up(plan, now_ns, max(budget // LOOK_COST, 1))

    # Parts

    def _known(self, plan_id: str) -> Plan:
        plan = self._registry.get(plan_id)
        if plan is None:
            raise Refusal(ErrorCode.PLAN_NOT_FOUND, f"plan {plan_id!r} is not there", plan=plan_id)
        return plan

    def _is_overdue(self, plan: Plan, now_ns: int) -> bool:
        """Whether something was due by now. It is done then."""
        if self._chain.is_to_overtake(plan, now_ns) and self._timers.has_place():
            self._chain.overtake(plan, now_ns)
            return True
        timer_id = self._chain.pending_id(plan)
        return timer_id is not None and self._timers.current(timer_id, now_ns).has_ended

    def _begin(self, plan: Plan, settings: Settings, *, is_paused: bool, now_ns: int) -> None:
        """Has a plan begin by its settings, which are logged."""
        self._set(plan, settings, now_ns)
        before = plan.standing
        origin = settings.moments(self.civil).origin(self._chain.clock_ns(settings, now_ns))
        begun = Standing(State.PAUSED, origin, waiting=before.waiting, keys=before.keys)
        if is_paused:
            self._chain.stand(plan, begun, now_ns)
        else:
            self._chain.go_on(plan, settings, replace(begun, state=State.ACTIVE), now_ns)

    def _adjust(self, plan: Plan, settings: Settings, *, is_paused: bool, now_ns: int) -> None:
        """Has a plan go on by settings with the same moments. One that had finished goes on if they leave it any."""
        self._set(plan, settings, now_ns)
        standing = plan.standing
        if standing.pending_ms is not None:
            self._chain.adjust(plan, settings, now_ns)
        elif standing.is_behind:
            self._agenda.behind[plan.id] = None
        elif standing.state is State.FINISHED and self._chain.following(
            settings, replace(standing, at=self._resumed_at(settings, standing, now_ns))
        ):
            self._chain.stand(plan, replace(standing, state=State.PAUSED), now_ns)
            if not is_paused:
                self._resume(plan, now_ns)

    def _check_end(self, plan: Plan, settings: Settings, now_ns: int) -> None:
        """Raises `Refusal` (invalid_params) where a plan has no moment to come by another `until_ms`."""
        standing, moments = plan.standing, replace(settings, count=None).moments(self.civil)
        if standing.pending_ms is None:
            is_left = moments.after(self._resumed_at(settings, standing, now_ns)) is not None
        else:
            is_left = moments.hold(standing.at)
        if not is_left:
            raise _never_comes()

    def _set(self, plan: Plan, settings: Settings, now_ns: int) -> None:
        """Logs what was asked for."""
        plan.record = encode(settings)
        places = (plan.settings_place,)
        plan.settings_place = self._timers.log_plan(plan.id, PlanPart.SETTINGS, plan.record, places, now_ns)

    def _pause(self, plan: Plan, now_ns: int) -> None:
        standing = plan.standing
        if standing.state is not State.ACTIVE:
            return
        self._agenda.behind.pop(plan.id, None)
        if plan.settings.has_steps:
            self._set_paused(plan, is_paused=True, now_ns=now_ns)
        else:
            self._chain.take_back(plan, now_ns)
            standing = replace(standing, pending_ms=None, is_displaced=False)
        self._chain.stand(plan, replace(standing, state=State.PAUSED), now_ns)

    def _resume(self, plan: Plan, now_ns: int) -> None:
        settings, standing = plan.settings, plan.standing
        if standing.state is not State.PAUSED:
            return
        active = replace(standing, state=State.ACTIVE)
        if standing.pending_ms is not None:
            self._set_paused(plan, is_paused=False, now_ns=now_ns)
            self._chain.stand(plan, active, now_ns)
            return
        at = self._resumed_at(settings, standing, now_ns)
        self._chain.go_on(plan, settings, replace(active, at=at), now_ns)

    def _resumed_at(self, settings: Settings, standing: Standing, now_ns: int) -> Position:
        """Where a plan that rests goes on from if it is resumed now: what has passed meanwhile is not missed."""
        if settings.has_steps:
            return beginning_at(standing.at, max(round_up(now_ns), settings.from_ms or 0))
        return settings.moments(self.civil).origin(self._chain.clock_ns(settings, now_ns), standing.at.moment_ms)

    def _set_paused(self, plan: Plan, *, is_paused: bool, now_ns: int) -> None:
        timer_id = self._chain.pending_id(plan)
        if timer_id is not None:
            self._timers.set_paused(timer_id, is_paused=is_paused, now_ns=now_ns)

    def _go_on_wanting(self, plan_id: str, now_ns: int) -> int:
        """Starts what has waited for a place, one timer. Returns what it takes of a budget."""
        plan = self._known(plan_id)
        standing = plan.standing
        if standing.waiting:
            self._chain.stand(plan, replace(standing, waiting=standing.waiting - 1), now_ns)
            self._chain.run(plan, now_ns)
            cost = OCCURRENCE_COST
        else:
            cost = self._chain.overtake(plan, now_ns) + 1
        if plan.standing.waiting or self._chain.is_to_overtake(plan, now_ns):
            self._agenda.wanting[plan.id] = None
        return cost

    def _from(self, settings: Settings, at: Position, *, is_first: bool) -> Iterator[int]:
        """Moments from a position on, with its own if it `is_first`."""
        moments = settings.moments(self.civil)
        following = at if is_first else moments.after(at)
        while following is not None:
            yield following.moment_ms
            following = moments.after(following)


def _never_comes() -> Refusal:
    what = "the rule never comes: it has no moment from now on that is within from_ms and until_ms"
    return Refusal(ErrorCode.INVALID_PARAMS, what)


def _with(keys: bytes, key: str | None) -> bytes:
    return keys if key is None else remembering(keys, digest_of(key))
