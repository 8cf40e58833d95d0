"""The campaign about plans finds what is wrong: in notes that are told differently, and of servers with a fault."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from campaigns import __main__ as command
from campaigns.clocks import CLOCKED_SERVER
from campaigns.plan_client import PlanClient
from campaigns.plan_invariants import INVARIANTS, judge_plans
from campaigns.plan_notes import (
    PLAN_HISTORY,
    Asked,
    AtRest,
    Closed,
    Notes,
    PlanGone,
    PlanSet,
    PlanStood,
    Resting,
    TimerLogged,
    Told,
)
from campaigns.plans import Storm
from campaigns.sabotaged_plans import SABOTAGES
from campaigns.turn_points import DOOM_LIMIT_S, DOOMED

DIES_AT_AN_END = "starts_the_next_later"
"""To find it the server has to die right after an end."""

FOUND_BY = {
    "starts_the_next_later": {"what_comes_next_is_there"},
    "forgets_keys": {"a_repeat_acts_once"},
    "forgets_count": {"count_is_never_passed"},
    "skips_in_silence": {"moments_are_started_or_told"},
}


class Story:
    """Notes of one plan, made one after the other. A moment is also the second of its timer's id."""

    def __init__(self, kind: str = "every", pace_ms: tuple[int, ...] = (10,), count: int | None = None) -> None:
        self.notes: list[Any] = []
        self._place = 0
        self._call = 0
        self._kind, self._pace_ms = kind, list(pace_ms)
        self.put(count)

    def put(self, count: int | None = None, version: int = 1, from_ms: int | None = None) -> None:
        """A put that was logged."""
        self.call("plan.put", {"version": version, "pending": None}, count=count, from_ms=from_ms)
        self.notes.append(PlanSet(self._next(), "p", version, self._kind, self._pace_ms, from_ms, count))

    def call(self, method: str, result: dict[str, Any] | None, error: str | None = None, **params: Any) -> None:
        """What was asked and told."""
        self._call += 1
        self.notes.append(Asked("c", self._call, "p", method, params))
        self.notes.append(Told("c", self._call, 1, result, error))

    def stand(
        self,
        moment_ms: int,
        skipped: tuple[int, int, int, str] | None = None,
        state: str = "active",
        step: tuple[int, int] = (0, 1),
        is_pending: bool = True,
    ) -> None:
        """How far the plan has come."""
        pending = f"p~{moment_ms}" if is_pending else None
        self.notes.append(PlanStood(self._next(), "p", state, moment_ms, *step, pending, skipped))

    def start(self, moment_ms: int, *skipped: Any, **more: Any) -> None:
        """The next occurrence."""
        self.stand(moment_ms, *skipped, **more)
        self.event(moment_ms, "started")

    def event(self, moment_ms: int, kind: str, at_ms: int | None = None) -> None:
        """An event of the timer of a moment."""
        at_ms = moment_ms if at_ms is None else at_ms
        self.notes.append(TimerLogged(self._next(), "p", at_ms, f"p~{moment_ms}", kind, moment_ms))

    def close(self, pending: int | None, state: str = "active", timer: str | None = "running") -> "Story":
        """The end of the log."""
        waits_for = None if pending is None else f"p~{pending}"
        self.notes.append(AtRest("the end", [Resting("p", state, waits_for, timer, pending)]))
        self.notes.append(Closed(100, 100))
        return self

    def _next(self) -> int:
        self._place += 1
        return self._place


def good() -> Story:
    """Whatever may happen, as it should: ends, moments that are skipped, a rest, a repeat, a run and other counts."""
    story = Story(count=5)
    story.start(10)
    story.event(10, "fired")
    story.start(40, (20, 30, 2, "missed"))
    story.call("plan.skip", {"version": 1, "pending": {"id": "p~10"}}, key="k")
    story.event(40, "cancelled")
    story.stand(40, (40, 40, 1, "skip"), is_pending=False)
    story.start(50)
    story.call("plan.run", {"version": 1, "pending": {"id": "p~50"}, "ran": {"id": "p~51"}}, key="r")
    story.event(51, "started")
    story.event(51, "fired")
    story.event(50, "cancelled")
    story.stand(50, state="paused", is_pending=False)
    story.start(80)
    story.call("plan.skip", None, "wrong_state", key="l")
    story.put(count=1, version=2)
    story.event(80, "cancelled")
    story.stand(80, state="finished", is_pending=False)
    story.put(version=3, from_ms=3)
    story.start(103)
    story.call("plan.delete", {"deleted": True})
    story.event(103, "cancelled")
    story.notes.append(PlanGone(story._next(), "p"))
    story.put()
    story.start(110)
    return story.close(110)


def good_steps() -> Story:
    story = Story("steps", (10, 5), count=2)
    story.start(10)
    story.event(10, "fired")
    story.start(15, step=(1, 1))
    story.event(15, "cancelled", at_ms=13)
    story.start(28, (23, 23, 1, "missed"), step=(1, 2))
    return story.close(28, timer="paused")


def wait_for_nothing() -> Story:
    story = Story()
    story.start(10)
    story.event(10, "fired")
    return story.close(None, timer=None)


def wait_for_one_that_has_ended() -> Story:
    return Story().close(110, timer="fired")


def wait_though_finished() -> Story:
    return Story().close(110, state="finished")


def skip_in_silence() -> Story:
    story = Story()
    story.start(10)
    story.event(10, "fired")
    story.start(30)
    return story.close(110)


def tell_of_too_many() -> Story:
    story = Story()
    story.start(10)
    story.start(20, (20, 20, 1, "missed"))
    return story.close(110)


def leave_the_phase() -> Story:
    story = Story()
    story.start(10)
    story.stand(10, state="paused", is_pending=False)
    story.start(25)
    return story.close(110)


def skip_another() -> Story:
    story = Story()
    story.start(10)
    story.call("plan.skip", {"version": 1, "pending": None}, key="k")
    story.stand(10, (20, 20, 1, "skip"), is_pending=False)
    return story.close(110)


def take_the_wrong_step() -> Story:
    story = Story("steps", (10, 5))
    story.start(10)
    story.event(10, "fired")
    story.start(20, step=(0, 2))
    return story.close(110)


def start_a_step_early() -> Story:
    story = Story("steps", (10, 5))
    story.start(10)
    story.start(15, step=(1, 1))
    return story.close(110)


def start_what_has_fired() -> Story:
    story = Story()
    story.start(10)
    story.event(10, "fired")
    story.event(10, "started")
    return story.close(110)


def wait_for_what_was_never_started() -> Story:
    story = Story()
    story.stand(10)
    return story.close(110)


def fire_too_often() -> Story:
    story = Story(count=1)
    for moment_ms in (10, 20):
        story.start(moment_ms)
        story.event(moment_ms, "fired")
    return story.close(110)


def begin_too_many_rounds() -> Story:
    story = Story("steps", (10,), count=1)
    story.start(10)
    story.event(10, "fired")
    story.start(20, step=(0, 2))
    return story.close(110)


def run_twice() -> Story:
    story = Story()
    story.call("plan.run", {"version": 1, "pending": None, "ran": {"id": "p~1"}}, key="r")
    for moment_ms in (1, 2):
        story.event(moment_ms, "started")
    return story.close(110)


def forget_a_skip() -> Story:
    story = Story()
    story.call("plan.skip", {"version": 1, "pending": None}, key="k")
    return story.close(110)


def change_by_a_repeat() -> Story:
    story = Story()
    story.notes.append(PlanSet(9, "p", 2, "every", [10], None, None))
    return story.close(110)


def lose_a_timer() -> Story:
    story = Story()
    story.call("plan.get", {"version": 1, "pending": {"id": "p~10"}})
    return story.close(110)


def lose_a_version() -> Story:
    story = Story()
    story.call("plan.get", {"version": 2, "pending": None})
    return story.close(110)


def stay_behind() -> Story:
    return Story().close(-9_000)


def have_no_end() -> Story:
    return Story()


def refuse() -> Story:
    story = Story()
    story.call("plan.get", None, "internal_error")
    return story.close(110)


def be_silent() -> Story:
    story = Story()
    story.notes.append(Asked("c", 9, "p", "plan.get", {}))
    return story.close(110)


TOLD: dict[Callable[[], Story], set[str]] = {
    wait_for_nothing: {"what_comes_next_is_there"},
    wait_for_one_that_has_ended: {"what_comes_next_is_there"},
    wait_though_finished: {"what_comes_next_is_there"},
    skip_in_silence: {"moments_are_started_or_told"},
    tell_of_too_many: {"moments_are_started_or_told"},
    leave_the_phase: {"moments_are_started_or_told"},
    skip_another: {"moments_are_started_or_told"},
    take_the_wrong_step: {"moments_are_started_or_told"},
    start_a_step_early: {"moments_are_started_or_told"},
    start_what_has_fired: {"an_occurrence_fires_once"},
    wait_for_what_was_never_started: {"an_occurrence_fires_once"},
    fire_too_often: {"count_is_never_passed"},
    begin_too_many_rounds: {"rounds_are_never_passed"},
    run_twice: {"a_repeat_acts_once"},
    forget_a_skip: {"a_repeat_acts_once"},
    change_by_a_repeat: {"puts_make_one_version_each"},
    lose_a_timer: {"what_was_told_is_kept"},
    lose_a_version: {"what_was_told_is_kept"},
    stay_behind: {"no_plan_stays_behind"},
    have_no_end: {"no_plan_stays_behind"},
    refuse: {"clients_get_no_errors"},
    be_silent: {"clients_get_no_errors"},
}
"""Stories in which something is wrong, and the invariants that say so."""


@pytest.mark.parametrize("story", [good, good_steps])
def test_what_may_happen_is_no_violation(story: Callable[[], Story], tmp_path: Path) -> None:
    notes = Notes()
    notes.add(*story().notes)
    notes.write(tmp_path / PLAN_HISTORY)
    assert judge_plans(notes.all) == []
    assert command.main(["check", str(tmp_path / PLAN_HISTORY)]) == command.EXIT_HELD


@pytest.mark.parametrize("story", TOLD)
def test_what_is_wrong_is_named(story: Callable[[], Story]) -> None:
    found = judge_plans(story().notes)
    assert {violation.invariant for violation in found} == TOLD[story], list(map(str, found))


def test_every_invariant_can_be_violated() -> None:
    assert set().union(*TOLD.values()) == {invariant.__name__ for invariant in INVARIANTS}


@pytest.mark.thorough
@pytest.mark.parametrize("sabotage", ["", *(one for one in SABOTAGES if one != DIES_AT_AN_END)])
def test_a_planted_fault_is_found_by_what_happens_on_a_day(sabotage: str, tmp_path: Path) -> None:
    module = "campaigns.sabotaged_plans" if sabotage else CLOCKED_SERVER
    with Storm(tmp_path, Random(1), clients=0, module=module, SABOTAGE=sabotage) as storm:  # noqa: S311
        with closing(storm.client("c", repeated=1)) as client:
            short_day(storm, client)
        storm.settle()
    assert found_in(storm) == FOUND_BY.get(sabotage, set())


@pytest.mark.thorough
@pytest.mark.parametrize("sabotage", ["", DIES_AT_AN_END])
def test_a_chain_that_a_kill_can_break_is_found(sabotage: str, tmp_path: Path) -> None:
    module = "campaigns.sabotaged_plans" if sabotage else DOOMED
    doom = {"DOOM_POINT": "after_commit", "DOOM_COUNT": "1", "SABOTAGE": sabotage}
    with (
        Storm(tmp_path, Random(1), clients=0, module=module, **doom) as storm,  # noqa: S311
        closing(storm.client("c", repeated=0)) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        timer_id = pending(client.ask("p", "plan.put", every={"hours": 1}))
        cancelling = thread.submit(client.ask, "p", "timer.cancel", id=timer_id)
        storm.server.wait(DOOM_LIMIT_S)
        storm.come_back("a kill after an end", CLOCKED_SERVER)
        cancelling.result(DOOM_LIMIT_S)
        storm.settle()
    assert found_in(storm) == FOUND_BY.get(sabotage, set())


def short_day(storm: Storm, client: PlanClient) -> None:
    """Everything is asked for twice, and minutes are missed by a plan that is to fire once, and by another."""
    client.ask("p", "plan.put", every={"hours": 1})
    client.ask("p", "plan.run", key="run")
    client.ask("p", "plan.skip", key="skip")
    settings = {"cron": "* * * * *", "zone": "UTC"}
    waited_for = [
        (plan, pending(client.ask(plan, "plan.put", **settings, **bounds)))
        for plan, bounds in (("once", {"count": 1}), ("on", {}))
    ]
    storm.clocks.step(300)
    for plan, timer_id in waited_for:
        client.ask(plan, "timer.wait", id=timer_id, wait_ms=10_000)
        client.ask(plan, "plan.get")


def pending(plan: Any) -> str:
    return str(plan["pending"]["id"])


def found_in(storm: Storm) -> set[str]:
    return {violation.invariant for violation in judge_plans(storm.notes.all)}
