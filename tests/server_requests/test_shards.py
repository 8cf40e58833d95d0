"""Several shards of one server: where timers are, what is refused of shards that others own, and what they share."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import NS_PER_MS
from drivers.sharded_desk import ShardedDesk, body
from timer_protocol.errors import ErrorCode
from timer_protocol.sender import ALL_RIGHTS, Sender
from timer_server.requests import parked as parked_module
from timer_server.requests.placement import shard_number


@pytest.fixture
def desk() -> ShardedDesk:
    return ShardedDesk(4)


class TestPlacement:
    @pytest.mark.parametrize(
        ("timer_id", "number"),
        [("a", 3), ("order/42", 0), ("x" * 128, 7), ("0197b6a0-7c11-7e0e-8000-0123456789ab", 5)],
    )
    def test_is_the_crc_32_of_the_id(self, timer_id: str, number: int) -> None:
        assert shard_number(timer_id, 16) == number

    @given(st.text("abc/~", max_size=5), st.text("019TZ~", max_size=5), st.integers(1, 1024))
    def test_what_stands_behind_the_mark_of_plans_does_not_count(self, plan: str, moment: str, count: int) -> None:
        assert shard_number(f"{plan}~{moment}", count) == shard_number(plan, count) < count


class TestOfOthers:
    """The shard 2 of four is another server's."""

    @pytest.fixture
    def desk(self) -> ShardedDesk:
        desk = ShardedDesk(4)
        desk.shards.remove(2)
        return desk

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("timer.start", {"id": "ID", "seconds": 60}),
            ("timer.get", {"id": "ID"}),
            ("timer.cancel", {"id": "ID"}),
            ("timer.wait", {"id": "ID", "wait_ms": 1000}),
            ("plan.put", {"plan": "ID", "every": {"seconds": 1}}),
            ("plan.run", {"plan": "ID"}),
        ],
    )
    def test_what_names_a_timer_there_is_refused_and_may_be_sent_again(
        self, desk: ShardedDesk, method: str, params: dict[str, Any]
    ) -> None:
        theirs, ours = desk.name_in(2), desk.name_in(3)
        error = desk.call(method, **{name: theirs if value == "ID" else value for name, value in params.items()})[
            "error"
        ]

        assert (error["code"], error["data"]["retryable"]) == (ErrorCode.SHUTTING_DOWN, True)
        assert theirs in error["data"]["reason"]
        desk.result("timer.start", id=ours, seconds=60)

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("timer.list", {}),
            ("timer.list", {"order": "due"}),
            ("timer.change_many", {"action": "cancel", "prefix": ""}),
            ("plan.list", {}),
            ("events.read", {"after": {}}),
            ("server.info", {}),
        ],
    )
    def test_what_is_about_all_timers_is_refused_and_leaves_none_out(
        self, desk: ShardedDesk, method: str, params: dict[str, Any]
    ) -> None:
        assert desk.call(method, **params)["error"]["code"] == ErrorCode.SHUTTING_DOWN

    def test_a_preview_needs_no_shard_in_particular(self, desk: ShardedDesk) -> None:
        assert desk.result("plan.preview", every={"seconds": 1})["next"]

    def test_of_many_starts_those_are_refused_under_their_own_index(self, desk: ShardedDesk) -> None:
        ids = [desk.name_in(number, "x") for number in (2, 0, 1, 2, 3, 0)]
        result = desk.result("timer.start_many", ids=ids, seconds=60)

        assert (result["started"], result["existing"]) == (3, [5])
        assert [(one["index"], one["error"]["code"]) for one in result["refused"]] == [
            (0, ErrorCode.SHUTTING_DOWN),
            (3, ErrorCode.SHUTTING_DOWN),
        ]

    def test_of_many_changes_those_are_refused_by_their_ids(self, desk: ShardedDesk) -> None:
        ids = [desk.name_in(number, "x") for number in range(4)]
        desk.result("timer.start_many", ids=ids, seconds=60)
        result = desk.result("timer.change_many", action="cancel", ids=ids)

        assert result["changed"] == 3
        assert [(one["id"], one["error"]["code"]) for one in result["refused"]] == [(ids[2], ErrorCode.SHUTTING_DOWN)]

    @pytest.mark.parametrize("prefix", ["", "shop/"])
    def test_an_id_that_is_made_is_one_of_an_own_shard(self, desk: ShardedDesk, prefix: str) -> None:
        """Also below the prefix of a key."""
        sender = Sender("shop", prefix, ALL_RIGHTS)
        made = [desk.call("timer.start", sender, seconds=60)["result"]["id"] for _ in range(20)]

        assert {shard_number(timer_id, 4) for timer_id in made} == {0, 1, 3}
        assert all(timer_id.startswith(prefix) for timer_id in made)

    def test_without_any_shard_none_is_made(self, desk: ShardedDesk) -> None:
        for number in (0, 1, 3):
            desk.shards.remove(number)

        assert desk.call("timer.start", seconds=60)["error"]["code"] == ErrorCode.SHUTTING_DOWN
        assert desk.call("plan.preview", every={"seconds": 1})["error"]["code"] == ErrorCode.SHUTTING_DOWN


class TestWaitsForEvents:
    @given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ours/", "theirs/", "late", "commit"])), max_size=40))
    def test_one_after_the_other_tell_each_event_once(self, steps: list[tuple[int, str]]) -> None:
        """Whatever others do in any log, and whether it is stored by the time that a wait is over."""
        desk = ShardedDesk(3)
        cursor, told, wanted = desk.result("server.info")["cursor"], list[str](), list[str]()
        waiting = desk.send(("events.read", {"after": cursor, "prefix": "ours/", "wait_ms": 1000}))
        for place, (number, what) in enumerate([*steps, (0, "commit")]):
            if what == "commit":
                desk.turn()
            elif what == "late":
                desk.now_ns += 1000 * NS_PER_MS
                desk.parked.expire(desk.now_ns, 10)
            else:
                timer_id = desk.name_in(number, f"{what}{place}/")
                desk.result("timer.start", id=timer_id, hours=1)
                wanted += [timer_id] if what == "ours/" else []
            while waiting is None or not waiting.missing:
                page = body(waiting)["result"]
                told += [event["timer"]["id"] for event in page["events"]]
                again = {"after": page["next"], "prefix": "ours/", "wait_ms": 1000}
                waiting = desk.send(("events.read", again))

        assert sorted(told) == sorted(wanted)


class TestTimelines:
    def test_a_list_by_deadline_goes_by_the_time_that_is_left(self, desk: ShardedDesk) -> None:
        desk.spread(2_501)
        of_shard = [desk.name_in(number) for number in range(4)]
        desk.result("timer.start_many", ids=of_shard, seconds=[4, 3, 2, 1])
        now_ms = desk.now_ns // NS_PER_MS

        page = desk.result("timer.list", order="due", due_before_ms=now_ms + 3_001)
        assert [(timer["id"], timer["remaining_ms"]) for timer in page["timers"]] == [
            (of_shard[3], 1_000),
            (of_shard[2], 2_000),
            (of_shard[1], 3_000),
        ]
        by_id = desk.result("timer.list", due_before_ms=now_ms + 3_000)
        assert {timer["id"] for timer in by_id["timers"]} == {*of_shard[2:]}

        standing = {log: told["now_ms"] for log, told in desk.result("server.info")["logs"].items()}
        assert [now_ms + ahead_ms for ahead_ms in (0, 5_002, 10_004, 2_501)] == [*standing.values()]
        assert [timer["due_at_ms"] - timer["remaining_ms"] for timer in page["timers"]] == [*standing.values()][:0:-1]

    def test_no_part_of_a_millisecond_makes_a_difference_to_what_is_due_before_a_moment(
        self, desk: ShardedDesk
    ) -> None:
        shard, now_ms = desk.shards.owned[1], desk.now_ns // NS_PER_MS
        shard.ahead_ns = NS_PER_MS // 2
        desk.result("timer.start", id=(timer_id := desk.name_in(1)), seconds=1)  # until half a millisecond later

        assert desk.result("timer.list", due_before_ms=now_ms + 1_000)["timers"] == []
        assert len(desk.result("timer.list", due_before_ms=now_ms + 1_001)["timers"]) == 1
        desk.wait(1_000)
        assert desk.result("timer.get", id=timer_id)["state"] == "running"
        desk.wait(1)
        assert desk.result("timer.get", id=timer_id)["state"] == "fired"


class TestTogether:
    def test_a_shard_that_comes_back_has_its_timers_and_their_places(self) -> None:
        desk = ShardedDesk(4, max_timers=2)
        desk.share_out({"x": 2})
        ids = [desk.name_in(number, "x") for number in range(4)]
        desk.result("timer.start_many", ids=ids[:2], seconds=60)
        desk.commit()
        desk.shards.remove(1)
        assert "result" in desk.call("timer.start", id=ids[2], seconds=60)

        desk.shards.add(desk.open(1))

        assert desk.places.pending == 3
        assert [share.pending for share in desk.places.shares or ()] == [3]
        assert desk.call("timer.start", id=ids[3], seconds=60)["error"]["code"] == ErrorCode.LIMIT_REACHED
        assert [timer["id"] for timer in desk.result("timer.list")["timers"]] == sorted(ids[:3])

    def test_timers_of_other_servers_take_places_too(self) -> None:
        desk = ShardedDesk(2, max_timers=3)
        desk.places.elsewhere = 2
        desk.result("timer.start", id="a", seconds=60)

        error = desk.call("timer.start", id="b", seconds=60)["error"]

        assert (error["code"], error["data"]["limit"]) == (ErrorCode.LIMIT_REACHED, "max_timers")
        assert "3 timers are pending" in error["data"]["reason"]
        desk.places.elsewhere = 0
        desk.result("timer.start", id="b", seconds=60)

    def test_and_those_below_a_prefix_take_of_its_share(self) -> None:
        desk, other = ShardedDesk(2), ShardedDesk(2)
        for one in (desk, other):
            one.share_out({"x": 3, "y": 1})
        other.result("timer.start_many", ids=["x1", "x2"], seconds=60)
        desk.places.hear(2, dict(other.places.told()))
        desk.result("timer.start", id="x3", seconds=60)

        error = desk.call("timer.start", id="x4", seconds=60)["error"]

        assert (error["code"], error["data"]["scope"]) == (ErrorCode.LIMIT_REACHED, "key")
        assert "3 timers are pending below 'x'" in error["data"]["reason"]
        desk.result("timer.start", id="y1", seconds=60)
        desk.places.hear(0, {})
        desk.result("timer.start", id="x4", seconds=60)

    def test_places_for_requests_that_wait_are_those_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parked_module, "PARKED_MAXIMUM", 4)
        desk = ShardedDesk(4)
        ids = [desk.name_in(number) for number in range(4)]
        desk.result("timer.start_many", ids=ids, seconds=60)
        answers = [desk.send(("timer.wait", {"id": timer_id, "wait_ms": 1000})) for timer_id in ids]

        assert [answer.missing for answer in answers if answer] == [1, 1, 0, 0]  # half of them for one connection
        assert body(answers[3])["error"]["data"]["limit"] == "parked_requests"

    @pytest.mark.parametrize("limit", [1, 7, 40])
    def test_pages_go_on_where_the_one_before_ended(self, desk: ShardedDesk, limit: int) -> None:
        ids, plans = [f"t/{number}" for number in range(40)], [f"p/{number}" for number in range(10)]
        desk.result("timer.start_many", ids=ids, seconds=[60 + (7 * number) % 40 for number in range(40)])
        for plan in plans:
            desk.result("plan.put", plan=plan, every={"hours": 1})
        desk.result("timer.cancel", id="t/5")
        desk.commit()

        timers = desk.pages("timer.list", "timers", limit=limit)
        assert [timer["id"] for timer in timers[10:]] == sorted(ids)
        assert [plan["plan"] for plan in desk.pages("plan.list", "plans", limit=limit)] == plans
        due = desk.result("timer.list", order="due", limit=limit, prefix="t/")
        assert [timer["seconds"] for timer in due["timers"]] == [60 + at for at in range(40) if at != 35][:limit]
        assert due.get("complete", True) == (limit == 40)

    def test_a_page_of_changes_goes_by_ids_over_all(self, desk: ShardedDesk) -> None:
        ids = sorted(f"t/{number}" for number in range(40))
        desk.result("timer.start_many", ids=ids, seconds=60)
        page = desk.result("timer.change_many", action="pause", prefix="", limit=7)

        assert (page["changed"], page["next"]) == (7, ids[6])
        assert [timer["id"] for timer in desk.result("timer.list", state="paused")["timers"]] == ids[:7]

    def test_a_batch_waits_for_timers_of_several(self, desk: ShardedDesk) -> None:
        ids = [desk.name_in(number) for number in range(4)]
        desk.result("timer.start_many", ids=ids, seconds=[1, 2, 3, 4])
        answer = desk.send(*(("timer.wait", {"id": timer_id, "wait_ms": 3000}) for timer_id in ids))

        assert desk.wait(2999) == []
        assert desk.wait(1) == [answer]
        assert [reply["result"]["state"] for reply in body(answer)] == ["fired", "fired", "fired", "running"]

    def test_whoever_waits_for_an_event_is_woken_by_that_of_any(self, desk: ShardedDesk) -> None:
        cursor = desk.result("server.info")["cursor"]
        for number in range(4):
            answer = desk.send(("events.read", {"after": cursor, "wait_ms": 1000}))
            desk.result("timer.start", id=(timer_id := desk.name_in(number)), seconds=60)
            assert desk.turn() == [answer]
            page = body(answer)["result"]
            assert [event["timer"]["id"] for event in page["events"]] == [timer_id]
            cursor = page["next"]

    def test_each_remembers_its_part_of_the_ended_timers(self) -> None:
        """Where there are too many, those go that have more than others."""
        desk = ShardedDesk(2, max_timers=10)
        many, few = ([desk.name_in(number, f"{at}/") for at in range(count)] for number, count in ((0, 10), (1, 3)))
        for timer_id in [*few, *many]:
            desk.result("timer.start", id=timer_id, seconds=1)
            desk.result("timer.cancel", id=timer_id)
        desk.forget()

        assert [timer["id"] for timer in desk.pages("timer.list", "timers")] == sorted([*few, *many[3:]])
