"""How much may wait, and how much of it is answered in one turn: what is let go, what is refused, what comes later."""

import gc
import weakref
from collections.abc import Callable

import pytest

from drivers.builders import LOG_ID
from drivers.desk import Desk, batch, body, request
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.sender import EVERYBODY
from timer_server.requests import parked as parked_module
from timer_server.requests.answers import JsonAnswer
from timer_server.requests.parked import Parked
from timer_server.requests.waits import WaitForEnd, WaitForEvent

MINUTE_MS = 60_000
REFUSAL = Refusal(ErrorCode.SHUTTING_DOWN, "later")


def _narrow_desk(monkeypatch: pytest.MonkeyPatch, **limits: int) -> Desk:
    """A desk with lower limits and one timer of a minute, stored. Half of them is for one connection."""
    for name, value in limits.items():
        monkeypatch.setattr(parked_module, name, value)
    desk = Desk()
    desk.start("a")
    desk.end_turn()
    return desk


class TestBounds:
    def test_next_due_is_the_earliest_that_still_waits(self, desk: Desk) -> None:
        assert desk.parked.next_due_ns() is None
        desk.park("timer.wait", id="a", wait_ms=3000)
        desk.park("events.read", after={LOG_ID: 1}, wait_ms=1000)
        assert desk.parked.next_due_ns() == desk.now_ns + 1000 * 1_000_000
        desk.start("b")
        desk.end_turn()

        assert desk.parked.next_due_ns() == desk.now_ns + 3000 * 1_000_000

    def test_one_more_than_may_wait_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = _narrow_desk(monkeypatch, PARKED_MAXIMUM=4)
        desk.park("timer.wait", id="a", wait_ms=1000)
        desk.park("timer.wait", id="a", wait_ms=1000)

        error = desk.call("timer.wait", id="a", wait_ms=1000)["error"]
        assert (error["code"], error["data"]["limit"]) == (ErrorCode.LIMIT_REACHED, "parked_requests")
        desk.wait(1000)

        desk.park("timer.wait", id="a", wait_ms=1000)

    def test_bytes_kept_for_those_who_wait_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = _narrow_desk(monkeypatch, PARKED_BYTES=6000)
        desk.start("large", payload=b'"' + b"x" * 2000 + b'"')
        desk.commit()
        asked = batch(request("timer.get", 1, id="large"), request("timer.wait", 2, id="a", wait_ms=1000))
        kept = desk.send(asked)

        _, waiting = body(desk.send(asked))
        error = waiting["error"]
        assert (error["code"], error["data"]["limit"]) == (ErrorCode.LIMIT_REACHED, "parked_bytes")
        assert desk.wait(1000) == [kept]

        assert isinstance(again := desk.send(asked), JsonAnswer)
        assert again.missing == 1

    def test_what_one_part_waits_with_for_another_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = _narrow_desk(monkeypatch, PARKED_BYTES=2000)
        desk.start("large", payload=b'"' + b"x" * 2000 + b'"')
        desk.commit()
        answer = desk.send(
            batch(
                request("timer.wait", 1, id="large", wait_ms=9000),
                request("timer.wait", 2, id="a", wait_ms=9000),
            )
        )
        desk.call("timer.cancel", id="large")
        assert desk.end_turn() == []
        desk.call("timer.cancel", id="a")

        assert desk.end_turn() == [answer]
        large, small = body(answer)
        assert large["error"]["data"]["limit"] == "parked_bytes"
        assert small["result"]["state"] == "cancelled"

    def test_what_one_part_waited_with_is_let_go_with_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = _narrow_desk(monkeypatch, PARKED_BYTES=2000)
        for _ in range(5):
            answer = desk.send(
                batch(
                    request("timer.wait", 1, id="a", wait_ms=1000),
                    request("timer.wait", 2, id="a", wait_ms=2000),
                )
            )
            assert desk.wait(1000) == []
            assert desk.wait(1000) == [answer]
            assert all("result" in response for response in body(answer))

    @pytest.mark.parametrize(
        "end",
        [
            lambda desk: desk.wait(1000),
            lambda desk: (desk.call("timer.cancel", id="a"), desk.end_turn(), desk.call("timer.restart", id="a")),
            lambda desk: desk.fail_all(REFUSAL),
        ],
        ids=["time is up", "the timer ends", "all fail"],
    )
    def test_what_was_answered_is_let_go(self, end: Callable[[Desk], object]) -> None:
        desk = Desk(retention_s=1)
        desk.start("a", hours=1)
        desk.end_turn()
        answers = [_parked(desk, 1000) for _ in range(200)]
        _parked(desk, 3_600_000)
        end(desk)
        gc.collect()

        assert sum(answer() is not None for answer in answers) < 100

    def test_waiting_again_and_again_holds_nothing(self) -> None:
        desk = Desk()
        desk.start("a", hours=10)
        desk.end_turn()

        answers = []
        for _ in range(1000):
            answers.append(_parked(desk, 1000))
            desk.wait(1000)
        gc.collect()

        assert sum(answer() is not None for answer in answers) == 0
        assert len(desk.parked) == 0


class TestMoreThanOneTurnAnswers:
    @pytest.fixture
    def parked(self, desk: Desk) -> list[JsonAnswer]:
        """Five who wait for the same end, or for any event, and are awake; two of them are answered."""
        parked = [
            desk.park("timer.wait", number, id="a", wait_ms=1000)
            if number % 2
            else desk.park("events.read", number, after={LOG_ID: 1}, wait_ms=1000)
            for number in range(5)
        ]
        desk.call("timer.cancel", id="a")
        assert len(desk.end_turn(most=2)) == 2
        return parked

    def test_the_others_are_answered_in_the_turns_that_follow(self, desk: Desk, parked: list[JsonAnswer]) -> None:
        assert desk.parked.next_due_ns() == 0
        assert len(desk.parked) == 3

        later = [desk.end_turn(most=2), desk.end_turn(most=2)]

        assert [len(answers) for answers in later] == [2, 1]
        assert sorted(answer.missing for answer in parked) == [0] * 5
        assert desk.parked.next_due_ns() is None
        assert len(desk.parked) == 0

    def test_they_keep_their_order(self, desk: Desk) -> None:
        parked = [desk.park("timer.wait", number, id="a", wait_ms=1000) for number in range(5)]
        desk.call("timer.cancel", id="a")

        assert [*desk.end_turn(most=2), *desk.end_turn(most=2), *desk.end_turn(most=2)] == parked

    @pytest.mark.usefixtures("parked")
    def test_whoever_runs_out_of_time_meanwhile_gets_what_it_waited_for(self, desk: Desk) -> None:
        desk.now_ns += 1000 * 1_000_000
        desk.parked.expire(desk.now_ns, 500)
        ready = desk.parked.take_ready()

        assert len(ready) == 3
        for answer in ready:
            result = body(answer)["result"]
            assert result.get("state", "cancelled") == "cancelled"
            assert [event["kind"] for event in result.get("events", [{"kind": "cancelled"}])] == ["cancelled"]
        assert desk.end_turn() == []
        assert desk.parked.next_due_ns() is None

    @pytest.mark.usefixtures("parked")
    def test_an_event_that_comes_meanwhile_wakes_nobody_twice(self, desk: Desk) -> None:
        desk.call("timer.restart", id="a")
        desk.call("timer.cancel", id="a")

        assert len(desk.end_turn()) == 3
        assert desk.end_turn() == []

    @pytest.mark.usefixtures("parked")
    def test_all_of_them_can_fail(self, desk: Desk) -> None:
        failed = desk.fail_all(REFUSAL)

        assert len(failed) == 3
        assert all("error" in body(answer) for answer in failed)
        assert desk.parked.next_due_ns() is None
        assert desk.end_turn() == []


class _Answer(JsonAnswer):
    """One that can be watched."""

    __slots__ = ("__weakref__",)


def _parked(desk: Desk, wait_ms: int) -> "weakref.ref[_Answer]":
    """Parks a wait for the end of `a`, and watches whether its answer is still held."""
    answer = _Answer([b"peer"], is_batch=False)
    wait = WaitForEnd(
        until_ns=desk.now_ns + wait_ms * 1_000_000,
        woken=lambda *_: None,
        timed_out=lambda *_: None,
        timer_id="a",
        after_seq=desk.engine.last_seq,
    )
    desk.parked.park(wait, answer, 1, EVERYBODY, desk.now_ns)
    desk.parked.hold(answer)
    return weakref.ref(answer)


def test_a_wait_that_nothing_can_come_of_any_more_is_answered_with_the_refusal() -> None:
    def gone(*_: object) -> object:
        raise Refusal(ErrorCode.TIMER_NOT_FOUND, "gone")

    parked = Parked()
    answer = JsonAnswer([b"peer", b""], is_batch=False)
    wait = WaitForEvent(until_ns=5, woken=lambda *_: None, timed_out=gone, prefix="")
    parked.park(wait, answer, 1, EVERYBODY, 0)
    parked.hold(answer)
    parked.expire(5, 500)

    assert parked.take_ready() == [answer]
    assert body(answer)["error"]["code"] == ErrorCode.TIMER_NOT_FOUND


def test_no_more_run_out_of_time_in_one_turn_than_may() -> None:
    parked = Parked()
    answers = [JsonAnswer([b"peer", b""], is_batch=False) for _ in range(5)]
    for answer in answers:
        wait = WaitForEvent(until_ns=5, woken=lambda *_: None, timed_out=lambda *_: 1, prefix="")
        parked.park(wait, answer, 1, EVERYBODY, 0)
        parked.hold(answer)
    parked.expire(5, 3)
    assert parked.take_ready() == answers[:3]
    parked.expire(5, 3)
    assert parked.take_ready() == answers[3:]


def test_readers_that_wake_together_read_no_more_in_a_turn_than_one_reply_has_room_for(desk: Desk) -> None:
    """Each of them reads a page of the log: hundreds of pages would hold everybody up for seconds."""
    after = desk.result("server.info")["cursor"]
    waiting = [desk.park("events.read", after=after, limit=1000, wait_ms=60_000) for _ in range(100)]
    for number in range(500):
        desk.start(f"many/{number}", desk.now_ns)

    answered = desk.end_turn(most=100)

    assert 0 < len(answered) < 10
    assert desk.parked.next_due_ns() == 0
    while desk.parked.next_due_ns() == 0:
        answered += desk.end_turn(most=100)
    assert answered == waiting
    assert {len(body(answer)["result"]["events"]) for answer in answered} == {500}


def test_a_reader_is_told_its_event_however_much_others_read_in_the_same_turn(desk: Desk) -> None:
    """Each answer has a room of its own, also where those before it have left hardly anything of the turn's."""
    after = desk.result("server.info")["cursor"]
    for limit in (1000, 999):  # ten entries are left after these two
        desk.park("events.read", after=after, limit=limit, wait_ms=60_000)
    quiet = desk.park("events.read", after=after, prefix="quiet/", limit=1, wait_ms=60_000)
    for number in range(1000):
        desk.start(f"many/{number}", desk.now_ns)
    desk.start("quiet/1", desk.now_ns)
    desk.end_turn()

    assert quiet.missing == 0
    assert [event["timer"]["id"] for event in body(quiet)["result"]["events"]] == ["quiet/1"]


def test_a_batch_that_has_used_its_room_up_is_told_so_where_it_waited_for_a_page(desk: Desk) -> None:
    after = desk.result("server.info")["cursor"]
    answer = desk.send(batch(*(request("events.read", n, after=after, limit=1000, wait_ms=60_000) for n in range(3))))
    for number in range(1000):
        desk.start(f"many/{number}", desk.now_ns)
    while desk.end_turn() == []:
        pass

    first, second, third = body(answer)
    assert len(first["result"]["events"]) == len(second["result"]["events"]) == 1000
    assert third["error"]["data"]["limit"] == "reply_entries"
