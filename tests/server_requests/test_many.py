"""Many timers at once through requests: what comes back, what is refused as a whole, and what a message may cost."""

import json
from typing import Any

import pytest

from drivers.builders import BEGIN_NS, NS_PER_S
from drivers.desk import Desk, batch, body, request
from timer_protocol.errors import ErrorCode


@pytest.fixture
def desk() -> Desk:
    return Desk(max_batch=100)


def names(refused: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """Which of many were refused, and by the name of which error."""
    return [(one.get("index", one.get("id")), one["error"]["data"]["name"]) for one in refused]


def fault(response: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return response["error"]["code"], response["error"]["data"]


class TestStartMany:
    def test_columns_become_timers(self, desk: Desk) -> None:
        result = desk.result(
            "timer.start_many",
            ids=["a", "b"],
            seconds=[60, 0.5],
            labels=["tea", ""],
            payloads=[{"n": 1}, None],
        )

        assert result == {"started": 2, "existing": [], "refused": []}
        assert desk.result("timer.get", id="a")["payload"] == {"n": 1}
        timer = desk.result("timer.get", id="b")
        assert (timer["duration_ms"], timer["label"], timer["payload"]) == (500, "", None)
        assert len(desk.commit()) == 2

    def test_same_again_is_existing_also_once_they_have_ended(self, desk: Desk) -> None:
        many = {"ids": ["a", "b", "a"], "seconds": 60, "payloads": [1, 2, 1]}
        assert desk.result("timer.start_many", **many) == {"started": 2, "existing": [2], "refused": []}
        desk.call("timer.cancel", id="a")
        desk.commit()

        assert desk.result("timer.start_many", **many) == {"started": 0, "existing": [0, 1, 2], "refused": []}

    def test_what_one_start_would_be_refused_for_is_refused_of_that_one(self) -> None:
        desk = Desk(max_timers=3, max_payload_bytes=10)
        desk.start("taken", seconds=5)
        result = desk.result(
            "timer.start_many",
            ids=["taken", "no id", "a", "b", "c", "d", "e", "f", "g"],
            seconds=[60, 60, 60, 0, -1, 60, 60, 60, 60],
            labels=["", "", "", "", "", "x" * 257, "", "", ""],
            payloads=[None, None, None, None, None, None, "x" * 20, None, None],
        )

        assert result["started"] == 2
        assert names(result["refused"]) == [
            (0, "id_conflict"),
            (1, "invalid_params"),
            (3, "invalid_params"),
            (4, "invalid_params"),
            (5, "invalid_params"),
            (6, "limit_reached"),
            (8, "limit_reached"),
        ]
        assert result["refused"][-1]["error"]["data"]["limit"] == "max_timers"

    @pytest.mark.parametrize(
        "params",
        [
            {"ids": ["a", "b"], "seconds": [60]},
            {"ids": ["a"], "seconds": 60, "labels": []},
            {"ids": ["a"], "seconds": 60, "payloads": [1, 2]},
            {"ids": ["a", 7], "seconds": 60},
            {"ids": ["a"], "seconds": "60"},
            {"ids": ["a"]},
            {"seconds": 60},
        ],
    )
    def test_columns_that_do_not_fit_start_nothing(self, desk: Desk, params: dict[str, Any]) -> None:
        code, _ = fault(desk.call("timer.start_many", **params))

        assert code == ErrorCode.INVALID_PARAMS
        assert desk.commit() == []

    def test_more_than_a_batch_may_have_is_refused_as_a_whole(self, desk: Desk) -> None:
        code, data = fault(desk.call("timer.start_many", ids=[f"a/{n}" for n in range(101)], seconds=60))

        assert (code, data["limit"], data["maximum"]) == (ErrorCode.LIMIT_REACHED, "max_batch", 100)
        assert desk.commit() == []

    def test_none_are_none(self, desk: Desk) -> None:
        assert desk.result("timer.start_many", ids=[], seconds=60) == {"started": 0, "existing": [], "refused": []}


class TestChangeMany:
    @pytest.fixture
    def desk(self) -> Desk:
        """Three timers of a shop, of which one is paused, and one of a bank."""
        desk = Desk()
        desk.result("timer.start_many", ids=["shop/1", "shop/2", "shop/3", "bank/1"], seconds=60)
        desk.result("timer.pause", id="shop/2")
        desk.commit()
        return desk

    def test_all_below_a_prefix(self, desk: Desk) -> None:
        assert desk.result("timer.change_many", action="pause", prefix="shop/") == {
            "changed": 2,
            "unchanged": 1,
            "refused": [],
            "next": None,
        }
        assert desk.result("server.info")["counts"]["running"] == 1

    def test_page_by_page(self, desk: Desk) -> None:
        page = desk.result("timer.change_many", action="cancel", prefix="", limit=3)
        assert (page["changed"], page["next"]) == (3, "shop/2")
        page = desk.result("timer.change_many", action="cancel", prefix="", limit=3, after=page["next"])
        assert (page["changed"], page["next"]) == (1, None)

    def test_those_that_are_named_say_why_they_are_not_changed(self, desk: Desk) -> None:
        desk.call("timer.cancel", id="bank/1")
        desk.now_ns += 60 * NS_PER_S
        result = desk.result(
            "timer.change_many", action="resume", ids=["shop/2", "shop/1", "nobody", "bank/1", "shop/2"]
        )

        assert (result["changed"], result["unchanged"], result["next"]) == (1, 0, None)
        assert names(result["refused"]) == [
            ("bank/1", "wrong_state"),
            ("nobody", "timer_not_found"),
            ("shop/1", "wrong_state"),
        ]

    def test_timer_that_has_fired_by_now_is_not_met_below_a_prefix(self, desk: Desk) -> None:
        desk.now_ns += 60 * NS_PER_S

        result = desk.result("timer.change_many", action="cancel", prefix="")
        assert (result["changed"], result["unchanged"], result["refused"]) == (1, 0, [])

    def test_ended_ones_are_run_again_if_that_is_asked_for(self, desk: Desk) -> None:
        desk.result("timer.change_many", action="cancel", prefix="")
        desk.commit()
        restart = {"action": "restart", "prefix": "shop/", "states": ["cancelled"], "key": "again"}

        assert desk.result("timer.change_many", **restart)["changed"] == 3
        assert desk.result("timer.change_many", **{**restart, "states": ["running"]})["unchanged"] == 3

    def test_dry_run_has_no_effect(self, desk: Desk) -> None:
        result = desk.result("timer.change_many", action="cancel", prefix="shop/", dry_run=True)

        assert (result["changed"], result["next"]) == (3, None)
        assert desk.commit() == []

    def test_ids_are_at_most_a_thousand(self, desk: Desk) -> None:
        code, _ = fault(desk.call("timer.change_many", action="pause", ids=[str(n) for n in range(1001)]))

        assert code == ErrorCode.INVALID_PARAMS

    def test_large_payloads_end_a_page(self) -> None:
        desk = Desk(max_payload_bytes=2_000_000)
        for number in range(4):
            desk.start(f"a/{number}", payload=json.dumps("x" * 1_900_000).encode())

        assert desk.result("timer.change_many", action="pause", prefix="")["next"] == "a/2"


@pytest.mark.parametrize("request_id", [1, None])
def test_message_may_not_multiply_many_by_a_batch(request_id: int | None) -> None:
    """Also where nobody is to be answered."""
    desk = Desk()
    starts = [
        json.loads(request("timer.start_many", 1, ids=[f"{part}/{n}" for n in range(1000)], seconds=60))
        for part in range(5)
    ]
    if request_id is None:
        for start in starts:
            del start["id"]
    answer = desk.send(batch(*(json.dumps(start).encode() for start in starts)))

    assert len(desk.commit()) == 2000
    if request_id is not None:
        assert [response.get("error", {}).get("data", {}).get("limit") for response in body(answer)] == [
            None,
            None,
            *3 * ["reply_entries"],
        ]


def test_what_has_to_be_read_from_the_log_is_bounded() -> None:
    desk = Desk(max_payload_bytes=1_000_000, max_message_bytes=100_000)
    ids = [f"a/{number}" for number in range(20)]
    for timer_id in ids:
        desk.start(timer_id, payload=json.dumps("x" * 990_000).encode())
    desk.result("timer.change_many", action="cancel", ids=ids[:5])
    for timer_id in ids[5:]:
        desk.call("timer.cancel", id=timer_id)
    desk.commit()

    result = desk.result("timer.start_many", ids=[*ids, "new"], seconds=60)
    limits = [one["error"]["data"].get("limit") for one in result["refused"]]
    assert (result["started"], limits) == (1, 17 * [None] + 3 * ["reply_bytes"])


class TestListing:
    @pytest.fixture
    def desk(self) -> Desk:
        """Timers that are due in the order of their numbers, and others that are not."""
        desk = Desk()
        for number in (3, 1, 2, 4):
            desk.start(f"{'odd' if number % 2 else 'even'}/{number}", seconds=10 * number, payload=b'{"a":1}')
        desk.start("odd/paused", seconds=5)
        desk.call("timer.pause", id="odd/paused")
        desk.start("odd/cancelled", seconds=5)
        desk.call("timer.cancel", id="odd/cancelled")
        desk.commit()
        return desk

    def listed(self, desk: Desk, **params: Any) -> list[str]:
        """The last parts of the ids of the timers that are listed."""
        page = desk.result("timer.list", **params)
        assert page["next"] is None
        assert page.get("complete", True)
        return [timer["id"].partition("/")[2] for timer in page["timers"]]

    def test_states(self, desk: Desk) -> None:
        assert self.listed(desk, states=["paused", "cancelled"]) == ["cancelled", "paused"]
        assert self.listed(desk, states=["running"]) == self.listed(desk, state="running")

    def test_due_before(self, desk: Desk) -> None:
        assert self.listed(desk, due_before_ms=BEGIN_NS // 1_000_000 + 30_000) == ["2", "1"]

    def test_in_the_order_of_deadlines(self, desk: Desk) -> None:
        assert self.listed(desk, order="due") == ["1", "2", "3", "4"]
        assert self.listed(desk, order="due", prefix="odd/") == ["1", "3"]
        assert self.listed(desk, order="due", due_before_ms=BEGIN_NS // 1_000_000 + 30_001, states=["running"]) == [
            "1",
            "2",
            "3",
        ]

    def test_more_than_is_shown_is_said(self, desk: Desk) -> None:
        page = desk.result("timer.list", order="due", limit=3)

        assert (len(page["timers"]), page["next"], page["complete"]) == (3, None, False)
        assert self.listed(desk, order="due", limit=4) == ["1", "2", "3", "4"]

    def test_looks_by_deadline_are_bounded_in_a_message(self) -> None:
        desk = Desk()
        for part in range(11):
            desk.result("timer.start_many", ids=[f"{part}/{n}" for n in range(1000)], seconds=60)
        answers = body(desk.send(batch(*3 * [request("timer.list", order="due", prefix="x")])))

        assert answers[0]["result"] == {"timers": [], "next": None, "complete": False}
        assert [answer["error"]["data"]["limit"] for answer in answers[1:]] == 2 * ["reply_entries"]

    def test_payloads_are_left_out_and_count_no_more(self) -> None:
        desk = Desk(max_payload_bytes=2_000_000)
        for number in range(4):
            desk.start(f"a/{number}", payload=json.dumps("x" * 1_900_000).encode())

        for order in ("id", "due"):
            assert len(desk.result("timer.list", order=order)["timers"]) == 3
            page = desk.result("timer.list", order=order, omit=["payload"])
            assert [set(timer) & {"id", "payload"} for timer in page["timers"]] == 4 * [{"id"}]
        assert desk.result("timer.list", order="due")["complete"] is False

    @pytest.mark.parametrize(
        ("params", "said"),
        [
            ({"state": "paused", "states": ["paused"]}, "state and states say the same"),
            ({"order": "due", "after": "a"}, "after goes on in the order of ids"),
            ({"order": "due", "states": ["paused", "running"]}, "order 'due' lists running timers only"),
            ({"due_before_ms": 1, "state": "fired"}, "due_before_ms lists running timers only"),
            ({"states": []}, "length >= 1"),
            ({"omit": ["label"]}, "label"),
            ({"order": "label"}, "label"),
        ],
    )
    def test_what_makes_no_sense_is_said(self, desk: Desk, params: dict[str, Any], said: str) -> None:
        code, data = fault(desk.call("timer.list", **params))

        assert code == ErrorCode.INVALID_PARAMS
        assert said in data["reason"]
