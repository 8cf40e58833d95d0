"""Plans in games of any length, against plans told in the plainest way.

After each move both must have started the same timers, count the same, and have told of the same skipped moments: over
days of downtime, both days on which clocks are set, a wall clock that steps, and crashes that lose what was not stored.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from civil_time.brute_force import Walk
from core.naive_plans import NaivePlans
from drivers.builders import NS_PER_MS, Bench, entries_in
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, ResumeParams
from timer_server.core.effects import WallClock
from timer_server.core.entries import PlanEntry, PlanPart
from timer_server.core.model import Countdown, Recall
from timer_server.core.plans.rules import Amounts, Cron, Every, Rule, Step, Steps
from timer_server.core.plans.standing import Plan, Settings, decode_standing

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
RETENTION_S = 3 * 86_400
BEGIN_MS = int(datetime(2026, 10, 23, 22, tzinfo=UTC).timestamp() * 1000)
"""Two days before clocks are set back in Europe; a game lasts a month at most."""

ZONES = {"30 2 * * *": "Europe/Rome", "0 */6 * * *": "America/New_York", "0 9 * * 1-5": "Australia/Lord_Howe"}
INTERVALS_MS = [90_000, HOUR_MS + 1, 7 * HOUR_MS]
STEPS_MS = [[3 * HOUR_MS, HOUR_MS], [2 * HOUR_MS + 500], [HOUR_MS, 60_000, DAY_MS]]
"""Few enough in the longest wait that all that have passed are looked at at once."""

names = st.sampled_from(["a", "a", "b"])
rules = st.one_of(
    st.sampled_from(INTERVALS_MS).map(lambda ms: {"every_ms": ms}),
    st.sampled_from(list(ZONES)).map(lambda expression: {"cron": expression}),
    st.sampled_from(STEPS_MS).map(lambda steps: {"steps": steps}),
)
waits_ms = st.sampled_from([0, 1, 999, 60_000, 89_999, 90_000, HOUR_MS, 3 * HOUR_MS, DAY_MS, 2 * DAY_MS])
bools = st.sampled_from([False, False, True])
keys = st.sampled_from([None, "k", "l"])


@cache  # the walk takes a while, which those who only collect this file need not spend
def cron_moments_ms() -> dict[str, list[int]]:
    span = (BEGIN_MS - 40 * DAY_MS, BEGIN_MS + 75 * DAY_MS)
    return {expression: list(Walk(expression, zone, 15).moments(*span)) for expression, zone in ZONES.items()}


class PlansMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.naive = NaivePlans(cron_moments_ms())
        self.naive.now_ms = BEGIN_MS
        wall = WallClock(lambda: self.naive.ahead_ms * NS_PER_MS, lambda *_: 0)
        self.bench = Bench(wall_clock=wall, retention_s=RETENTION_S)
        self.rows: list[tuple[str, int, int, int, str]] = []
        self.saved = self.naive.copied()

    @property
    def now_ns(self) -> int:
        return self.naive.now_ms * NS_PER_MS

    @property
    def plans(self) -> Any:
        return self.bench.engine.plans

    @initialize()
    def begin(self) -> None:
        self.put("b", {"every_ms": 90_000}, "last", "allow", False, None, None, None)

    # Requests about plans

    @rule(
        name=names,
        rule=rules,
        missed=st.sampled_from(["last", "last", "all", "none"]),
        overlap=st.sampled_from(["allow", "skip"]),
        has_window=bools,
        count=st.sampled_from([None, None, 1, 3]),
        bounds=st.none() | st.tuples(st.sampled_from([-2 * DAY_MS, 1, 90_000, DAY_MS]), st.just(3 * DAY_MS)),
        is_paused=st.sampled_from([None, None, False, True]),
    )
    def put(
        self,
        name: str,
        rule: dict[str, Any],
        missed: Any,
        overlap: Any,
        has_window: bool,
        count: int | None,
        bounds: tuple[int, int] | None,
        is_paused: bool | None,
    ) -> None:
        from_ms, until_ms = (None, None) if bounds is None else (self.naive.now_ms + by_ms for by_ms in bounds)
        asked = {
            "every_ms": None,
            "cron": None,
            "steps": None,
            **rule,
            "from_ms": from_ms,
            "until_ms": until_ms,
            "count": count,
            "missed": missed,
            "overlap": overlap,
            "window_ms": 3 * HOUR_MS if has_window else 3 * DAY_MS,
            "label": "tea",
        }
        self.put_asked(name, asked, is_paused)

    @rule(name=names, is_paused=st.sampled_from([None, False, True]))
    def put_again(self, name: str, is_paused: bool | None) -> None:
        if name in self.naive.plans:
            version = self.naive.plans[name]["version"]
            self.put_asked(name, self.naive.plans[name]["asked"], is_paused)
            assert self.naive.plans[name]["version"] == version

    @rule(
        name=names,
        changed=st.fixed_dictionaries(
            {},
            optional={
                "label": st.sampled_from(["tea", "coffee"]),
                "missed": st.sampled_from(["all", "none"]),
                "overlap": st.sampled_from(["allow", "skip"]),
                "count": st.sampled_from([None, 1, 3, 5]),
                "until_ms": st.sampled_from([HOUR_MS, 5 * DAY_MS]),
            },
        ),
        is_paused=st.sampled_from([None, None, False, True]),
    )
    def put_other(self, name: str, changed: dict[str, Any], is_paused: bool | None) -> None:
        """Changed in what does not move its moments: it goes on from where it is."""
        if name in self.naive.plans:
            if "until_ms" in changed:
                changed["until_ms"] += self.naive.now_ms
            self.put_asked(name, {**self.naive.plans[name]["asked"], **changed}, is_paused)

    def put_asked(self, name: str, asked: dict[str, Any], is_paused: bool | None) -> None:
        settings = settings_of(asked)
        if self.naive.put(name, asked, is_paused):
            self.plans.put(name, settings, is_paused=is_paused, now_ns=self.now_ns)
        else:
            with pytest.raises(Refusal) as refused:
                self.plans.put(name, settings, is_paused=is_paused, now_ns=self.now_ns)
            assert refused.value.code == ErrorCode.INVALID_PARAMS

    @rule(name=names)
    def delete(self, name: str) -> None:
        assert self.plans.delete(name, self.now_ns) == (name in self.naive.plans)
        if name in self.naive.plans:
            self.naive.delete(name)

    @rule(name=names, do=st.sampled_from(["pause", "resume", "resume"]))
    def pause_or_resume(self, name: str, do: str) -> None:
        if self.is_there(name, lambda: self.plans.pause(name, self.now_ns)):
            getattr(self.plans, do)(name, self.now_ns)
            getattr(self.naive, do)(name)

    @rule(name=names, key=keys)
    def skip(self, name: str, key: str | None) -> None:
        if not self.is_there(name, lambda: self.plans.skip(name, key, self.now_ns)):
            return
        if self.naive.skip(name, key):
            self.plans.skip(name, key, self.now_ns)
        else:
            with pytest.raises(Refusal) as refused:
                self.plans.skip(name, key, self.now_ns)
            assert refused.value.code == ErrorCode.WRONG_STATE

    @rule(name=names, key=keys)
    def run(self, name: str, key: str | None) -> None:
        if self.is_there(name, lambda: self.plans.run(name, key, self.now_ns)):
            _, timer = self.plans.run(name, key, self.now_ns)
            assert (None if timer is None else timer.id) == self.naive.run(name, key)

    # Requests about their timers

    @rule(
        name=names,
        do=st.sampled_from(["pause", "pause", "resume", "cancel", "extend", "extend"]),
        by_ms=st.sampled_from([-60_000, 1_000, HOUR_MS, DAY_MS]),
        is_old=bools,
    )
    def change(self, name: str, do: str, by_ms: int, is_old: bool) -> None:
        timer_id = self.chosen(name, is_old)
        if timer_id is None:
            return
        asked = {"pause": PauseParams, "resume": ResumeParams, "cancel": CancelParams}
        params = ExtendParams(timer_id, seconds=by_ms / 1000) if do == "extend" else asked[do](timer_id)
        if self.naive.change(timer_id, do, by_ms):
            self.bench.ask(params, self.now_ns)
        else:
            with pytest.raises(Refusal):
                self.bench.ask(params, self.now_ns)

    @rule(name=names, do=st.sampled_from(["pause", "extend"]), wait_ms=waits_ms)
    def hold_up(self, name: str, do: str, wait_ms: int) -> None:
        """The moment of an occurrence passes while it is paused or extended."""
        self.change(name, do, HOUR_MS, False)
        self.wait_until_due(name, 0)
        self.tick()
        self.wait(wait_ms)
        self.tick()
        self.change(name, "resume" if do == "pause" else "cancel", 0, True)

    def chosen(self, name: str, is_old: bool) -> str | None:
        """The timer that a plan waits for, or another that is pending."""
        plan = self.naive.plans.get(name)
        pending = [
            known for known in self.naive.timers if known.startswith(f"{name}~") and self.naive.is_pending(known)
        ]
        if is_old and pending:
            return pending[0]
        return None if plan is None else plan["pending"]

    # Time

    @rule(ms=waits_ms)
    def wait(self, ms: int) -> None:
        self.naive.now_ms = min(self.naive.now_ms + ms, BEGIN_MS + 30 * DAY_MS)

    @rule(name=names, late_ms=st.sampled_from([-1, 0, 0, 1, HOUR_MS]))
    def wait_until_due(self, name: str, late_ms: int) -> None:
        plan = self.naive.plans.get(name)
        if plan is not None:
            due_ms = plan["at"][0] - (self.naive.ahead_ms if plan["by_wall"] else 0)
            self.wait(max(min(due_ms + late_ms - self.naive.now_ms, 8 * DAY_MS), 0))

    @rule(by_ms=st.sampled_from([-DAY_MS, -HOUR_MS, -1_000, 1_000, HOUR_MS, DAY_MS]))
    def step_wall(self, by_ms: int) -> None:
        self.naive.ahead_ms = max(min(self.naive.ahead_ms + by_ms, 3 * DAY_MS), -3 * DAY_MS)

    @rule(times=st.integers(1, 4))
    def live_on(self, times: int) -> None:
        """Occurrences end on time, one after the other."""
        for _ in range(times):
            self.wait_until_due("a", 0)
            self.tick()

    @rule()
    def tick(self) -> None:
        self.naive.tick()
        for _ in range(200):
            self.bench.engine.expire(self.now_ns, 50)
            self.bench.engine.expiry.expire_by_wall(self.now_ns, 50)
            self.plans.step(self.now_ns, 50)
            engine = self.bench.engine
            due_ns = (engine.next_due_ns(), engine.expiry.next_wall_due_ns(), self.plans.next_due_ns())
            if all(due is None or due > self.now_ns for due in due_ns):
                return
        raise AssertionError("there is always something due")

    # The log

    @rule()
    def commit(self) -> None:
        writes = self.bench.shard.take_writes()
        if writes is not None:
            self.bench.log.take_off(writes.changes)
            self.bench.store.commit(writes.changes, writes.anchor)
            self.bench.log.land()
            for entry in writes.changes.entries:
                if isinstance(entry, PlanEntry) and entry.part is PlanPart.SKIPPED:
                    row = decode_standing(entry.body).row
                    assert row is not None
                    self.rows.append((entry.plan, row.first_ms, row.last_ms, row.count, row.reason))
        self.saved = self.naive.copied()
        assert by_plan(self.rows) == by_plan(self.naive.rows)

    @rule(is_lost=st.booleans(), down_ms=waits_ms)
    def crash(self, is_lost: bool, down_ms: int) -> None:
        """What was not stored is lost, and nobody was told of it."""
        if not is_lost:
            self.commit()
        self.naive.plans, self.naive.timers, self.naive.rows = self.saved
        self.saved = self.naive.copied()
        self.bench.reload()
        self.wait(down_ms)

    @rule()
    def forget(self) -> None:
        self.tick()
        self.commit()
        self.bench.forget(self.now_ns)
        self.naive.forget(RETENTION_S * 1000)
        self.commit()

    # What must hold

    @invariant()
    def both_are_the_same(self) -> None:
        assert [name for name, plan in self.plans.by_id(None, "") if plan is not None] == sorted(self.naive.plans)
        assert self.plans.paused == sum(naive["state"] == "paused" for naive in self.naive.plans.values())
        for name, naive in self.naive.plans.items():
            plan = self.plans._registry.get(name)
            assert told(plan) == (
                naive["state"],
                naive["version"],
                naive["pending"] is not None,
                *(naive[count] for count in ("fired", "cancelled", "skipped", "missed")),
            )
            assert self.plans._chain.pending_id(plan) == naive["pending"]
        places = sum(naive["pending"] is None for naive in self.naive.plans.values())
        assert self.plans._registry.kept_count() == self.bench.engine.places.kept == places

    @invariant()
    def both_have_the_same_timers(self) -> None:
        counts = self.bench.engine.counts()
        assert counts.running + counts.paused + counts.fired + counts.cancelled == len(self.naive.timers)
        for timer_id, naive in self.naive.timers.items():
            timer = self.bench.engine._ledger.find(timer_id)
            if isinstance(timer, Recall):
                timer = self.bench.log.event(timer.place)
            assert isinstance(timer, Countdown), timer_id
            assert (timer.state, timer.version) == (naive["state"], naive["version"]), timer_id
            if timer.state == "running":
                assert (timer.due_at_ms, timer.is_wall_bound) == (naive["due_ms"], naive["by_wall"])

    @invariant()
    def nothing_that_is_due_is_forgotten(self) -> None:
        due = [name for name in self.naive.plans if self.naive.is_to_overtake(name)]
        due_ns = self.plans.next_due_ns()
        assert not due or (due_ns is not None and due_ns <= self.now_ns)

    @invariant()
    def the_log_holds_what_is_needed_behind_the_horizon_and_no_more(self) -> None:
        horizon = self.bench.header.ends.horizon
        behind = [entry for entry in entries_in(self.bench.store) if entry.place <= horizon]
        assert len(behind) <= 2 * len(self.naive.plans) + sum(map(self.naive.is_pending, self.naive.timers)) + 2

    def is_there(self, name: str, call: Any) -> bool:
        if name in self.naive.plans:
            return True
        with pytest.raises(Refusal) as refused:
            call()
        assert refused.value.code == ErrorCode.PLAN_NOT_FOUND
        return False


def settings_of(asked: dict[str, Any]) -> Settings:
    rule: Rule
    if asked["steps"]:
        rule = Steps(tuple(Step(Amounts(0, 0, ms / 1000), "") for ms in asked["steps"]))
    elif asked["every_ms"]:
        rule = Every(Amounts(0, 0, asked["every_ms"] / 1000))
    else:
        rule = Cron(asked["cron"], ZONES[asked["cron"]])
    return Settings(
        1,
        rule,
        asked["from_ms"],
        asked["until_ms"],
        asked["count"],
        asked["missed"],
        asked["window_ms"],
        asked["overlap"],
        asked["label"],
        b"null",
    )


def told(plan: Plan) -> tuple[Any, ...]:
    standing = plan.standing
    counts = (standing.fired, standing.cancelled, standing.skipped, standing.missed)
    return standing.state.name.lower(), plan.settings.version, standing.pending_ms is not None, *counts


def by_plan(rows: list[tuple[str, int, int, int, str]]) -> list[tuple[str, int, int, int, str]]:
    """What was told, in order for each plan."""
    return sorted(rows, key=lambda row: row[0])


TestPlans = PlansMachine.TestCase
