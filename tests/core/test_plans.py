"""Plans where they meet bounds: many missed moments, too few places, a disk that is nearly full, large payloads, and
what the log keeps of them."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drivers import builders
from drivers.builders import BEGIN_NS, CIVIL_TIME, LOG_ID, NS_PER_MS, NS_PER_S, Bench, entries_in
from timer_protocol.errors import Refusal
from timer_protocol.messages import CancelParams, PauseParams
from timer_protocol.plan_messages import Missed
from timer_server.core.entries import PlanEntry
from timer_server.core.plans.hints import skipped_moments
from timer_server.core.plans.rules import Amounts, Cron, Every, Rule, Step, Steps
from timer_server.core.plans.standing import Plan, Settings
from timer_server.store.sqlite.store import SqliteStore

HOUR_NS = 3600 * NS_PER_S
DAY_NS = 24 * HOUR_NS
HOURLY = Every(Amounts(1, 0, 0))


def settings_of(rule: Rule = HOURLY, payload: bytes = b"null", missed: Missed = "last", **asked: Any) -> Settings:
    until_ms, count, window_ms = None, None, 366 * DAY_NS // NS_PER_MS
    return Settings(1, rule, asked.get("from_ms"), until_ms, count, missed, window_ms, "allow", "", payload)


class PlanBench(Bench):
    """A shard with a plan `p`."""

    def put(self, settings: Settings, now_ns: int = BEGIN_NS, plan_id: str = "p") -> Plan:
        return self.engine.plans.put(plan_id, settings, is_paused=None, now_ns=now_ns)

    def plan(self, now_ns: int) -> Plan:
        return self.engine.plans.find("p", now_ns)

    def step(self, now_ns: int, budget: int = 500) -> int:
        """A turn's chores. Returns how many moments were skipped."""
        self.engine.expire(now_ns, budget)
        self.engine.expiry.expire_by_wall(now_ns, budget)
        self.engine.plans.step(now_ns, budget)
        writes = self.shard.take_writes()
        if writes is None:
            return 0
        self.log.take_off(writes.changes)
        self.store.commit(writes.changes, writes.anchor)
        self.log.land()
        return sum(moments.count for moments in skipped_moments(writes.changes))


@pytest.mark.parametrize("fraction_ns", [0, 1, 999_999])
@pytest.mark.parametrize("rule", [HOURLY, Steps((Step(Amounts(1, 0, 0), ""),))])
def test_the_first_countdown_is_not_early_by_a_part_of_a_millisecond(rule: Rule, fraction_ns: int) -> None:
    bench = PlanBench()
    begun_ns = BEGIN_NS + fraction_ns
    bench.put(settings_of(rule), begun_ns)

    due_ns = bench.engine.next_due_ns()

    assert due_ns is not None
    assert 0 <= due_ns - (begun_ns + HOUR_NS) < NS_PER_MS


def test_a_moment_that_a_part_of_a_millisecond_is_missing_to_is_still_to_come() -> None:
    bench = PlanBench()
    bench.put(settings_of(from_ms=BEGIN_NS // NS_PER_MS), BEGIN_NS + 3 * HOUR_NS - 1)

    assert bench.engine.next_due_ns() == BEGIN_NS + 3 * HOUR_NS


def test_a_day_of_missed_minutes_is_looked_at_in_bounded_steps_and_told_as_one_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Counter[str]()

    def counted(expression: str, zone: str, moment_ms: int) -> int | None:
        asked["all"] += 1
        return CIVIL_TIME.cron_after(expression, zone, moment_ms)

    monkeypatch.setattr(builders, "CIVIL_TIME", CIVIL_TIME._replace(cron_after=counted))
    bench = PlanBench()
    bench.put(settings_of(Cron("* * * * *", "UTC")))
    bench.commit()
    now_ns, told = BEGIN_NS + DAY_NS, [0]
    while told[-1] == 0:
        before = asked["all"]
        told.append(bench.step(now_ns, 100))
        assert asked["all"] - before <= 200
    assert told[-1] == 24 * 60 - 2
    assert len(told) > 10
    bench.step(now_ns)
    assert bench.plan(now_ns).standing.fired == 2
    assert bench.engine.plans.next_due_ns() is None


def test_what_was_looked_at_is_looked_at_again_after_a_crash_and_counted_once() -> None:
    bench = PlanBench()
    bench.put(settings_of(Cron("* * * * *", "UTC"), missed="none"))
    bench.commit()
    now_ns = BEGIN_NS + DAY_NS
    assert bench.step(now_ns, 100) == 0
    assert bench.plan(now_ns).standing.is_behind

    bench.reload()
    assert bench.engine.plans.next_due_ns() == 0
    told = sum(bench.step(now_ns) for _ in range(20))
    assert told == bench.plan(now_ns).standing.missed == 24 * 60 - 1


def far_behind() -> tuple[PlanBench, int]:
    """A plan whose next occurrence is still looked for."""
    bench, now_ns = PlanBench(), BEGIN_NS + DAY_NS
    bench.put(settings_of(Cron("* * * * *", "UTC"), missed="none"))
    bench.commit()
    bench.step(now_ns, 100)
    assert bench.plan(now_ns).standing.is_behind
    return bench, now_ns


def test_a_plan_that_is_behind_can_be_paused_changed_and_deleted() -> None:
    bench, now_ns = far_behind()
    bench.engine.plans.pause("p", now_ns)
    assert bench.engine.plans.next_due_ns() is None
    assert bench.engine.plans.resume("p", now_ns).standing.missed == 0

    bench, now_ns = far_behind()
    pending = bench.engine.plans.pending(bench.put(settings_of(), now_ns))
    assert pending is not None
    assert pending.due_at_ms == (now_ns + HOUR_NS) // NS_PER_MS
    assert bench.engine.plans.next_due_ns() is None

    bench, now_ns = far_behind()
    assert bench.engine.plans.delete("p", now_ns)
    assert bench.engine.plans.next_due_ns() is None
    assert bench.step(now_ns) == 0


def test_one_that_was_held_up_before_a_restart_is_overtaken_after_it() -> None:
    bench = PlanBench()
    pending = bench.engine.plans.pending(bench.put(settings_of()))
    assert pending is not None
    bench.ask(PauseParams(pending.id))
    bench.commit()

    bench.reload()
    assert bench.engine.plans.next_due_ns() == BEGIN_NS + HOUR_NS
    bench.step(BEGIN_NS + HOUR_NS)
    assert bench.engine.counts().running == 1


@pytest.mark.parametrize(
    ("missed", "fired", "skipped"), [("all", 101, 86_299), ("last", 2, 86_398), ("none", 1, 86_399)]
)
def test_every_second_of_a_day_is_worked_out_at_once(missed: str, fired: int, skipped: int) -> None:
    bench = PlanBench()
    bench.put(settings_of(Every(Amounts(0, 0, 1)), missed=missed))
    bench.commit()

    assert bench.step(BEGIN_NS + DAY_NS) == skipped
    assert bench.plan(BEGIN_NS + DAY_NS).standing.fired == fired


def test_a_run_waits_for_a_place_also_after_a_restart() -> None:
    bench = PlanBench(max_timers=2)
    bench.put(settings_of())
    bench.start("a", seconds=10)
    plan, ran = bench.engine.plans.run("p", None, BEGIN_NS)
    assert ran is None
    assert plan.standing.waiting == 1
    assert bench.engine.plans.next_due_ns() is None
    bench.commit()

    bench.reload()
    bench.step(BEGIN_NS + 10 * NS_PER_S)
    assert bench.get("p~20231114T221330Z", BEGIN_NS + 10 * NS_PER_S).kind == "fired"
    assert bench.plan(BEGIN_NS + 10 * NS_PER_S).standing.waiting == 0


def test_runs_within_one_moment_do_not_make_each_other_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()

    def counted(moment_ms: int) -> str:
        asked["all"] += 1
        return CIVIL_TIME.stamp(moment_ms)

    monkeypatch.setattr(builders, "CIVIL_TIME", CIVIL_TIME._replace(stamp=counted))
    bench = PlanBench()
    bench.put(settings_of())
    ran = [bench.engine.plans.run("p", None, BEGIN_NS)[1] for _ in range(500)]
    assert len({timer.id for timer in ran if timer is not None}) == 500
    before = asked["all"]
    bench.engine.plans.run("p", None, BEGIN_NS)
    assert asked["all"] - before < 50


def test_an_overlap_waits_for_a_place_and_the_next_on_time_needs_none() -> None:
    bench = PlanBench(max_timers=1)
    pending = bench.engine.plans.pending(bench.put(settings_of()))
    assert pending is not None
    bench.ask(PauseParams(pending.id))
    bench.step(BEGIN_NS + HOUR_NS)
    assert bench.engine.counts().paused == 1
    assert bench.engine.counts().running == 0

    bench.ask(CancelParams(pending.id), BEGIN_NS + HOUR_NS)
    assert bench.engine.counts().running == 1
    bench.step(BEGIN_NS + 2 * HOUR_NS)
    assert bench.plan(BEGIN_NS + 2 * HOUR_NS).standing.fired == 1


def test_on_a_disk_that_is_nearly_full_a_plan_stays_behind_and_then_goes_on() -> None:
    bench = PlanBench()
    bench.put(settings_of())
    bench.engine.limit_growth(100)
    bench.step(BEGIN_NS + HOUR_NS)
    assert bench.plan(BEGIN_NS + HOUR_NS).standing.is_behind
    assert bench.engine.plans.next_due_ns() is None

    bench.engine.limit_growth(None)
    assert bench.engine.plans.next_due_ns() == 0
    bench.step(BEGIN_NS + HOUR_NS)
    pending = bench.engine.plans.pending(bench.plan(BEGIN_NS + HOUR_NS))
    assert pending is not None
    assert pending.due_at_ms == (BEGIN_NS + 2 * HOUR_NS) // NS_PER_MS


def test_the_log_keeps_what_a_plan_is_however_old_and_what_it_was_goes() -> None:
    bench = PlanBench(retention_s=60)
    bench.put(settings_of())
    bench.put(settings_of(), plan_id="gone")
    now_ns = BEGIN_NS
    for hours in range(1, 30):
        now_ns = BEGIN_NS + hours * HOUR_NS
        bench.step(now_ns)
        if hours == 5:
            bench.engine.plans.delete("gone", now_ns)
        bench.forget(now_ns + HOUR_NS // 2)

    held = list(entries_in(bench.store))
    assert [entry.plan for entry in held if isinstance(entry, PlanEntry)] == ["p", "p"]
    assert len(held) == 3
    bench.reload()
    assert bench.plan(now_ns).standing.fired == 29


def test_how_far_a_plan_has_come_is_kept_where_only_what_was_asked_of_it_is_newer() -> None:
    bench, now_ns = PlanBench(retention_s=60), BEGIN_NS + HOUR_NS
    bench.put(settings_of())
    bench.step(now_ns)
    bench.put(settings_of(missed="all"), now_ns)
    bench.forget(now_ns + 61 * NS_PER_S)
    bench.reload()
    plan = bench.plan(now_ns)
    assert (plan.standing.fired, plan.settings.version, plan.settings.missed) == (1, 2, "all")


@pytest.mark.parametrize("payloads", [(b"L", b"L"), (b"L", b"M"), (b"L", b"s"), (b"s", b"L")])
def test_a_timer_begun_anew_under_its_id_leaves_nothing_of_the_old_one(
    tmp_path: Path, payloads: tuple[bytes, bytes]
) -> None:
    """Large payloads stand in entries of their own: those go with the last event that refers to them."""
    first, then = (b'"' + letter * (1000 if letter.isupper() else 10) + b'"' for letter in payloads)
    with closing(SqliteStore(tmp_path / "timers.db", lambda: LOG_ID)) as store:
        bench = PlanBench(store, retention_s=60)
        pending = bench.engine.plans.pending(bench.put(settings_of(payload=first)))
        assert pending is not None
        bench.ask(PauseParams(pending.id))
        bench.step(BEGIN_NS)
        settings = settings_of(payload=then, from_ms=BEGIN_NS // NS_PER_MS + 3_600_000)
        bench.put(settings, BEGIN_NS + NS_PER_S)
        begun = bench.get(pending.id, BEGIN_NS + NS_PER_S)
        assert (begun.kind, begun.version, begun.payload) == ("started", 4, then)
        bench.step(BEGIN_NS + NS_PER_S)
        bench.forget(BEGIN_NS + 70 * NS_PER_S)
        assert len(list(entries_in(store))) == (4 if b"s" not in then else 3)

    with closing(SqliteStore(tmp_path / "timers.db", lambda: LOG_ID)) as store:
        bench.store = store
        bench.reload()
        assert bench.get(pending.id, BEGIN_NS + 70 * NS_PER_S) == begun
        bench.forget(BEGIN_NS + 70 * NS_PER_S)
        bench.step(BEGIN_NS + HOUR_NS)
        bench.forget(BEGIN_NS + 3 * HOUR_NS)
        assert len(list(entries_in(store))) == (4 if b"s" not in then else 3)


def test_an_end_of_the_old_one_that_is_above_the_horizon_is_forgotten_after_a_restart_too(tmp_path: Path) -> None:
    payloads = [b'"' + letter * 1000 + b'"' for letter in (b"x", b"y")]
    with closing(SqliteStore(tmp_path / "timers.db", lambda: LOG_ID)) as store:
        bench = PlanBench(store, retention_s=60)
        for payload in payloads:
            bench.put(settings_of(payload=payload, from_ms=BEGIN_NS // NS_PER_MS + 3_600_000))
        bench.commit()
    with closing(SqliteStore(tmp_path / "timers.db", lambda: LOG_ID)) as store:
        bench.store = store
        bench.reload()
        bench.forget(BEGIN_NS + 70 * NS_PER_S)
        assert len(list(entries_in(store))) == 4


def test_timers_of_a_plan_share_a_large_payload_as_long_as_one_of_them_is_known() -> None:
    payload, now_ns = b'"%s"' % (b"x" * 60_000), BEGIN_NS
    bench = PlanBench(retention_s=5400)
    bench.put(settings_of(payload=payload))
    for hours in range(1, 10):
        now_ns = BEGIN_NS + hours * HOUR_NS
        bench.step(now_ns)
        bench.engine.plans.run("p", None, now_ns)
        bench.engine.plans.skip("p", None, now_ns)
        bench.step(now_ns)
        bench.forget(now_ns)
        if hours % 3 == 0:
            bench.reload()
        pending = bench.engine.plans.pending(bench.plan(now_ns))
        assert pending is not None
        assert pending.payload == payload
        holding = [entry for entry in entries_in(bench.store) if isinstance(entry, PlanEntry) and entry.spec_place]
        assert len(holding) == 2, "one for those on time, and one for runs, which have no amounts"
    bench.engine.plans.delete("p", now_ns)
    bench.commit()
    bench.reload()
    bench.forget(now_ns + 2 * HOUR_NS)
    assert list(entries_in(bench.store)) == []


def test_a_place_that_is_kept_counts_in_the_share_of_a_prefix() -> None:
    bench = PlanBench()
    plans = bench.engine.plans
    plans.put("shop/p", settings_of(), is_paused=True, now_ns=BEGIN_NS)
    bench.engine.places.share_out({"shop/": 2})
    bench.start("shop/a")
    for ask in (lambda: bench.start("shop/b"), lambda: bench.put(settings_of(), plan_id="shop/q")):
        with pytest.raises(Refusal) as refused:
            ask()
        assert (refused.value.help["limit"], refused.value.help["scope"]) == ("max_timers", "key")

    with pytest.raises(Refusal):
        plans.run("shop/p", None, BEGIN_NS)
    plans.resume("shop/p", BEGIN_NS)
    bench.start("bank/a")
    plans.delete("shop/p", BEGIN_NS)
    assert bench.start("shop/b").state == "running"
