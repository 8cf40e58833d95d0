"""The methods of plans: each asks the plans of a shard, or of all, and shapes the result."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from timer_protocol import plan_messages as messages
from timer_protocol.durations import MS_PER_HOUR, NS_PER_MS
from timer_protocol.limits import Limits
from timer_protocol.plan_messages import (
    KeyedPlanParams,
    ListPlansParams,
    NextMoment,
    PlanPage,
    PlanParams,
    PlanPreview,
    PreviewPlanParams,
    PutPlanParams,
)
from timer_protocol.queue_messages import Deleted
from timer_server.core.payloads import check_payload
from timer_server.core.plans.plans import Plans
from timer_server.core.plans.registry import page_of_plans
from timer_server.core.plans.rules import Cron, Rule
from timer_server.core.plans.standing import Plan, Settings, encode
from timer_server.core.room import ENTRY_BYTES
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.asking import Asking
from timer_server.requests.gathering import Dialogue
from timer_server.requests.methods import Handler
from timer_server.requests.pages import PagePart, merged
from timer_server.requests.placement import Shards, finder
from timer_server.requests.plan_views import check_plan_id, next_moments, plan_view, rule_of, settings_of
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

_PLAN_WEIGHT = 100
"""Entries that might be looked at for a page in the time that a request about a plan takes."""

_OVERDUE_WEIGHT = 200
"""The same for each timer that has to fire before a plan can be changed: one plan may have a hundred to catch up."""

_MOMENT_WEIGHT = 10
"""The same for a moment of a rule: it may have to be worked out."""

_MS_PER_ENTRY = 48 * MS_PER_HOUR
"""The time between moments of a cron rule that takes as long to look through as one entry: all its days are tried."""


class PlanMethods:
    """The methods about plans, on the shards of a server."""

    def __init__(self, shards: Shards, limits: Limits) -> None:
        self._shards = shards
        self._limits = limits

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each method, by name."""
        return {
            "plan.put": self.put,
            "plan.delete": self.delete,
            "plan.get": self.get,
            "plan.list": self.list_plans,
            "plan.preview": self.preview,
            "plan.pause": self.pause,
            "plan.resume": self.resume,
            "plan.skip": self.skip,
            "plan.run": self.run,
        }

    def put(self, params: PutPlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """Makes a plan or changes it."""
        check_plan_id(params.plan)
        settings = settings_of(params)
        check_payload(settings.payload, self._limits.max_payload_bytes)
        self._shards.of(params.plan).engine.take_room(2 * ENTRY_BYTES + len(encode(settings)))
        plans, now_ns = self._standing(params.plan, now_ns)
        return _view(plans, plans.put(params.plan, settings, is_paused=params.paused, now_ns=now_ns), now_ns, room)

    def delete(self, params: PlanParams, now_ns: int, room: ReplyRoom) -> Deleted:
        """Deletes a plan."""
        plans, now_ns = self._standing(params.plan, now_ns)
        deleted = Deleted(plans.delete(params.plan, now_ns))
        _take_overdue(plans, room)
        return deleted

    def get(self, params: PlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """A plan as it stands."""
        plans, now_ns = self._standing(params.plan, now_ns)
        return _view(plans, plans.look_at(params.plan, now_ns), now_ns, room)

    def list_plans(self, params: ListPlansParams, now_ns: int, room: ReplyRoom) -> PlanPage:
        """A page of plans. Large payloads end it early."""
        return page_of([read_part(self._shards.all(), self._shards.count, params, now_ns, room)], params)

    def preview(self, params: PreviewPlanParams, now_ns: int, room: ReplyRoom) -> PlanPreview:
        """The moments of a rule, from now or from a moment that is given."""
        room.left_entries -= _MOMENT_WEIGHT * params.count
        rule, begin_ms = rule_of(params), params.from_ms
        settings = Settings(0, rule, begin_ms, None, None, "last", 0, "allow", "", b"")
        shard = self._shards.any()
        plans, now_ns = shard.engine.plans, shard.at(now_ns)
        if begin_ms is not None:
            now_ns = min(now_ns, (begin_ms - 1) * NS_PER_MS)
        moments = next_moments(plans.civil, rule, plans.moments(settings, now_ns), params.count)
        _take_moments(rule, moments, room)
        return PlanPreview(moments)

    def pause(self, params: PlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """Lets a plan rest. That ends a timer, so it is possible on a full disk, but for steps."""
        plans, now_ns = self._standing(params.plan, now_ns)
        return _view(plans, plans.pause(params.plan, now_ns), now_ns, room)

    def resume(self, params: PlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """Lets a plan that rests go on."""
        plans, now_ns = self._growing(params.plan, now_ns)
        return _view(plans, plans.resume(params.plan, now_ns), now_ns, room)

    def skip(self, params: KeyedPlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """Leaves out the occurrence that comes next."""
        plans, now_ns = self._growing(params.plan, now_ns)
        return _view(plans, plans.skip(params.plan, params.key, now_ns), now_ns, room)

    def run(self, params: KeyedPlanParams, now_ns: int, room: ReplyRoom) -> messages.Plan:
        """Starts a timer that is due at once."""
        plans, now_ns = self._growing(params.plan, now_ns)
        plan, ran = plans.run(params.plan, params.key, now_ns)
        view = _view(plans, plan, now_ns, room)
        return replace(view, ran=None if ran is None else ran.view(now_ns // NS_PER_MS))

    def _standing(self, plan_id: str, now_ns: int) -> tuple[Plans, int]:
        """The plans of the shard of a plan, and the moment on its timeline. Raises `Refusal` where it is not owned."""
        shard = self._shards.of(plan_id)
        return shard.engine.plans, shard.at(now_ns)

    def _growing(self, plan_id: str, now_ns: int) -> tuple[Plans, int]:
        """The same for what adds to the log. Raises `Refusal` (limit_reached) too."""
        self._shards.of(plan_id).engine.take_room(ENTRY_BYTES)
        return self._standing(plan_id, now_ns)


def read_part(
    shards: Sequence[Shard], count: int, params: ListPlansParams, now_ns: int, room: ReplyRoom
) -> PagePart[str, messages.Plan]:
    """A page of the plans of some shards of a store that has `count`."""
    scan = min(SCAN_MAXIMUM, room.left_entries)
    lines = [shard.engine.plans.by_id(params.after, params.prefix) for shard in shards]
    found, after, looked_at = page_of_plans(lines, params.limit, scan)
    room.take_page(looked_at, 2 * len(found))
    shard_of = finder(shards, count)
    keys: list[str] = []
    shown: list[messages.Plan] = []
    page_bytes = min(PAGE_BYTES, room.left_bytes)
    for plan in found:
        if shown and page_bytes < 0:
            return PagePart(keys, shown, keys[-1])
        page_bytes -= _take_bytes(plan, room)
        shard = shard_of(plan.id)
        keys.append(plan.id)
        shown.append(plan_view(shard.engine.plans, plan, shard.at(now_ns) // NS_PER_MS, None))
    return PagePart(keys, shown, after)


def page_of(parts: Sequence[PagePart[str, messages.Plan]], params: ListPlansParams) -> PlanPage:
    """The page that its parts come to."""
    page = merged(parts, params.limit)
    return PlanPage(page.items, page.next)


def list_over_servers(params: ListPlansParams, asking: Asking) -> Dialogue:
    """The page of all servers. Raises `Refusal`."""
    return page_of(asking.values((yield asking.same("shards.plans", params))), params)


def _view(plans: Plans, plan: Plan, now_ns: int, room: ReplyRoom) -> messages.Plan:
    """A plan at a moment on the timeline of its shard."""
    room.left_entries -= _PLAN_WEIGHT
    _take_overdue(plans, room)
    _take_bytes(plan, room)
    view = plan_view(plans, plan, now_ns // NS_PER_MS, plans.coming(plan, now_ns))
    if view.next is not UNSET:
        _take_moments(plan.settings.rule, view.next, room)
    return view


def _take_overdue(plans: Plans, room: ReplyRoom) -> None:
    room.left_entries -= _OVERDUE_WEIGHT * plans.take_overdue()


def _take_bytes(plan: Plan, room: ReplyRoom) -> int:
    """Counts a plan, whose steps may have long labels, and the payload of its timer; returns what they come to."""
    size = len(plan.record) + len(plan.settings.payload)
    room.left_bytes -= size
    return size


def _take_moments(rule: Rule, moments: Sequence[NextMoment], room: ReplyRoom) -> None:
    """Counts the way from the first moment to the last, which a cron rule goes day by day."""
    if moments and isinstance(rule, Cron):
        room.left_entries -= (moments[-1].at_ms - moments[0].at_ms) // _MS_PER_ENTRY
