"""The timers of a plan, one after the other: what an end leads to, downtime, pauses by hand, and steps in rounds."""

from typing import Any

import pytest

from drivers.builders import NS_PER_MS
from drivers.desk import Desk
from server_requests.plan_desk import BEGIN_MS, DAY_MS, HOUR_MS, get, put, timers

POMODORO = [{"minutes": 25, "label": "work"}, {"minutes": 5}]


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestChain:
    def test_the_next_timer_is_started_in_the_commit_in_which_the_one_before_ends(self, desk: Desk) -> None:
        put(desk)
        desk.commit()
        for hours in range(1, 4):
            desk.now_ns += HOUR_MS * NS_PER_MS
            desk.engine.expire(desk.now_ns, 1)
            fired, started = desk.settle()
            assert (fired.kind, started.kind, started.due_at_ms) == (
                "fired",
                "started",
                BEGIN_MS + (hours + 1) * HOUR_MS,
            )
        assert get(desk)["counts"]["fired"] == 3

    def test_whoever_looks_at_an_overdue_timer_has_the_plan_go_on_too(self, desk: Desk) -> None:
        timer_id = put(desk)["pending"]["id"]
        desk.commit()
        desk.now_ns += HOUR_MS * NS_PER_MS

        assert desk.result("timer.get", id=timer_id)["state"] == "fired"
        assert desk.commit() == ["fired", "started"]

    def test_a_cancel_goes_on_and_a_later_restart_of_it_moves_nothing(self, desk: Desk) -> None:
        timer_id = put(desk)["pending"]["id"]
        desk.result("timer.cancel", id=timer_id)
        plan = get(desk)
        assert (plan["counts"]["cancelled"], plan["pending"]["id"]) == (1, "p~20231115T001320Z")

        desk.result("timer.restart", id=timer_id)
        desk.wait(HOUR_MS)
        assert timers(desk)[timer_id] == "fired"
        assert get(desk)["counts"]["fired"] == 0

    def test_occurrences_are_as_many_as_asked_and_the_plan_stays(self, desk: Desk) -> None:
        put(desk, count=2)
        assert len(get(desk)["next"]) == 2
        for _ in range(3):
            desk.wait(HOUR_MS)

        plan = get(desk)
        assert (plan["state"], plan["counts"]["fired"], plan["pending"], plan["next"]) == ("finished", 2, None, [])

    def test_after_downtime_the_pending_one_fires_and_the_missed_moments_are_one_row(self, desk: Desk) -> None:
        put(desk, missed="none")
        desk.wait(DAY_MS + 1)

        plan = get(desk)
        assert plan["counts"] == {"fired": 1, "cancelled": 0, "skipped": 0, "missed": 23}
        assert plan["last_skipped"] == {
            "first_ms": BEGIN_MS + 2 * HOUR_MS,
            "last_ms": BEGIN_MS + DAY_MS,
            "count": 23,
            "reason": "missed",
        }
        assert plan["pending"]["due_at_ms"] == BEGIN_MS + 25 * HOUR_MS

    @pytest.mark.parametrize(("missed", "fired"), [("last", 2), ("all", 24), ("none", 1)])
    def test_missed_says_which_of_them_are_caught_up(self, desk: Desk, missed: str, fired: int) -> None:
        put(desk, missed=missed)
        desk.wait(DAY_MS + 1)

        counts = get(desk)["counts"]
        assert (counts["fired"], counts["missed"]) == (fired, 24 - fired)
        assert desk.result("server.info")["counts"]["fired"] == fired

    def test_those_beyond_the_window_are_not(self, desk: Desk) -> None:
        put(desk, missed="all", missed_window_ms=3 * HOUR_MS)
        desk.wait(DAY_MS)

        assert get(desk)["counts"] == {"fired": 5, "cancelled": 0, "skipped": 0, "missed": 19}

    def test_one_that_was_overtaken_counts_so_no_more_fire_than_are_wanted(self, desk: Desk) -> None:
        first = put(desk, count=2)["pending"]["id"]
        desk.result("timer.pause", id=first)
        assert len(get(desk)["next"]) == 1
        desk.wait(HOUR_MS)
        assert [moment["at_ms"] for moment in get(desk)["next"]] == [BEGIN_MS + 2 * HOUR_MS]
        desk.wait(HOUR_MS)
        assert (get(desk)["state"], get(desk)["counts"]["fired"]) == ("finished", 1)
        desk.result("timer.resume", id=first)
        desk.wait(HOUR_MS)
        assert list(timers(desk).values()) == ["fired", "fired"]

    def test_the_last_one_is_waited_for_whatever_happens_to_it(self, desk: Desk) -> None:
        timer_id = put(desk, count=1)["pending"]["id"]
        desk.result("timer.pause", id=timer_id)
        desk.wait(3 * HOUR_MS)
        assert (get(desk)["state"], get(desk)["pending"]["id"]) == ("active", timer_id)
        desk.result("timer.resume", id=timer_id)
        desk.wait(HOUR_MS)
        assert (get(desk)["state"], get(desk)["counts"]["fired"]) == ("finished", 1)

    def test_a_paused_one_is_overtaken_or_waited_for(self, desk: Desk) -> None:
        for plan, overlap in (("a", "allow"), ("s", "skip")):
            put(desk, plan, overlap=overlap)
            desk.result("timer.pause", id=f"{plan}~20231114T231320Z")
        desk.wait(HOUR_MS)

        assert get(desk, "a")["pending"]["id"] == "a~20231115T001320Z"
        assert get(desk, "s")["pending"]["id"] == "s~20231114T231320Z"
        desk.wait(2 * HOUR_MS)
        desk.result("timer.cancel", id="s~20231114T231320Z")
        waited = get(desk, "s")
        assert (waited["counts"]["skipped"], waited["last_skipped"]["reason"]) == (2, "overlap")
        assert waited["pending"]["id"] == "s~20231115T021320Z"


class TestSteps:
    def put(self, desk: Desk, **asked: Any) -> Any:
        return desk.result("plan.put", **{"plan": "p", "steps": POMODORO, "label": "rest", **asked})

    def test_follow_one_another_in_rounds(self, desk: Desk) -> None:
        assert [m["at_ms"] for m in self.put(desk, count=2)["next"]] == [
            BEGIN_MS + minutes * 60_000 for minutes in (25, 30, 55, 60)
        ]
        seen = []
        for minutes in (25, 5, 25, 5):
            plan = get(desk)
            seen.append((plan["round"], plan["step"], plan["pending"]["label"], plan["pending"]["duration_ms"]))
            desk.wait(minutes * 60_000)
        work, rest = ("work", 25 * 60_000), ("rest", 5 * 60_000)
        assert seen == [(1, 1, *work), (1, 2, *rest), (2, 1, *work), (2, 2, *rest)]
        assert get(desk)["state"] == "finished"

    def test_pause_and_resume_act_on_the_pending_one(self, desk: Desk) -> None:
        self.put(desk)
        desk.wait(10 * 60_000)
        paused = desk.result("plan.pause", plan="p")
        assert (paused["state"], paused["pending"]["state"], paused["pending"]["remaining_ms"]) == (
            "paused",
            "paused",
            15 * 60_000,
        )
        desk.wait(DAY_MS)
        resumed = desk.result("plan.resume", plan="p")
        assert (resumed["state"], resumed["pending"]["remaining_ms"]) == ("active", 15 * 60_000)
        assert resumed["next"][0]["at_ms"] == BEGIN_MS + DAY_MS + 25 * 60_000
        desk.wait(15 * 60_000)
        assert get(desk)["pending"]["due_at_ms"] == BEGIN_MS + DAY_MS + 30 * 60_000

    def test_one_that_ends_while_the_plan_is_paused_is_followed_once_it_is_resumed(self, desk: Desk) -> None:
        timer_id = self.put(desk)["pending"]["id"]
        desk.result("plan.pause", plan="p")
        desk.result("timer.resume", id=timer_id)
        desk.wait(25 * 60_000)
        plan = get(desk)
        assert (plan["state"], plan["pending"], plan["counts"]["fired"]) == ("paused", None, 1)

        desk.wait(HOUR_MS)
        rest = desk.result("plan.resume", plan="p")["pending"]
        assert (rest["label"], rest["due_at_ms"]) == ("rest", BEGIN_MS + HOUR_MS + 30 * 60_000)

    def test_the_next_begins_when_one_that_was_extended_is_due_or_at_its_cancel(self, desk: Desk) -> None:
        timer_id = self.put(desk)["pending"]["id"]
        desk.result("timer.extend", id=timer_id, minutes=10)
        desk.wait(35 * 60_000 + 7)
        rest = get(desk)["pending"]
        assert rest["due_at_ms"] == BEGIN_MS + 40 * 60_000

        desk.result("plan.skip", plan="p")
        assert get(desk)["pending"]["due_at_ms"] == BEGIN_MS + 60 * 60_000 + 7
