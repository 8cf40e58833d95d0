"""Requests that wait: each is answered once, by what it waited for or by time, and leaves nothing behind."""

import pytest

from drivers.builders import LOG_ID
from drivers.desk import Desk, batch, body, request
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.requests import event_pages

MINUTE_MS = 60_000


class TestWaitForEnd:
    def test_is_answered_when_the_timer_fires(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=2 * MINUTE_MS)
        assert desk.wait(MINUTE_MS - 1) == []

        assert desk.wait(1) == [parked]

        assert body(parked)["result"]["state"] == "fired"
        assert len(desk.parked) == 0
        assert desk.wait(5 * MINUTE_MS) == []

    def test_is_answered_when_the_timer_is_cancelled(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=1000)
        desk.call("timer.cancel", id="a")

        assert desk.end_turn() == [parked]
        assert body(parked)["result"]["state"] == "cancelled"

    def test_is_not_told_before_the_end_is_stored(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=1000)
        desk.call("timer.cancel", id="a")

        assert parked.missing == 1

    def test_is_answered_with_the_timer_as_it_stands_when_time_is_up(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=1000)
        assert desk.wait(999) == []

        assert desk.wait(1) == [parked]

        result = body(parked)["result"]
        assert (result["state"], result["remaining_ms"]) == ("running", 59_000)

    @pytest.mark.parametrize("change", ["timer.pause", "timer.restart"])
    def test_other_changes_do_not_end_it(self, desk: Desk, change: str) -> None:
        desk.park("timer.wait", id="a", wait_ms=1000)
        desk.call(change, id="a")
        desk.start("b")
        desk.call("timer.cancel", id="b")

        assert desk.end_turn() == []

    def test_is_answered_at_once_if_the_timer_has_ended_or_there_is_no_time(self, desk: Desk) -> None:
        assert desk.result("timer.wait", id="a", wait_ms=0)["state"] == "running"
        desk.call("timer.cancel", id="a")

        assert desk.result("timer.wait", id="a", wait_ms=1000)["state"] == "cancelled"

    def test_is_refused_at_once_if_there_is_no_timer(self, desk: Desk) -> None:
        assert desk.call("timer.wait", id="b", wait_ms=1000)["error"]["code"] == ErrorCode.TIMER_NOT_FOUND

    def test_end_and_time_at_the_same_moment_give_one_answer(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=MINUTE_MS)

        assert desk.wait(MINUTE_MS) == [parked]
        assert body(parked)["result"]["state"] == "fired"
        assert desk.wait(MINUTE_MS) == []

    def test_an_end_that_was_before_the_request_is_not_taken_for_it(self, desk: Desk) -> None:
        """All in one turn: the timer ends, runs again, and somebody waits for the end of that run."""
        desk.call("timer.cancel", id="a")
        desk.call("timer.restart", id="a")
        parked = desk.park("timer.wait", id="a", wait_ms=2 * MINUTE_MS)

        assert desk.end_turn() == []
        assert desk.wait(MINUTE_MS) == [parked]

    def test_all_who_wait_for_one_timer_are_answered(self, desk: Desk) -> None:
        parked = [desk.park("timer.wait", number, id="a", wait_ms=1000) for number in range(3)]
        desk.call("timer.cancel", id="a")

        assert desk.end_turn() == parked
        assert [body(answer)["id"] for answer in parked] == [0, 1, 2]

    def test_whoever_asked_again_after_time_was_up_is_still_answered(self, desk: Desk) -> None:
        desk.park("timer.wait", id="a", wait_ms=1000)
        desk.wait(1000)
        again = desk.park("timer.wait", id="a", wait_ms=2 * MINUTE_MS)
        assert desk.wait(MINUTE_MS) == [again]
        assert len(desk.parked) == 0

        desk.start("b", desk.now_ns)
        other = desk.park("timer.wait", id="b", wait_ms=2 * MINUTE_MS)

        assert desk.wait(MINUTE_MS) == [other]


class TestWaitForEvent:
    def test_is_answered_with_the_events_when_there_are_some(self, desk: Desk) -> None:
        parked = desk.park("events.read", after={LOG_ID: 1}, wait_ms=1000)
        desk.start("b")

        assert desk.end_turn() == [parked]

        page = body(parked)["result"]
        assert [(event["seq"], event["timer"]["id"]) for event in page["events"]] == [(2, "b")]
        assert (page["next"], page["more"], page["truncated"]) == ({LOG_ID: 2}, False, False)

    def test_an_event_wakes_nobody_twice_whose_prefix_is_its_whole_id(self, desk: Desk) -> None:
        """While others wait for longer prefixes, which an id that is shorter has none of."""
        parked = desk.park("events.read", after={LOG_ID: 1}, prefix="a", wait_ms=1000)
        longer = desk.park("events.read", after={LOG_ID: 1}, prefix="a/", wait_ms=1000)
        desk.call("timer.pause", id="a")

        assert desk.end_turn() == [parked]
        assert longer.missing == 1

    def test_only_events_with_the_prefix_count(self, desk: Desk) -> None:
        parked = desk.park("events.read", after={LOG_ID: 1}, prefix="b/", wait_ms=1000)
        desk.start("b")
        assert desk.end_turn() == []
        desk.start("b/1")

        assert desk.end_turn() == [parked]
        assert [event["timer"]["id"] for event in body(parked)["result"]["events"]] == ["b/1"]

    def test_what_others_do_meanwhile_is_not_looked_at_again(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """A page would end before the event that it waited for: two entries are all that it looks at here."""
        monkeypatch.setattr(event_pages, "SCAN_MAXIMUM", 2)
        parked = desk.park("events.read", after={LOG_ID: 1}, prefix="b/", wait_ms=1000)
        for number in range(5):
            desk.start(f"other/{number}")
            assert desk.end_turn() == []
        desk.start("other/5")
        desk.start("b/1")

        assert desk.end_turn() == [parked]
        page = body(parked)["result"]
        assert [event["timer"]["id"] for event in page["events"]] == ["b/1"]
        assert (page["next"], page["more"]) == ({LOG_ID: 8}, False)

    def test_none_is_found_in_what_others_did_until_time_was_up(self, desk: Desk) -> None:
        parked = desk.park("events.read", after={LOG_ID: 1}, prefix="b/", wait_ms=1000)
        desk.start("other/1")
        desk.end_turn()
        desk.start("b/1")  # not durable when time is up

        assert desk.wait(1000) == [parked]
        assert body(parked)["result"] == {"events": [], "next": {LOG_ID: 2}, "more": False, "truncated": False}
        assert len(desk.result("events.read", after={LOG_ID: 2}, prefix="b/")["events"]) == 1

    def test_is_answered_with_none_when_time_is_up(self, desk: Desk) -> None:
        parked = desk.park("events.read", after={LOG_ID: 1}, wait_ms=1000)

        assert desk.wait(1000) == [parked]
        assert body(parked)["result"] == {"events": [], "next": {LOG_ID: 1}, "more": False, "truncated": False}

    def test_whoever_asked_again_after_time_was_up_is_answered_once(self, desk: Desk) -> None:
        first = desk.park("events.read", after={LOG_ID: 1}, wait_ms=1000)
        desk.wait(1000)
        again = desk.park("events.read", after={LOG_ID: 1}, wait_ms=1000)
        desk.start("b")

        assert desk.end_turn() == [again]
        assert body(first)["result"]["events"] == []
        assert len(desk.parked) == 0

    def test_is_answered_at_once_if_there_are_events(self, desk: Desk) -> None:
        assert len(desk.result("events.read", after={}, wait_ms=1000)["events"]) == 1


class TestBatches:
    def test_answer_waits_for_all_its_parts_and_keeps_their_order(self, desk: Desk) -> None:
        desk.start("b", minutes=2)
        desk.end_turn()
        answer = desk.send(
            batch(
                request("timer.wait", "last", id="b", wait_ms=9 * MINUTE_MS),
                request("timer.get", "now", id="a"),
                request("timer.wait", "first", id="a", wait_ms=9 * MINUTE_MS),
                request("timer.get", "missing", id="c"),
            )
        )
        assert desk.wait(MINUTE_MS) == []
        assert desk.wait(MINUTE_MS) == [answer]

        responses = body(answer)
        assert [response["id"] for response in responses] == ["last", "now", "first", "missing"]
        assert [response["result"]["state"] for response in responses[:3]] == ["fired", "running", "fired"]
        assert responses[3]["error"]["code"] == ErrorCode.TIMER_NOT_FOUND

    def test_part_that_ran_out_of_time_is_not_filled_again_by_the_end(self, desk: Desk) -> None:
        answer = desk.send(
            batch(
                request("timer.wait", "short", id="a", wait_ms=1000),
                request("events.read", "long", after={LOG_ID: 1}, prefix="b", wait_ms=9 * MINUTE_MS),
            )
        )
        desk.wait(1000)
        assert desk.wait(MINUTE_MS) == []
        desk.start("b", desk.now_ns)

        assert desk.end_turn() == [answer]
        short, long = body(answer)
        assert short["result"]["state"] == "running"
        assert len(long["result"]["events"]) == 1


class TestAllAtOnce:
    REFUSAL = Refusal(ErrorCode.SHUTTING_DOWN, "later")

    def test_everybody_is_answered_with_the_error(self, desk: Desk) -> None:
        parked = [
            desk.park("timer.wait", 1, id="a", wait_ms=1000),
            desk.park("events.read", 2, after={LOG_ID: 1}, wait_ms=500),
        ]

        assert sorted(desk.fail_all(self.REFUSAL), key=parked.index) == parked

        assert {body(answer)["error"]["code"] for answer in parked} == {ErrorCode.SHUTTING_DOWN}
        assert [body(answer)["id"] for answer in parked] == [1, 2]
        assert len(desk.parked) == 0
        assert desk.fail_all(self.REFUSAL) == []
        assert desk.wait(5 * MINUTE_MS) == []

    def test_those_answered_before_are_left_alone(self, desk: Desk) -> None:
        parked = desk.park("timer.wait", id="a", wait_ms=1000)
        desk.wait(1000)

        assert desk.fail_all(self.REFUSAL) == []
        assert "result" in body(parked)
