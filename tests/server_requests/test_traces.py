"""Traces of starts: kept with the timer, given with its deliveries and nowhere else, and no part of what is asked."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from drivers.builders import NS_PER_MS, NS_PER_S
from drivers.desk import Desk
from server_requests.queue_desk import QueueCluster
from timer_protocol.errors import ErrorCode

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = {"traceparent": PARENT}
OTHER = {"traceparent": PARENT.replace("4bf9", "aaaa"), "tracestate": "congo=t61rcWkgMzE,rojo=1"}
LONG = {"traceparent": PARENT, "tracestate": "k=" + "v" * 256 + ",l=" + "w" * 250}
"""One that is too large to be repeated in each entry."""


@pytest.fixture
def desk() -> Desk:
    """A queue `q` of all ends."""
    desk = Desk(retention_s=60)
    desk.result("queue.put", queue="q", prefix="", states=["fired", "cancelled"], max_deliveries=2)
    return desk


def started(desk: Desk, timer_id: str, **params: Any) -> dict[str, Any]:
    timer: dict[str, Any] = desk.result("timer.start", id=timer_id, seconds=1, **params)
    return timer


def change(desk: Desk, action: str, ids: Iterable[str]) -> None:
    desk.now_ns += NS_PER_MS
    for timer_id in ids:
        desk.result(f"timer.{action}", id=timer_id, key=f"at {desk.now_ns}")


def traces(desk: Desk, key: str = "k") -> dict[str, Any]:
    """The trace of each delivery that there is, by the timer's id."""
    taken = desk.result("queue.take", queue="q", max=100, key=key)["deliveries"]
    return {delivery["event"]["timer"]["id"]: delivery.get("trace", "none") for delivery in taken}


def test_it_comes_back_with_the_delivery_alone(desk: Desk) -> None:
    answers = [started(desk, "a", trace=OTHER), started(desk, "b"), desk.result("timer.get", id="a")]
    desk.wait(1000)
    answers += [desk.result("timer.get", id="a"), desk.result("timer.list"), desk.result("events.read", after={})]

    assert traces(desk) == {"a": OTHER, "b": "none"}

    receipts = [one["receipt"] for one in desk.result("queue.take", queue="q", max=9, key="k")["deliveries"]]
    desk.result("queue.nack", queue="q", receipts=receipts, then="dead")
    answers.append(desk.result("queue.dead", queue="q"))
    assert "trace" not in json.dumps(answers)
    desk.result("queue.revive", queue="q")
    assert traces(desk, "anew") == {"a": OTHER, "b": "none"}


def test_it_is_no_part_of_what_is_asked_and_the_first_stays(desk: Desk) -> None:
    started(desk, "a", trace=TRACE)
    started(desk, "b")
    for trace in ({"trace": OTHER}, {}, {"trace": None}):
        assert started(desk, "a", **trace)["version"] == 1
        assert started(desk, "b", **trace)["version"] == 1
    many = desk.result("timer.start_many", ids=["a", "b"], seconds=2, traces=OTHER)
    assert [one["error"]["data"]["name"] for one in many["refused"]] == ["id_conflict", "id_conflict"]
    desk.wait(1000)

    assert started(desk, "a", trace=OTHER)["state"] == "fired"
    assert traces(desk) == {"a": TRACE, "b": "none"}

    desk.now_ns += 100 * NS_PER_S
    desk.forget(desk.now_ns)
    started(desk, "a")
    change(desk, "cancel", "a")
    assert traces(desk, "again, and of another timer with the id") == {"a": "none", "b": "none"}


def test_it_stays_with_its_timer_through_changes_and_starts_of_the_server(desk: Desk) -> None:
    """Also where the spec stands in an entry of its own, and where retention has passed what can be forgotten."""
    wanted = {"small": TRACE, "long": LONG, "large": OTHER, "none": "none"}
    for timer_id, payload in (("small", 1), ("long", 1), ("large", "x" * 1000), ("none", "x" * 1000)):
        trace = {} if timer_id == "none" else {"trace": wanted[timer_id]}
        started(desk, timer_id, payload=payload, **trace)
    change(desk, "pause", wanted)
    desk.now_ns += 100 * NS_PER_S
    desk.forget(desk.now_ns)
    desk.reload()
    change(desk, "resume", wanted)
    change(desk, "cancel", wanted)
    assert traces(desk, "in the turn of the ends") == wanted
    desk.end_turn()
    desk.reload()
    assert traces(desk, "in the turn of the ends") == wanted

    change(desk, "restart", wanted)
    desk.end_turn()
    desk.reload()
    change(desk, "cancel", wanted)
    desk.end_turn()
    desk.reload()
    assert traces(desk, "of the second ends") == wanted

    desk.now_ns += 100 * NS_PER_S
    desk.forget(desk.now_ns)
    started(desk, "small")
    change(desk, "cancel", ["small"])
    assert traces(desk, "again, and of another timer with the id") == {**wanted, "small": "none"}


def test_it_stays_with_a_timer_that_a_restart_finds_overdue(desk: Desk) -> None:
    started(desk, "a", trace=TRACE)
    started(desk, "b")
    desk.now_ns += 2 * NS_PER_S
    change(desk, "restart", "ab")  # before anything else has ended them
    assert desk.result("timer.get", id="a")["state"] == "running"
    change(desk, "cancel", "ab")

    taken = desk.result("queue.take", queue="q", max=9, key="k")["deliveries"]
    given = [(one["event"]["timer"]["id"], one["event"]["kind"], one.get("trace", "none")) for one in taken]
    assert sorted(given) == sorted(
        (timer_id, kind, trace) for timer_id, trace in (("a", TRACE), ("b", "none")) for kind in ("fired", "cancelled")
    )


def test_many_may_share_one_or_have_one_each(desk: Desk) -> None:
    ids = {"seconds": 1, "payloads": [1, 2, 3]}
    assert desk.result("timer.start_many", ids=["a", "b", "c"], **ids, traces=TRACE)["started"] == 3
    assert desk.result("timer.start_many", ids=["d", "e", "f"], **ids, traces=[OTHER, None, TRACE])["started"] == 3
    desk.wait(1000)

    assert traces(desk) == {**dict.fromkeys("abc", TRACE), "d": OTHER, "e": "none", "f": TRACE}


def test_a_bad_one_is_refused_with_what_is_allowed(desk: Desk) -> None:
    for bad, said in (
        ({"traceparent": "00-1-2-3"}, "trace: traceparent is '00-1-2-3', but has to be 00-<32 digits>-"),
        ({**TRACE, "tracestate": "a"}, "trace: tracestate is 'a', but has at most 512 characters"),
        ({"tracestate": "a=1"}, "traceparent"),
        ({**TRACE, "baggage": "a=1"}, "baggage"),
        (PARENT, "trace"),
    ):
        error = desk.call("timer.start", id="a", seconds=1, trace=bad)["error"]
        assert error["code"] == ErrorCode.INVALID_PARAMS
        assert said in error["data"]["reason"]
    refused = desk.result("timer.start_many", ids=["a", "b"], seconds=1, traces=[{"traceparent": "x"}, TRACE])
    assert refused["started"] == 1
    assert "traceparent is 'x'" in refused["refused"][0]["error"]["data"]["reason"]
    uneven = desk.call("timer.start_many", ids=["a"], seconds=1, traces=[])["error"]
    assert "traces has 0 elements for 1 id" in uneven["data"]["reason"]


def test_its_bytes_count_where_the_disk_is_nearly_full(desk: Desk) -> None:
    for params, room in (({}, 1004), ({"trace": LONG}, 1004 + 25 + len(LONG["tracestate"]))):
        for left, outcome in ((room - 1, "error"), (room, "result")):
            desk.engine.limit_growth(left)
            assert outcome in desk.call("timer.start", id=f"{room}", seconds=1, **params)


def test_whichever_server_has_the_shard_gives_it() -> None:
    """Servers pass starts and takes on to one another, and shards change hands."""
    desk = QueueCluster(3)
    desk.result("queue.put", queue="q", prefix="")
    ids = [desk.name_in(number, f"t{number}/") for number in range(3)]
    each: list[Any] = [TRACE, None, OTHER]
    assert desk.result("timer.start_many", ids=ids, seconds=1, traces=each)["started"] == 3
    alone = desk.name_in(1, "alone/")
    desk.result("timer.start", id=alone, seconds=1, trace=LONG)
    desk.turn()
    for number in range(3):
        desk.give(number, 1)
    desk.wait(1000)

    taken = desk.result("queue.take", queue="q", max=10, key="k")["deliveries"]
    found = {one["event"]["timer"]["id"]: one.get("trace") for one in taken}
    assert found == {**dict(zip(ids, each, strict=True)), alone: LONG}
