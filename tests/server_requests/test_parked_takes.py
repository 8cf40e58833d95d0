"""Takes that wait: served in turn within the turn in which an end is ready, and told once that is stored."""

from typing import Any

import pytest

from drivers.builders import NS_PER_MS
from drivers.desk import Desk, batch, body, request
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.requests import parked
from timer_server.requests.answers import JsonAnswer


@pytest.fixture
def desk() -> Desk:
    """A queue `q` of the ends below `e/`, and timers there that end after 1, 2 and 3 seconds."""
    desk = Desk()
    desk.result("queue.put", queue="q", prefix="e/", lease_ms=10_000)
    for number in (1, 2, 3):
        desk.start(f"e/{number}", seconds=number)
    desk.end_turn()
    return desk


def waiting(desk: Desk, request_id: int = 1, **params: Any) -> JsonAnswer:
    return desk.park("queue.take", request_id, **{"queue": "q", "wait_ms": 60_000, **params})


def got(answer: JsonAnswer) -> list[str]:
    """The ids of the ends in the answer to a take."""
    return [delivery["event"]["timer"]["id"] for delivery in body(answer)["result"]["deliveries"]]


def test_one_end_wakes_one_taker_and_they_are_served_in_turn(desk: Desk) -> None:
    first, second = waiting(desk, 1), waiting(desk, 2)

    assert desk.wait(1000) == [first]
    third = waiting(desk, 3)
    assert desk.wait(1000) == [second]
    assert desk.wait(1000) == [third]

    assert [got(one) for one in (first, second, third)] == [["e/1"], ["e/2"], ["e/3"]]
    assert len(desk.parked) == 0


def test_what_is_taken_is_stored_in_the_turn_that_tells_it(desk: Desk) -> None:
    answer = waiting(desk)
    desk.now_ns += 1000 * NS_PER_MS
    desk.engine.expire(desk.now_ns, 10)
    desk.shards.serve_takes(desk.now_ns)
    assert desk.parked.take_ready() == [answer]
    desk.commit()

    desk.reload()

    assert desk.result("queue.get", queue="q")["leased"] == 1


def test_takes_as_many_as_it_asked_for(desk: Desk) -> None:
    answer, other = waiting(desk, 1, max=2), waiting(desk, 2, max=2)

    assert desk.wait(3000) == [answer, other]
    assert (got(answer), got(other)) == (["e/1", "e/2"], ["e/3"])


def test_a_new_take_comes_after_those_that_wait(desk: Desk) -> None:
    answer = waiting(desk)
    desk.now_ns += 1000 * NS_PER_MS
    desk.engine.expire(desk.now_ns, 10)

    assert desk.result("queue.take", queue="q") == {"deliveries": []}
    assert desk.end_turn() == [answer]
    assert got(answer) == ["e/1"]


@pytest.mark.parametrize("given_back", [{"then": "return"}, {"delay_ms": 5000}, {"then": "dead"}, None], ids=str)
def test_one_that_comes_again_wakes_a_taker_too(desk: Desk, given_back: dict[str, Any] | None) -> None:
    desk.wait(1000)
    (taken,) = desk.result("queue.take", queue="q")["deliveries"]
    receipts = [taken["receipt"]]
    for timer_id in ("e/2", "e/3"):
        desk.result("timer.cancel", id=timer_id)
    answer = waiting(desk)
    if given_back is not None:
        desk.result("queue.nack", queue="q", receipts=receipts, **given_back)
    if given_back == {"then": "dead"}:
        desk.result("queue.revive", queue="q", receipts=receipts)

    assert desk.wait(10_000) == [answer]
    assert got(answer) == ["e/1"]


def test_is_empty_when_its_time_is_up(desk: Desk) -> None:
    answer = waiting(desk, wait_ms=500)
    assert desk.wait(499) == []

    assert desk.wait(1) == [answer]
    assert body(answer)["result"] == {"deliveries": []}
    assert desk.wait(1000) == []


def test_a_repeat_takes_the_place_of_the_one_that_waits(desk: Desk) -> None:
    first, other = waiting(desk, 1, key="k"), waiting(desk, 2, key="l")
    repeat = waiting(desk, 3, key="k")

    assert desk.end_turn() == [first]
    assert got(first) == []
    assert desk.wait(1000) == [repeat]
    assert desk.wait(1000) == [other]
    assert (got(repeat), got(other)) == (["e/1"], ["e/2"])


def test_a_repeat_that_does_not_wait_ends_the_one_that_does(desk: Desk) -> None:
    first = waiting(desk, 1, key="k")

    assert desk.result("queue.take", queue="q", key="k") == {"deliveries": []}

    assert desk.end_turn() == [first]
    assert desk.wait(1000) == []


def test_the_same_key_in_another_queue_is_another_take(desk: Desk) -> None:
    desk.result("queue.put", queue="r", prefix="")
    first = waiting(desk, 1, key="k")
    other = waiting(desk, 2, key="k", queue="r")

    assert len(desk.wait(1000)) == 2
    assert got(first) == got(other) == ["e/1"]


def test_who_waits_for_a_queue_that_is_deleted_is_told_so(desk: Desk) -> None:
    answer = waiting(desk)
    desk.result("queue.delete", queue="q")

    assert desk.end_turn() == [answer]
    assert body(answer)["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND


def test_who_waits_for_a_queue_that_gets_another_prefix_has_to_ask_again(desk: Desk) -> None:
    answer = waiting(desk)
    desk.result("queue.put", queue="q", prefix="e/", max_dead=1)
    assert desk.end_turn() == []
    desk.result("queue.put", queue="q", prefix="f/")

    assert desk.end_turn() == [answer]
    assert got(answer) == []


def test_two_of_one_batch_are_answered_together(desk: Desk) -> None:
    answer = desk.send(
        batch(
            request("queue.take", 1, queue="q", wait_ms=60_000),
            request("queue.take", 2, queue="q", wait_ms=60_000),
        )
    )
    assert desk.wait(1000) == []
    assert desk.wait(1000) == [answer]

    assert [[one["event"]["timer"]["id"] for one in response["result"]["deliveries"]] for response in body(answer)] == [
        ["e/1"],
        ["e/2"],
    ]


def test_nothing_is_taken_for_a_batch_that_has_no_room_to_keep_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "_TAKEN_BYTES", parked.PARKED_BYTES)
    answer = desk.send(
        batch(
            request("queue.take", 1, queue="q", wait_ms=60_000),
            request("timer.wait", 2, id="e/2", wait_ms=60_000),
        )
    )
    desk.wait(1000)
    desk.wait(1000)

    taken, _ = body(answer)
    assert taken["error"]["data"]["limit"] == "parked_bytes"
    assert desk.result("queue.get", queue="q")["ready"] == 2


def test_a_waiting_take_is_a_parked_request_and_gives_way_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "PARKED_MAXIMUM", 4)
    desk = Desk()
    desk.result("queue.put", queue="q", prefix="e/")
    waits = [waiting(desk, number) for number in range(2)]
    refused = desk.call("queue.take", queue="q", wait_ms=60_000)["error"]["data"]
    assert (refused["limit"], refused["maximum"], refused["scope"]) == ("parked_requests", 2, "connection")
    desk.wait(1000)

    waiting(desk, 3)

    assert desk.end_turn() == waits[:1]
    assert got(waits[0]) == []


def test_a_herd_is_served_over_several_turns(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "_TAKE_COST", 20_000)
    answers = [waiting(desk, number) for number in range(3)]

    assert desk.wait(3000) == answers[:1]
    assert desk.parked.next_due_ns() == 0
    assert desk.end_turn() == answers[1:2]
    assert desk.end_turn() == answers[2:]


def test_all_are_told_when_the_server_stops(desk: Desk) -> None:
    answer = waiting(desk)

    assert desk.fail_all(Refusal(ErrorCode.SHUTTING_DOWN, "stopping")) == [answer]
    assert desk.wait(1000) == []
    assert desk.result("queue.get", queue="q")["ready"] == 1


def test_nothing_is_left_of_those_that_are_answered(desk: Desk) -> None:
    for number in range(100):
        waiting(desk, number, key=f"k{number % 7}", wait_ms=1 + number)
    desk.wait(500)

    assert [*vars(desk.parked._waiters).values(), desk.parked._to_serve] == [{}] * 5
