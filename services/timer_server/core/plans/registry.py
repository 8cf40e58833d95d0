"""The plans of a log by their ids, as its entries tell them."""

from collections.abc import Iterator, Sequence

from timer_server.core.entries import PlanEntry, PlanPart
from timer_server.core.id_index import IdIndex, in_order
from timer_server.core.places import Places
from timer_server.core.plans.rules import Position
from timer_server.core.plans.standing import Plan, Standing, State, decode_standing

_NOWHERE = Standing(State.PAUSED, Position(0))
"""Of a plan that has yet to begin."""


class Registry:
    """All plans of a log. For each that waits for no timer a place is kept among those of pending ones."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._plans: dict[str, Plan] = {}
        self._ids = IdIndex()
        self.paused = 0
        """How many plans are paused."""

    def __len__(self) -> int:
        return len(self._plans)

    def __iter__(self) -> Iterator[Plan]:
        return iter(self._plans.values())

    def get(self, plan_id: str) -> Plan | None:
        """The plan with this id."""
        return self._plans.get(plan_id)

    def add(self, plan_id: str) -> Plan:
        """A new plan that has yet to begin. There may be none with this id."""
        plan = self._plans[plan_id] = Plan(plan_id, b"", 0, _NOWHERE)
        self._ids.add(plan_id)
        self._keep(plan_id, 1)
        self.paused += 1
        return plan

    def remove(self, plan: Plan) -> None:
        """Takes out a plan."""
        del self._plans[plan.id]
        self._ids.forget(plan.id)
        self.paused -= plan.standing.is_paused
        if plan.standing.pending_ms is None:
            self._keep(plan.id, -1)

    def set_standing(self, plan: Plan, standing: Standing) -> None:
        """Notes how far a plan has come."""
        self._keep(plan.id, (standing.pending_ms is None) - (plan.standing.pending_ms is None))
        self.paused += standing.is_paused - plan.standing.is_paused
        plan.standing = standing

    def kept_count(self) -> int:
        """How many plans wait for no timer."""
        return sum(plan.standing.pending_ms is None for plan in self)

    def kept_below(self, prefix: str) -> int:
        """How many plans whose id begins so wait for no timer."""
        below = filter(None, map(self._plans.get, self._ids.below(prefix)))
        return sum(plan.standing.pending_ms is None for plan in below)

    def by_id(self, after: str | None, prefix: str) -> Iterator[tuple[str, Plan | None]]:
        """The ids that sort after `after` and begin with `prefix`, each with its plan, or None if that is gone."""
        return ((plan_id, self._plans.get(plan_id)) for plan_id in self._ids.after(after, prefix))

    # The log

    def restore(self, entry: PlanEntry) -> None:
        """Takes up an entry of the log, in order. Nothing follows from the time that has passed.

        Either of the two that a plan needs may be the first of it that is still there.
        """
        if entry.part is PlanPart.GONE:
            self._plans.pop(entry.plan, None)
            return
        plan = self._plans.get(entry.plan)
        if plan is None:
            plan = self._plans[entry.plan] = Plan(entry.plan, b"", 0, _NOWHERE)
        if entry.part is PlanPart.SETTINGS:
            plan.record, plan.settings_place = entry.body, entry.place
        else:
            plan.standing, plan.standing_place = decode_standing(entry.body), entry.place

    def restored(self) -> None:
        """Notes that the log has been read to its end."""
        self._ids.load(self._plans)
        self.paused = sum(plan.standing.is_paused for plan in self)

    def needs(self, entry: PlanEntry) -> bool:
        """Whether an entry is the latest of its part. Asked when retention passes it."""
        plan = self._plans.get(entry.plan)
        return plan is not None and entry.place in (plan.settings_place, plan.standing_place)

    def _keep(self, plan_id: str, by: int) -> None:
        """Counts the places that are kept: one more, one less or, by 0, as many."""
        self._places.kept += by
        if by and self._places.shares is not None:
            self._places.shares.count(plan_id, by)


def page_of_plans(
    lines: Sequence[Iterator[tuple[str, Plan | None]]], limit: int, scan: int
) -> tuple[list[Plan], str | None, int]:
    """A page of the plans of some logs, each of which gives its own `by_id`. It is found among the next `scan` ids.

    Returns the plans, the id to go on after, and how many ids were looked at.
    """
    found: list[Plan] = []
    looked_at, last = 0, None
    for plan_id, plan in in_order(lines):
        if len(found) == limit or looked_at == scan:
            return found, last, looked_at
        looked_at, last = looked_at + 1, plan_id
        if plan is not None:
            found.append(plan)
    return found, None, looked_at
