"""From frames to answers: who is owed one gets one, and nothing that comes in makes the dispatcher raise."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import LOG_ID
from drivers.desk import ENVELOPE, Desk, batch, body, request
from protocol.requests import request_texts
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import Message
from timer_protocol.methods import METHODS
from timer_protocol.sender import EVERYBODY
from timer_server.core.model import Countdown
from timer_server.limits import ENVELOPE_BYTES, FRAMES_MAXIMUM
from timer_server.logs import log
from timer_server.requests import room
from timer_server.requests.answers import JsonAnswer, TextAnswer
from timer_server.requests.dispatch import Dispatcher
from timer_server.store.base import StoreError

START = request("timer.start", id="a", seconds=5)
NOTIFICATION = b'{"jsonrpc":"2.0","method":"timer.start","params":{"id":"n","seconds":5}}'


class TestJson:
    def test_envelope_goes_back_before_the_answer(self) -> None:
        answer = Desk().send(START, envelope=[b"peer", b"\0\0\0\x01", b""])

        assert answer is not None
        assert answer.frames()[:-1] == [b"peer", b"\0\0\0\x01", b""]

    def test_one_request_is_answered_by_an_object_and_a_batch_by_an_array(self) -> None:
        assert isinstance(body(Desk().send(START)), dict)
        assert isinstance(body(Desk().send(batch(START))), list)

    def test_batch_is_applied_in_order(self) -> None:
        answer = Desk().send(
            batch(START, request("timer.pause", 2, id="a"), request("timer.get", 3, id="a"), request("x", 4))
        )

        responses = body(answer)
        assert [response["id"] for response in responses] == [1, 2, 3, 4]
        assert [response["result"]["state"] for response in responses[:3]] == ["running", "paused", "paused"]
        assert responses[3]["error"]["code"] == ErrorCode.METHOD_NOT_FOUND

    def test_notification_is_applied_and_not_answered(self) -> None:
        desk = Desk()

        assert desk.send(NOTIFICATION) is None
        assert desk.send(batch(NOTIFICATION, NOTIFICATION)) is None
        assert desk.get("n").state == "running"

    @pytest.mark.parametrize(
        "notification",
        [
            b'{"jsonrpc":"2.0","method":"timer.get","params":{"id":"nobody"}}',
            b'{"jsonrpc":"2.0","method":"timer.wait","params":{"id":"n","wait_ms":1000}}',
            b'{"jsonrpc":"2.0","method":"timer.start","params":{"seconds":0}}',
        ],
    )
    def test_notification_that_is_refused_or_would_wait_is_not_answered_either(self, notification: bytes) -> None:
        desk = Desk()
        desk.start("n")

        assert desk.send(notification) is None
        assert len(desk.parked) == 0

    def test_id_of_null_is_answered(self) -> None:
        assert body(Desk().send(request("server.info", None)))["id"] is None

    def test_message_at_its_limit_is_read_and_one_byte_more_is_refused(self) -> None:
        desk = Desk(max_message_bytes=len(START))

        assert "result" in body(desk.send(START))
        error = body(desk.send(START + b" "))["error"]
        assert (error["code"], error["data"]["limit"]) == (ErrorCode.LIMIT_REACHED, "max_message_bytes")

    def test_batch_over_the_limit_is_refused_as_a_whole(self) -> None:
        desk = Desk(max_batch=2)

        assert body(desk.send(batch(START, START, START)))["error"]["code"] == ErrorCode.LIMIT_REACHED
        assert desk.commit() == []


class TestRoomOfAReply:
    @pytest.fixture
    def desk(self, monkeypatch: pytest.MonkeyPatch) -> Desk:
        """Four timers, of whose payloads two and a bit fit in a reply."""
        monkeypatch.setattr(room, "REPLY_BYTES", 110)
        desk = Desk()
        for timer_id in "abcd":
            desk.start(timer_id, payload=b'"' + b"x" * 48 + b'"')
        desk.commit()
        return desk

    def test_requests_beyond_it_are_refused_and_not_applied(self, desk: Desk) -> None:
        responses = body(desk.send(batch(*(request("timer.pause", timer_id, id=timer_id) for timer_id in "abcd"))))

        assert ["result" in response for response in responses] == [True, True, True, False]
        assert responses[3]["error"]["code"] == ErrorCode.LIMIT_REACHED
        assert responses[3]["error"]["data"]["limit"] == "reply_bytes"
        assert [desk.get(timer_id).state for timer_id in "abcd"] == ["paused", "paused", "paused", "running"]

    def test_every_message_has_its_own(self, desk: Desk) -> None:
        for _ in range(3):
            body(desk.send(batch(*(request("timer.get", timer_id, id=timer_id) for timer_id in "abcd"))))

        assert desk.call("timer.get", id="d")["result"]["id"] == "d"

    @pytest.mark.parametrize(("limit", "answered"), [(1, 3), (4, 1)])
    def test_entries_in_a_page_count_more_than_those_looked_at(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, limit: int, answered: int
    ) -> None:
        monkeypatch.setattr(room, "REPLY_ENTRIES", 21)
        monkeypatch.setattr(room, "REPLY_BYTES", 10_000)

        for method, params in (("timer.list", {}), ("events.read", {"after": {}})):
            pages = body(desk.send(batch(*(request(method, number, limit=limit, **params) for number in range(4)))))
            assert ["result" in page for page in pages] == [number < answered for number in range(4)]
            assert pages[3]["error"]["data"]["limit"] == "reply_entries"

    def test_a_batch_that_fills_its_own_leaves_that_of_one_who_waits(self, desk: Desk) -> None:
        """Both are answered in one turn."""
        parked = desk.park("events.read", after={LOG_ID: 4}, wait_ms=60_000)
        filled = body(desk.send(batch(*(request("timer.pause", timer_id, id=timer_id) for timer_id in "abcd"))))

        assert "error" in filled[3]
        assert desk.end_turn() == [parked]
        assert [event["timer"]["id"] for event in body(parked)["result"]["events"]] == ["a", "b", "c"]

    def test_notifications_take_none_of_it(self, desk: Desk) -> None:
        """Nobody would be told that the last of them were not applied."""
        notifications = [
            b'{"jsonrpc":"2.0","method":"timer.pause","params":{"id":"%s"}}' % timer_id.encode() for timer_id in "abcd"
        ]

        assert desk.send(batch(*notifications)) is None
        assert [desk.get(timer_id).state for timer_id in "abcd"] == ["paused"] * 4


class TestFaultsOfTheServer:
    @staticmethod
    def broken(desk: Desk, error: Exception) -> Dispatcher:
        """A dispatcher in which `server.info` fails."""

        def fail(_: object, __: int, ___: object) -> object:
            raise error

        return desk.dispatching({**desk.methods.handlers(), "server.info": fail})

    def test_are_answered_as_such_and_logged_and_the_rest_of_a_batch_is_applied(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "propagate", True)
        desk = Desk()
        message = batch(request("server.info", 1), request("timer.start", 2, seconds=5))

        first, second = body(
            self.broken(desk, ZeroDivisionError("oops")).handle(Message([*ENVELOPE, message], EVERYBODY), desk.now_ns)
        )

        assert first["error"]["code"] == ErrorCode.INTERNAL_ERROR
        assert "oops" not in json.dumps(first)
        assert second["result"]["state"] == "running"
        assert caplog.records[0].exc_info is not None

    def test_store_that_fails_is_told_and_noted(self) -> None:
        desk = Desk()
        dispatcher = self.broken(desk, StoreError("disk"))

        response = body(dispatcher.handle(Message([*ENVELOPE, request("server.info")], EVERYBODY), desk.now_ns))

        assert response["error"]["code"] == ErrorCode.STORAGE_FAILED
        assert str(dispatcher.failure) == "disk"


class TestRefuse:
    REFUSAL = Refusal(ErrorCode.SHUTTING_DOWN, "later")

    def refuse(self, desk: Desk, *frames: bytes) -> JsonAnswer | TextAnswer | None:
        return desk.dispatcher.refuse([*ENVELOPE, *frames], self.REFUSAL)

    def test_every_request_with_an_id_gets_the_error_and_nothing_is_applied(self) -> None:
        desk = Desk()
        message = batch(START, NOTIFICATION, request("timer.wait", "w", id="a", wait_ms=9), b"1", request("x", 4))

        responses = body(self.refuse(desk, message))

        assert [response["id"] for response in responses] == [1, "w", None, 4]
        assert {response["error"]["code"] for response in responses} == {ErrorCode.SHUTTING_DOWN}
        assert desk.commit() == []
        assert len(desk.parked) == 0

    def test_one_request_gets_one_error(self) -> None:
        assert body(self.refuse(Desk(), START))["error"]["data"]["retryable"] is True

    @pytest.mark.parametrize("message", [NOTIFICATION, batch(NOTIFICATION)])
    def test_notifications_get_nothing(self, message: bytes) -> None:
        assert self.refuse(Desk(), message) is None

    @pytest.mark.parametrize("message", [b"{", b"[]", b"{}"])
    def test_what_is_broken_gets_an_error_too(self, message: bytes) -> None:
        response = body(self.refuse(Desk(), message))

        assert response["id"] is None
        assert "error" in response

    def test_texts_get_a_text(self) -> None:
        answer = self.refuse(Desk(), b"0", b"0", b"5")

        assert answer is not None
        assert answer.frames() == [*ENVELOPE, b"error: later"]


class TestTexts:
    def test_whatever_is_not_json_goes_to_the_dialogue(self) -> None:
        desk = Desk()

        answer = desk.send(b"0", b"0", b"5")

        assert answer is not None
        assert answer.frames() == [*ENVELOPE, b"0", b"0", b"5"]
        assert desk.commit() == ["started"]

    def test_texts_of_two_peers_are_kept_apart(self) -> None:
        desk = Desk()
        for text in (b"0", b"0", b"5"):
            for peer in (b"one", b"other"):
                answer = desk.send(text, envelope=[peer, b""])
                assert answer is not None
                assert answer.frames() == [peer, b"", text]

        assert desk.commit() == ["started", "started"]

    @pytest.mark.parametrize("frames", [[b"5"] * 30, [b"5"] * FRAMES_MAXIMUM, [b"x" * 2000], [b"x" * 400] * 3])
    def test_too_many_bytes_or_frames_are_refused(self, frames: list[bytes]) -> None:
        answer = Desk(max_message_bytes=1000).send(*frames)

        assert answer is not None
        assert answer.frames()[2].startswith(b"error: ")
        assert len(answer.frames()) == 3

    @pytest.mark.parametrize("extra", [0, 1])
    def test_frames_are_counted_as_the_peer_sent_them(self, extra: int) -> None:
        """Those of its own before the delimiter count; the routing id, which the socket adds, does not."""
        own = [b"x"] * (FRAMES_MAXIMUM - 2 + extra)

        answer = Desk().send(START, envelope=[b"peer", *own, b""])

        assert answer is not None
        assert isinstance(answer, TextAnswer) == bool(extra)
        assert answer.frames()[0] == b"peer"
        assert len(answer.frames()) <= 1 + FRAMES_MAXIMUM

    @pytest.mark.parametrize("content", [START, b"5"])
    def test_an_envelope_at_its_limit_comes_back_and_one_byte_more_is_refused(self, content: bytes) -> None:
        own = [b"x" * (ENVELOPE_BYTES - 10), b"y" * 10]

        answer = Desk().send(content, envelope=[b"peer", *own, b""])
        assert answer is not None
        assert answer.frames()[:-1] == [b"peer", *own, b""]

        desk = Desk()
        refused = desk.send(content, envelope=[b"peer", *own, b"z", b""])
        assert refused is not None
        assert refused.frames()[0] == b"peer"
        assert f"at most {ENVELOPE_BYTES} bytes" in refused.frames()[1].decode()
        assert desk.commit() == []

    @pytest.mark.parametrize("frames", [[], [b""], [b"", b""]])
    def test_nothing_is_refused(self, frames: list[bytes]) -> None:
        answer = Desk().send(*frames)

        assert answer is not None
        assert answer.frames()[2].startswith(b"error: ")


@given(st.lists(st.binary(max_size=30) | request_texts().map(str.encode), max_size=6))
def test_any_frames(frames: list[bytes]) -> None:
    """A ROUTER gives at least the routing id."""
    desk = Desk()
    answer = desk.send(*frames, envelope=[b"peer"])

    if isinstance(answer, TextAnswer) or (isinstance(answer, JsonAnswer) and not answer.missing):
        assert answer.frames()[0] == b"peer"
        assert all(isinstance(frame, bytes) for frame in answer.frames())
    desk.dispatcher.refuse([b"peer", *frames], Refusal(ErrorCode.SHUTTING_DOWN, "later"))


@given(st.lists(request_texts(), max_size=8))
def test_every_request_with_an_id_is_answered_once_whatever_it_is(texts: list[str]) -> None:
    desk = Desk()
    desk.start("a")
    answer = desk.send(("[" + ",".join(texts) + "]").encode())
    owed = [parsed for parsed in map(json.loads, texts) if not isinstance(parsed, dict) or "id" in parsed]
    errors = [parsed for parsed in map(json.loads, texts) if isinstance(parsed, dict) and "id" not in parsed]

    if not texts:
        assert body(answer)["error"]["code"] == ErrorCode.INVALID_REQUEST
    elif answer is None:
        assert owed == []
    else:
        desk.fail_all(Refusal(ErrorCode.SHUTTING_DOWN, "nobody waits any longer"))
        responses = body(answer)
        assert len(owed) <= len(responses) <= len(owed) + len(errors)
        assert not [each for each in responses if each.get("error", {}).get("code") == ErrorCode.INTERNAL_ERROR]


def test_a_timer_that_ended_is_read_from_the_store() -> None:
    desk = Desk()
    desk.start("a", label="tea")
    desk.call("timer.cancel", id="a")
    desk.commit()

    assert desk.result("timer.get", id="a")["label"] == "tea"
    assert isinstance(desk.get("a"), Countdown)


@pytest.mark.parametrize("method", ["events.read", "timer.list", "server.info"])
def test_a_notification_that_would_only_read_is_dropped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It would cost as much as a request that is answered, without the bounds of a reply."""
    called: list[str] = []
    dispatcher = desk.dispatching({m.name: lambda *_: called.append("handled") for m in METHODS})
    params = {"after": {}} if method == "events.read" else {}
    message = json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()
    start = json.dumps({"jsonrpc": "2.0", "method": "timer.start", "params": {"seconds": 1}}).encode()

    assert dispatcher.handle(Message([*ENVELOPE, batch(message, start)], EVERYBODY), desk.now_ns) is None
    assert called == ["handled"]  # the start
