"""The methods of plans, from request to result: what each does, and what it says to bad input."""

import json
from typing import Any

import pytest

from drivers.builders import NS_PER_MS
from drivers.desk import Desk, batch, body, request
from server_requests.plan_desk import BEGIN_MS, DAY_MS, HOUR_MS, get, put, timers
from timer_protocol.errors import ErrorCode
from timer_protocol.plan_messages import LAST_MOMENT_MS
from timer_server.limits import PAGE_BYTES, REPLY_BYTES


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestPut:
    def test_starts_an_ordinary_timer_one_ahead_and_tells_the_next_five_moments(self, desk: Desk) -> None:
        plan = put(desk, "water", label="drink", payload={"glass": 1})

        assert [moment["at_ms"] for moment in plan["next"]] == [BEGIN_MS + hours * HOUR_MS for hours in range(1, 6)]
        assert plan["next"][0]["local"] == "2023-11-14T23:13:20+00:00"
        assert (plan["state"], plan["version"], plan["every"]) == (
            "active",
            1,
            {"hours": 1, "minutes": 0, "seconds": 0},
        )
        assert plan["counts"] == {"fired": 0, "cancelled": 0, "skipped": 0, "missed": 0}
        timer = desk.result("timer.get", id="water~20231114T231320Z")
        assert timer == plan["pending"]
        assert (timer["label"], timer["payload"], timer["hours"], timer["duration_ms"]) == (
            "drink",
            {"glass": 1},
            1,
            HOUR_MS,
        )
        assert "at" not in timer

    def test_a_cron_rule_starts_a_timer_for_a_moment_of_the_wall_clock(self, desk: Desk) -> None:
        plan = put(desk, cron="0 9 * * 1-5", zone="Europe/Rome")

        timer = desk.result("timer.get", id="p~20231115T080000Z")
        assert (timer["at"], timer["zone"], timer["hours"]) == ("2023-11-15T09:00:00+01:00", "Europe/Rome", 0)
        assert [moment["local"] for moment in plan["next"]] == [
            f"2023-11-{day}T09:00:00+01:00" for day in (15, 16, 17, 20, 21)
        ]

    def test_the_same_put_is_unchanged_and_another_begins_anew_under_the_same_id(self, desk: Desk) -> None:
        first = put(desk, from_ms=BEGIN_MS + HOUR_MS)
        desk.wait(1000)
        assert put(desk, from_ms=BEGIN_MS + HOUR_MS)["pending"]["version"] == 1
        assert desk.commit() == []

        changed = put(desk, from_ms=BEGIN_MS + HOUR_MS, label="tea")

        assert desk.commit() == ["cancelled", "started"]
        assert (changed["version"], changed["pending"]["version"], changed["pending"]["label"]) == (2, 3, "tea")
        assert changed["pending"]["id"] == first["pending"]["id"]

    def test_what_moves_no_moment_keeps_phase_counts_and_deadline(self, desk: Desk) -> None:
        put(desk)
        desk.wait(HOUR_MS)
        desk.wait(10 * 60_000)
        before = get(desk)["pending"]
        for asked in ({"missed": "all"}, {"count": 9}, {"overlap": "skip"}, {"until_ms": BEGIN_MS + 2 * HOUR_MS}):
            assert put(desk, **asked)["pending"] == before
            assert desk.commit() == []

        plan = put(desk, every={"minutes": 60}, label="tea", payload=7)
        assert desk.commit() == ["cancelled", "started"]
        pending = plan["pending"]
        assert (pending["id"], pending["due_at_ms"]) == (before["id"], before["due_at_ms"])
        assert (pending["label"], pending["payload"], pending["minutes"]) == ("tea", 7, 60)
        assert (plan["version"], plan["counts"]) == (6, {"fired": 1, "cancelled": 0, "skipped": 0, "missed": 0})
        desk.wait(50 * 60_000)
        assert get(desk)["pending"]["due_at_ms"] == BEGIN_MS + 3 * HOUR_MS

    @pytest.mark.parametrize("changed", [{"every": {"minutes": 59}}, {"from_ms": BEGIN_MS}])
    def test_what_moves_its_moments_begins_the_plan_anew(self, desk: Desk, changed: dict[str, Any]) -> None:
        put(desk)
        desk.wait(HOUR_MS)
        plan = put(desk, **changed)
        assert desk.commit() == ["cancelled", "started"]
        assert (plan["version"], plan["counts"]["fired"]) == (2, 0)

    def test_a_label_is_for_the_next_timer_where_the_pending_one_was_changed_by_hand(self, desk: Desk) -> None:
        steps = [{"minutes": 25, "label": "work"}, {"minutes": 5}]
        for plan, rule in (("e", {"every": {"hours": 1}}), ("s", {"steps": steps})):
            timer_id = desk.result("plan.put", plan=plan, **rule)["pending"]["id"]
            desk.result("timer.extend", id=timer_id, minutes=5)
        desk.commit()
        steps[0]["label"] = "toil"
        extended = [put(desk, "e", label="tea"), put(desk, "s", every=None, steps=steps)]
        assert desk.commit() == []
        assert [plan["pending"]["label"] for plan in extended] == ["", "work"]
        desk.result("plan.skip", plan="s")
        for plan in ("e", "s"):
            desk.result("plan.skip", plan=plan)
        assert (get(desk, "e")["pending"]["label"], get(desk, "s")["pending"]["label"]) == ("tea", "toil")

    def test_another_count_ends_a_plan_or_has_one_that_had_finished_go_on_in_its_phase(self, desk: Desk) -> None:
        put(desk)
        desk.wait(HOUR_MS)
        desk.commit()
        assert put(desk, count=1)["state"] == "finished"
        assert desk.commit() == ["cancelled"]
        desk.wait(10 * HOUR_MS + 1)
        assert put(desk, count=1, label="tea")["state"] == "finished"
        assert put(desk, count=2, paused=True)["state"] == "paused"
        plan = put(desk, count=2, paused=False)
        assert (plan["state"], plan["counts"]["fired"], plan["counts"]["missed"]) == ("active", 1, 0)
        assert plan["pending"]["due_at_ms"] == BEGIN_MS + 12 * HOUR_MS
        assert [moment["at_ms"] for moment in plan["next"]] == [BEGIN_MS + 12 * HOUR_MS]

    def test_paused_is_all_that_a_put_leaves_as_it_is(self, desk: Desk) -> None:
        assert put(desk, paused=True)["pending"] is None
        assert put(desk)["state"] == "paused"
        assert put(desk, label="tea")["state"] == "paused"
        assert put(desk, label="tea", paused=False)["state"] == "active"
        assert put(desk, label="tea", paused=True)["version"] == 2
        assert get(desk)["next"] == []

    def test_a_plan_keeps_a_place_for_its_next_timer(self) -> None:
        desk = Desk(max_timers=2)
        put(desk, paused=True)
        desk.start("a")

        for method, params in (
            ("timer.start", {"id": "b", "minutes": 1}),
            ("plan.put", {"plan": "q", "every": {"hours": 1}}),
        ):
            error = desk.call(method, **params)["error"]
            assert (error["code"], error["data"]["limit"]) == (ErrorCode.LIMIT_REACHED, "max_timers")
        assert "1 place is kept for plans" in error["data"]["reason"]
        assert put(desk, paused=False)["state"] == "active"

    def test_its_timers_may_be_longer_than_others(self) -> None:
        desk = Desk(max_duration_s=60)
        timer_id = put(desk)["pending"]["id"]

        assert desk.result("timer.extend", id=timer_id, minutes=1)["duration_ms"] == HOUR_MS + 60_000
        assert desk.result("timer.restart", id=timer_id)["duration_ms"] == HOUR_MS

    @pytest.mark.parametrize(
        ("asked", "what"),
        [
            ({}, "a plan needs one of every, cron and steps; got none of them"),
            ({"every": {"hours": 1}, "steps": [{"hours": 1}]}, "got every and steps"),
            ({"cron": "0 9 * * *"}, "cron needs a zone, such as Europe/Rome or UTC"),
            ({"every": {"hours": 1}, "zone": "UTC"}, "zone belongs to cron; every counts elapsed time"),
            ({"every": {"seconds": 0.5}}, "every needs at least 1000 ms; hours, minutes and seconds came to 500 ms"),
            ({"every": {}}, "came to 0 ms"),
            ({"every": {"hours": 1e300}}, "come to more than"),
            ({"steps": [{"minutes": 1}, {"seconds": 0.9}]}, "step 2 needs at least 1000 ms"),
            ({"steps": []}, "steps"),
            ({"cron": "0 9 * * *", "zone": "Europe/Rom"}, "did you mean Europe/Rome?"),
            ({"cron": "0 9 * *", "zone": "UTC"}, "it has 4 fields where 5 are expected"),
            ({"cron": "0 25 * * *", "zone": "UTC"}, "'0 25 * * *' is no cron rule: bad hour"),
            ({"cron": "* * * * * *", "zone": "UTC"}, "it has 6 fields where 5 are expected"),
            ({"cron": "0 0 31 2 *", "zone": "UTC"}, "'0 0 31 2 *' never comes: no month that it names has such a day"),
            ({"every": {"hours": 1}, "until_ms": BEGIN_MS}, "the rule never comes"),
            ({"every": {"hours": 1}, "from_ms": BEGIN_MS + 2, "until_ms": BEGIN_MS + 1}, "the rule never comes"),
            ({"every": {"hours": 10**8}}, "the rule never comes"),
            ({"every": {"hours": 1}, "count": 0}, "count"),
            ({"every": {"hours": 1}, "missed": "some"}, "missed"),
            ({"every": {"hours": 1}, "plan": "a b"}, "plan must be 1 to 100 of the characters"),
            ({"every": {"hours": 1}, "plan": "a~b"}, "plan must be 1 to 100 of the characters"),
            ({"every": {"hours": 1}, "plan": 101 * "a"}, "plan"),
        ],
    )
    def test_bad_input_is_refused_with_what_is_allowed(self, desk: Desk, asked: dict[str, Any], what: str) -> None:
        error = desk.call("plan.put", **{"plan": "p", **asked})["error"]

        assert error["code"] == ErrorCode.INVALID_PARAMS, error
        assert what in error["data"]["reason"]
        assert desk.shard.take_writes() is None

    def test_a_rule_that_is_refused_leaves_the_plan_as_it_was(self, desk: Desk) -> None:
        before = put(desk)

        assert desk.call("plan.put", plan="p", every={"hours": 1}, until_ms=BEGIN_MS)["error"]["code"] == -32602
        assert get(desk) == before

    def test_a_put_that_is_repeated_after_the_last_moment_finds_its_plan(self, desk: Desk) -> None:
        put(desk, until_ms=BEGIN_MS + HOUR_MS)
        desk.wait(2 * HOUR_MS)

        assert put(desk, until_ms=BEGIN_MS + HOUR_MS)["state"] == "finished"


class TestRequests:
    def test_pause_cancels_what_is_pending_and_resume_counts_nothing_missed(self, desk: Desk) -> None:
        put(desk)
        assert desk.result("plan.pause", plan="p")["pending"] is None
        assert desk.result("plan.pause", plan="p")["state"] == "paused"
        desk.wait(10 * HOUR_MS + 1)

        plan = desk.result("plan.resume", plan="p")
        assert plan["pending"]["due_at_ms"] == BEGIN_MS + 11 * HOUR_MS
        assert plan["counts"] == {"fired": 0, "cancelled": 0, "skipped": 0, "missed": 0}

    def test_skip_leaves_one_out_and_a_repeated_one_no_other(self, desk: Desk) -> None:
        put(desk)
        for _ in range(2):
            plan = desk.result("plan.skip", plan="p", key="k")
        assert (plan["counts"]["skipped"], plan["pending"]["due_at_ms"]) == (1, BEGIN_MS + 2 * HOUR_MS)
        assert plan["last_skipped"] == {
            "first_ms": BEGIN_MS + HOUR_MS,
            "last_ms": BEGIN_MS + HOUR_MS,
            "count": 1,
            "reason": "skip",
        }

    @pytest.mark.parametrize("rule", [{"every": {"hours": 1}}, {"steps": [{"hours": 1}]}])
    def test_skip_of_a_paused_plan_says_to_resume_it(self, desk: Desk, rule: dict[str, Any]) -> None:
        desk.result("plan.put", plan="p", **rule)
        desk.result("plan.pause", plan="p")
        error = desk.call("plan.skip", plan="p")["error"]
        assert (error["code"], error["data"]["state"]) == (ErrorCode.WRONG_STATE, "paused")
        assert error["data"]["reason"] == "plan 'p' is paused: resume it first, and skip then"

    def test_run_starts_one_that_is_due_at_once_and_moves_nothing(self, desk: Desk) -> None:
        put(desk, payload=7)
        desk.now_ns += 1500 * NS_PER_MS
        plan = desk.result("plan.run", plan="p", key="k")

        ran = plan["ran"]
        assert (ran["id"], ran["payload"], ran["duration_ms"]) == ("p~20231114T221321.500Z", 7, 0)
        assert plan["pending"]["id"] == "p~20231114T231320Z"
        assert desk.result("plan.run", plan="p", key="k")["ran"] is None
        desk.wait(1)
        assert timers(desk)[ran["id"]] == "fired"
        assert get(desk)["counts"]["fired"] == 0

    def test_delete_cancels_what_is_pending(self, desk: Desk) -> None:
        put(desk)
        assert desk.result("plan.delete", plan="p") == {"deleted": True}
        assert desk.result("plan.delete", plan="p") == {"deleted": False}
        assert timers(desk) == {"p~20231114T231320Z": "cancelled"}
        for method in ("get", "pause", "resume", "skip", "run"):
            error = desk.call(f"plan.{method}", plan="p")["error"]
            assert (error["code"], error["data"]["plan"]) == (ErrorCode.PLAN_NOT_FOUND, "p")

    def test_list_goes_by_ids_in_pages(self, desk: Desk) -> None:
        for plan in ("b/2", "a/1", "b/1", "b/3"):
            put(desk, plan)
        desk.result("plan.delete", plan="b/3")

        page = desk.result("plan.list", prefix="b/", limit=1)
        assert [plan["plan"] for plan in page["plans"]] == ["b/1"]
        assert "next" not in page["plans"][0]
        rest = desk.result("plan.list", prefix="b/", after=page["next"])
        assert ([plan["plan"] for plan in rest["plans"]], rest["next"]) == (["b/2"], None)
        assert desk.result("server.info")["plans"] == 3

    def test_preview_tells_moments_and_stores_nothing(self, desk: Desk) -> None:
        told = desk.result("plan.preview", cron="30 1 * * *", zone="Europe/London", from_ms=1_792_713_600_000, count=4)

        assert [moment["local"] for moment in told["next"]] == [
            "2026-10-23T01:30:00+01:00",
            "2026-10-24T01:30:00+01:00",
            "2026-10-25T01:30:00+01:00",
            "2026-10-26T01:30:00+00:00",
        ]
        assert desk.shard.take_writes() is None
        error = desk.call("plan.preview", cron="0 0 30 2 *", zone="UTC")["error"]
        assert error["code"] == ErrorCode.INVALID_PARAMS


class TestTheEndOfTheCalendar:
    def test_a_rule_ends_before_it_so_that_ids_go_on(self, desk: Desk) -> None:
        """Where the timer of its last moment runs again by itself, that of a new plan needs the next id."""
        last_ms = LAST_MOMENT_MS - HOUR_MS
        error = desk.call("plan.put", plan="p", every={"seconds": 1}, from_ms=last_ms + 1)["error"]
        assert "the rule never comes" in error["data"]["reason"]

        first = put(desk, from_ms=last_ms)["pending"]["id"]
        desk.result("plan.delete", plan="p")
        desk.result("timer.restart", id=first)
        assert put(desk, from_ms=last_ms)["pending"]["id"] == "p~99991231T230000Z"


class TestCatchingUpOnRequest:
    def behind(self, desk: Desk, count: int) -> None:
        """Plans with a hundred moments each to catch up."""
        for number in range(count):
            put(desk, f"p{number}", every={"minutes": 1}, missed="all")
        desk.commit()
        desk.now_ns += DAY_MS * NS_PER_MS

    def ask(self, desk: Desk, method: str, count: int) -> tuple[int, int]:
        """How many of a batch were answered, and how many timers have fired for it."""
        answer = body(desk.send(batch(*(request(method, plan=f"p{number}") for number in range(count)))))
        return sum("result" in response for response in answer), desk.engine.counts().fired

    def test_who_looks_at_plans_has_few_timers_fire_and_the_turn_does_the_rest(self, desk: Desk) -> None:
        self.behind(desk, 100)
        assert self.ask(desk, "plan.get", 100) == (100, 200)
        while (due_ns := desk.engine.next_due_ns()) is not None and due_ns <= desk.now_ns:
            desk.engine.expire(desk.now_ns, 500)
        assert get(desk, "p99")["counts"]["fired"] == 101

    @pytest.mark.parametrize("method", ["plan.pause", "plan.delete", "plan.skip"])
    def test_who_changes_plans_gets_them_as_they_are_and_a_message_of_that_is_bounded(
        self, desk: Desk, method: str
    ) -> None:
        self.behind(desk, 100)
        answered, fired = self.ask(desk, method, 100)
        assert (answered, fired) == (1, 101)


class TestRoomOfAReply:
    def test_long_labels_of_steps_take_room_of_the_reply(self, desk: Desk) -> None:
        steps = [{"hours": 1, "label": "\N{MANTELPIECE CLOCK}" * 256}] * 100
        for number in range(50):
            put(desk, f"p{number}", every=None, steps=steps)

        answer = desk.send(batch(*[request("plan.list")] * 20))
        assert len(json.dumps(body(answer), ensure_ascii=False).encode()) < REPLY_BYTES + 2 * PAGE_BYTES

    def test_long_labels_of_steps_need_room_on_the_disk(self, desk: Desk) -> None:
        desk.engine.limit_growth(20_000)
        error = desk.call("plan.put", plan="p", steps=[{"hours": 1, "label": "x" * 256}] * 100)["error"]
        assert error["data"]["limit"] == "disk_bytes"

    def test_a_rule_that_comes_once_in_years_takes_more_of_it_than_one_that_comes_each_minute(self, desk: Desk) -> None:
        def told(*rules: str) -> list[bool]:
            previews = [request("plan.preview", cron=rule, zone="UTC", count=100) for rule in rules]
            return ["result" in response for response in body(desk.send(batch(*previews)))]

        assert told("* * * * *", "1 * * * *", "2 * * * *") == [True, True, True]
        assert told("0 0 29 2 *", "1 0 29 2 *", "2 0 29 2 *") == [True, False, False]
