"""The shares of connections and keys in what may wait, and who gives way where a share or all of it is taken."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import LOG_ID, NS_PER_MS
from drivers.desk import Desk, batch, request
from timer_protocol.errors import ErrorCode
from timer_protocol.sender import ALL_RIGHTS, EVERYBODY, Sender
from timer_server.limits import PARKED_LEAST_MS
from timer_server.requests import parked as parked_module
from timer_server.requests.answers import JsonAnswer

SHOP = Sender("shop", "", ALL_RIGHTS)
BANK = Sender("bank", "", ALL_RIGHTS)


class Crowd(Desk):
    """A desk with many peers, and one timer of an hour with a large payload."""

    def __init__(self) -> None:
        super().__init__()
        self.start("a", hours=1, payload=b'"' + b"x" * 400 + b'"')
        self.end_turn()

    def hear(self, peer: str, *requests: bytes, sender: Sender = EVERYBODY) -> JsonAnswer:
        """A message of a peer: a wait for the timer, where it is not said otherwise."""
        content = batch(*requests) if requests else request("timer.wait", id="a", wait_ms=600_000)
        answer = self.send(content, envelope=[peer.encode(), b""], sender=sender)
        assert isinstance(answer, JsonAnswer)
        return answer

    def pass_ms(self, milliseconds: int) -> None:
        self.now_ns += milliseconds * NS_PER_MS


def said(answer: JsonAnswer) -> Any:
    """The content of an answer that is complete."""
    assert answer.missing == 0
    return json.loads(answer.frames()[-1])


def refused(answer: JsonAnswer) -> dict[str, Any]:
    """The data of an answer that is `limit_reached`."""
    error = said(answer)["error"]
    assert error["code"] == ErrorCode.LIMIT_REACHED
    data: dict[str, Any] = error["data"]
    return data


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """Eight places: four for a connection, six for a key. Of the bytes kept for batches, 4000: 2000 and 3000."""
    monkeypatch.setattr(parked_module, "PARKED_MAXIMUM", 8)
    monkeypatch.setattr(parked_module, "PARKED_BYTES", 4000)
    return Crowd()


class TestShares:
    def test_one_connection_leaves_half_of_the_places_to_others(self, crowd: Crowd) -> None:
        for _ in range(4):
            assert crowd.hear("one").missing == 1

        data = refused(crowd.hear("one"))
        assert (data["scope"], data["maximum"], data["limit"]) == ("connection", 4, "parked_requests")
        assert (data["later"], data["retryable"]) == (True, False)
        assert data["reason"] == "4 requests are waiting; parked_requests is 4 for one connection"
        for _ in range(4):
            assert crowd.hear("other").missing == 1

    def test_all_connections_of_a_key_leave_a_quarter_to_other_keys(self, crowd: Crowd) -> None:
        for peer in ("one", "other") * 3:
            assert crowd.hear(peer, sender=SHOP).missing == 1

        data = refused(crowd.hear("third", sender=SHOP))
        assert (data["scope"], data["maximum"], data["later"]) == ("key", 6, True)
        assert crowd.hear("one of the bank", sender=BANK).missing == 1

    def test_without_keys_connections_share_nothing_but_the_limit_for_all(self, crowd: Crowd) -> None:
        for number in range(8):
            assert crowd.hear(f"{number}").missing == 1

        data = refused(crowd.hear("late"))
        assert (data["scope"], data["maximum"], data["later"]) == ("server", 8, True)

    def test_a_share_is_free_again_once_its_requests_have_ended(self, crowd: Crowd) -> None:
        for _ in range(3):
            waiting = [crowd.hear("one", sender=SHOP) for _ in range(4)]
            crowd.call("timer.cancel", id="a")
            assert crowd.end_turn() == waiting
            crowd.call("timer.restart", id="a")
            crowd.end_turn()

    def test_limits_of_size_say_that_later_is_no_better(self, crowd: Crowd) -> None:
        error = crowd.call("timer.start", minutes=1, payload="x" * 70_000)["error"]
        assert (error["data"]["scope"], error["data"]["later"]) == ("server", False)

    def test_a_timer_too_many_may_be_started_later(self) -> None:
        desk = Desk(max_timers=1)
        desk.start("a")
        data = desk.call("timer.start", minutes=1)["error"]["data"]
        assert (data["limit"], data["scope"], data["later"]) == ("max_timers", "server", True)


class TestGivingWay:
    def test_what_has_waited_for_a_second_is_answered_as_it_stands(self, crowd: Crowd) -> None:
        waiting = [crowd.hear(f"gone {number}") for number in range(8)]
        crowd.pass_ms(PARKED_LEAST_MS - 1)
        assert refused(crowd.hear("late"))["scope"] == "server"
        crowd.pass_ms(1)

        assert crowd.hear("late").missing == 1

        assert crowd.parked.take_ready() == waiting[:1]
        result = said(waiting[0])["result"]
        assert (result["state"], result["remaining_ms"]) == ("running", 3_600_000 - PARKED_LEAST_MS)
        assert len(crowd.parked) == 8

    def test_a_reader_gets_an_empty_page_to_go_on_with(self, crowd: Crowd) -> None:
        read = request("events.read", after={LOG_ID: 1}, wait_ms=600_000)
        first = crowd.send(read, envelope=[b"reader", b""])
        for number in range(7):
            crowd.hear(f"{number}")
        crowd.pass_ms(PARKED_LEAST_MS)
        crowd.hear("late")

        assert crowd.parked.take_ready() == [first]
        assert isinstance(first, JsonAnswer)
        assert said(first)["result"] == {"events": [], "next": {LOG_ID: 1}, "more": False, "truncated": False}

    @pytest.mark.parametrize(("sender", "peers"), [(EVERYBODY, ["one"] * 4), (SHOP, ["one", "two", "three"] * 2)])
    def test_in_a_full_share_the_oldest_of_the_share_gives_way(
        self, crowd: Crowd, sender: Sender, peers: list[str]
    ) -> None:
        elder = crowd.hear("elder", sender=BANK)
        waiting = [crowd.hear(peer, sender=sender) for peer in peers]
        crowd.pass_ms(PARKED_LEAST_MS)

        assert crowd.hear("one", sender=sender).missing == 1

        assert crowd.parked.take_ready() == waiting[:1]
        assert elder.missing == 1

    def test_a_connection_with_twice_as_many_gives_way_at_once(self, crowd: Crowd) -> None:
        large = [crowd.hear("large") for _ in range(4)]
        other = [crowd.hear("other") for _ in range(4)]

        assert crowd.hear("small").missing == 1
        assert crowd.parked.take_ready() == [large[0]]
        assert crowd.hear("small").missing == 1
        assert crowd.parked.take_ready() == [other[0]]
        assert refused(crowd.hear("small"))["scope"] == "server"
        assert refused(crowd.hear("large"))["scope"] == "server"

    def test_who_was_woken_is_answered_with_what_woke_it(self, crowd: Crowd) -> None:
        read = request("events.read", after={LOG_ID: 1}, prefix="b", wait_ms=600_000)
        reader = crowd.send(read, envelope=[b"reader", b""])
        waiting = [crowd.hear(f"{number}") for number in range(7)]
        crowd.pass_ms(PARKED_LEAST_MS)
        crowd.start("b", crowd.now_ns)
        crowd.parked.notify(crowd.settle())

        assert crowd.hear("late").missing == 1

        assert crowd.parked.take_ready() == waiting[:1]
        assert crowd.end_turn() == [reader]
        assert isinstance(reader, JsonAnswer)
        assert [event["timer"]["id"] for event in said(reader)["result"]["events"]] == ["b"]

    def test_no_more_give_way_to_one_message_than_are_answered_in_a_turn(
        self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parked_module, "GIVING_WAY_MOST", 2)
        kept = [crowd.hear(f"{number}", *KEEPING) for number in range(5)]
        crowd.pass_ms(PARKED_LEAST_MS)

        waiting, *read = said(crowd.hear("large", *KEEPING, KEEPING[1]))

        assert waiting["error"]["data"]["limit"] == "parked_bytes"
        assert all("result" in response for response in read)
        assert crowd.parked.take_ready() == kept[:1]


KEEPING = (request("timer.wait", 1, id="a", wait_ms=600_000), request("timer.get", 2, id="a"))
"""A batch that waits, and keeps some 750 bytes meanwhile."""


class TestBytes:
    def test_one_connection_leaves_half_of_the_bytes_to_others(self, crowd: Crowd) -> None:
        for _ in range(2):
            assert crowd.hear("one", *KEEPING).missing == 1

        waiting, read = said(crowd.hear("one", *KEEPING))
        assert waiting["error"]["data"]["scope"] == "connection"
        assert waiting["error"]["data"]["limit"] == "parked_bytes"
        assert read["result"]["id"] == "a"
        assert crowd.parked.take_ready() == []
        assert crowd.hear("other", *KEEPING).missing == 1
        assert crowd.hear("one").missing == 1

    def test_kept_bytes_of_those_who_have_gone_are_free_after_a_second(self, crowd: Crowd) -> None:
        gone = [crowd.hear(f"gone {number}", *KEEPING) for number in range(5)]
        crowd.pass_ms(PARKED_LEAST_MS)

        assert crowd.hear("late", *KEEPING).missing == 1

        assert crowd.parked.take_ready() == gone[:1]
        assert [response["result"]["state"] for response in said(gone[0])] == ["running", "running"]

    def test_what_gives_way_is_answered_in_full_where_no_bytes_are_left(self, crowd: Crowd) -> None:
        gone = crowd.hear("gone", KEEPING[0], *[KEEPING[0]] * 2, KEEPING[1], KEEPING[1])
        others = [crowd.hear(f"{number}", *KEEPING) for number in range(3)]
        crowd.pass_ms(PARKED_LEAST_MS)

        assert crowd.hear("late", *KEEPING).missing == 1

        assert crowd.parked.take_ready() == [gone]
        assert [response["result"]["state"] for response in said(gone)] == ["running"] * 5
        assert all(answer.missing == 1 for answer in others)

    def test_a_batch_larger_than_its_share_is_answered_at_once(self, crowd: Crowd) -> None:
        elder = crowd.hear("elder", *KEEPING)
        crowd.pass_ms(PARKED_LEAST_MS)

        first, *others = said(crowd.hear("large", KEEPING[0], *[KEEPING[1]] * 4))

        assert first["error"]["data"]["maximum"] == 2000
        assert all("result" in response for response in others)
        assert elder.missing == 1
        assert len(crowd.parked) == 1


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("abcdefghij"),
            st.sampled_from([EVERYBODY, SHOP, BANK]),
            st.sampled_from([(), KEEPING, KEEPING[:1] * 3]),
            st.sampled_from([0, 0, 0, 400, 1000]),
        ),
        max_size=60,
    )
)
def test_whatever_is_asked_nothing_is_taken_for_ever_and_everybody_is_answered_once(
    steps: list[tuple[str, Sender, tuple[bytes, ...], int]],
) -> None:
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(parked_module, "PARKED_MAXIMUM", 8)
        lowered.setattr(parked_module, "PARKED_BYTES", 4000)
        crowd = Crowd()
    answers, told = [], []
    for peer, sender, requests, milliseconds in steps:
        answer = crowd.hear(peer, *requests, sender=sender)
        answers.append(answer)
        if not answer.missing:
            told.append(answer)
        assert len(crowd.parked) <= 8
        crowd.pass_ms(milliseconds)
        told += crowd.parked.take_ready()
    crowd.call("timer.cancel", id="a")
    told += crowd.end_turn()

    assert sorted(map(id, told)) == sorted(map(id, answers))
    for limit in (crowd.parked._places, crowd.parked._bytes):
        assert limit._all.taken == 0
        assert not limit._all.line
        assert not limit._parts
        assert not any(limit._ranks)
