"""Requests for shards of other servers, rule by rule: what is sent to whom, in which order, and for how long."""

import pytest

from drivers.several_servers import Server, SharedStore
from server_requests.forwarded import code, kinds, sent, started
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.sender import ALL_RIGHTS, Sender
from timer_server.limits import KEYS_REMEMBERED
from timer_server.requests import forward_room
from timer_server.requests import parked as parked_module
from timer_server.requests.between_servers import PeerRequest
from timer_server.requests.forwards import FORWARD_WITHIN_MS


class TestSendingOn:
    def test_one_message_a_turn_and_server_has_them_in_order(self, store: SharedStore, a: Server, theirs: str) -> None:
        for number in range(3):
            a.call("timer.start", request_id=number, id=f"{theirs}~{number}", seconds=60)
        store.run()

        (message,) = sent(a)
        assert [request.number for request in message] == [1, 2, 3]

    def test_the_result_is_passed_on_as_the_owner_wrote_it(self, store: SharedStore, a: Server, theirs: str) -> None:
        payload = {"number": 12345678901234567890, "float": 1.0, "text": "ü"}
        a.call("timer.start", id=theirs, seconds=60, payload=payload, request_id="x")
        store.run()

        (told,) = a.take_told()
        assert (told["id"], told["result"]["payload"]) == ("x", payload)

    def test_nothing_overtakes_a_change_that_waits_since_so_many_are_in_flight(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        started(a, theirs)
        sent(a)
        for number in range(KEYS_REMEMBERED + 1):
            a.call("timer.extend", request_id=number, id=theirs, seconds=1)
        a.call("timer.get", request_id=-1, id=theirs)
        a.turn()

        (message,) = sent(a)
        methods = [request.method for request in message if isinstance(request, PeerRequest)]
        assert methods == ["timer.extend"] * KEYS_REMEMBERED
        store.run()
        (got,) = [told["result"] for told in a.take_told() if told["id"] == -1]
        assert got["duration_ms"] == 60_000 + 1_000 * (KEYS_REMEMBERED + 1)

    def test_an_error_comes_back_as_the_owner_gave_it(self, store: SharedStore, a: Server, theirs: str) -> None:
        a.call("timer.get", id=theirs)
        store.run()

        (told,) = a.take_told()
        assert code(told) == ErrorCode.TIMER_NOT_FOUND
        assert told["error"]["data"]["retryable"] is False

    def test_each_request_is_counted_once_where_its_client_asked(
        self, store: SharedStore, a: Server, b: Server, theirs: str
    ) -> None:
        start = {"id": 1, "method": "timer.start", "params": {"id": theirs, "seconds": 60}}
        pause = {"method": "timer.pause", "params": {"id": theirs}}
        read = {"id": 2, "method": "timer.get", "params": {"id": store.name_in(0)}}
        a.send(b"c", start, pause, read)
        store.run()

        counted = {(method, error): count for method, error, count in a.requests.by_method_and_error() if count}
        assert counted == {("timer.start", ""): 1, ("timer.get", "timer_not_found"): 1}
        assert not any(count for *_, count in b.requests.by_method_and_error())

    def test_a_batch_keeps_the_order_of_its_responses(self, store: SharedStore, a: Server, theirs: str) -> None:
        ours = store.name_in(0)
        starts = [
            {"id": at, "method": "timer.start", "params": {"id": name, "seconds": 60}}
            for at, name in enumerate([theirs, ours])
        ]
        a.send(b"c", *starts, {"id": 2, "method": "timer.get", "params": {"id": theirs}})
        store.run()

        (told,) = a.take_told()
        assert [response["result"]["id"] for response in told] == [theirs, ours, theirs]

    def test_plans_go_to_the_owner_of_their_shard(self, store: SharedStore, a: Server, b: Server, theirs: str) -> None:
        a.call("plan.put", plan=theirs, every={"seconds": 60})
        store.run()

        (told,) = a.take_told()
        assert told["result"]["plan"] == theirs
        assert len(b.shards.owned[0].engine.plans) == 1

    def test_notifications_are_sent_on_without_a_reply(self, store: SharedStore, a: Server, theirs: str) -> None:
        started(a, theirs)
        a.send(b"c", {"method": "timer.pause", "params": {"id": theirs}})
        a.send(b"c", {"method": "timer.get", "params": {"id": theirs}})
        store.run()

        assert kinds(store, 1) == ["started", "paused"]
        assert a.take_told() == []
        assert a.forwards.room.requests == 0

    def test_a_server_without_shards_starts_timers_of_others(self, store: SharedStore, c: Server) -> None:
        store.give(2, "b")
        store.follow()
        c.call("timer.start", seconds=60)
        store.run()

        (told,) = c.take_told()
        assert told["result"]["id"].startswith("made/c")

    def test_a_start_without_id_gets_one_of_an_own_shard(self, store: SharedStore, a: Server) -> None:
        a.call("timer.start", seconds=60)
        store.run()

        assert len(a.take_told()) == 1
        assert sent(a) == []

    def test_rights_and_prefix_are_looked_at_where_the_request_comes_in(self, store: SharedStore, a: Server) -> None:
        sender = Sender("k", "mine/", ALL_RIGHTS)
        a.send(b"c", {"id": 1, "method": "timer.get", "params": {"id": store.name_in(1)}}, sender=sender)
        store.run()

        assert code(a.take_told()[0]) == ErrorCode.NOT_PERMITTED
        assert sent(a) == []


class TestLines:
    def test_what_has_no_owner_waits_in_order(self, store: SharedStore, a: Server, nobodys: str) -> None:
        a.call("timer.start", id=nobodys, seconds=60)
        a.call("timer.pause", id=nobodys)
        a.call("timer.resume", id=nobodys)
        store.run()
        assert a.take_told() == []

        store.give(2, "c")
        store.follow()
        store.run()
        assert kinds(store, 2) == ["started", "paused", "resumed"]
        assert len(a.take_told()) == 3

    def test_what_has_become_this_servers_own_is_applied_here(
        self, store: SharedStore, a: Server, nobodys: str
    ) -> None:
        a.call("timer.start", id=nobodys, seconds=60)
        store.run()
        store.give(2, "a")
        a.call("timer.pause", id=nobodys)  # behind the start
        store.run()

        assert kinds(store, 2) == ["started", "paused"]
        assert len(a.take_told()) == 2
        assert sent(a) == []

    def test_nothing_overtakes_what_is_in_flight_to_the_owner_before(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        started(a, theirs)
        a.call("timer.pause", id=theirs)
        a.turn()
        store.give(1, "c")
        store.follow()
        a.call("timer.resume", id=theirs)
        a.turn()
        assert len(sent(a)) == 2  # the start and the pause

        store.run()
        assert kinds(store, 1) == ["started", "paused", "resumed"]

    def test_other_connections_do_not_wait_for_it(
        self, store: SharedStore, a: Server, nobodys: str, theirs: str
    ) -> None:
        a.call("timer.start", connection=b"1", id=nobodys, seconds=60)
        a.call("timer.start", connection=b"1", id=theirs, seconds=60)
        a.call("timer.get", connection=b"2", id=theirs)
        store.run()

        assert [told["result"]["id"] for told in a.take_told()] == [theirs, theirs]

    def test_a_wait_holds_up_nothing_behind_it(self, store: SharedStore, a: Server, theirs: str) -> None:
        started(a, theirs)
        a.call("timer.wait", id=theirs, wait_ms=60_000)
        store.run()
        store.give(1, "b")  # another epoch, of the same owner
        store.follow()
        a.call("timer.pause", id=theirs)
        store.run()

        assert kinds(store, 1) == ["started", "paused"]
        assert len(a.take_told()) == 1


class TestTime:
    def test_what_was_never_sent_is_refused_as_not_done(self, store: SharedStore, a: Server, nobodys: str) -> None:
        a.call("timer.start", id=nobodys, seconds=60)
        store.run()
        store.pass_time(FORWARD_WITHIN_MS - 1)
        store.run()
        assert a.take_told() == []

        store.pass_time(1)
        store.run()
        assert [code(told) for told in a.take_told()] == [ErrorCode.SHUTTING_DOWN]
        assert len(a.forwards.lines) == 0

    def test_what_was_sent_may_have_been_done(self, store: SharedStore, a: Server, theirs: str) -> None:
        a.call("timer.start", id=theirs, seconds=60)
        a.turn()
        store.pass_time(FORWARD_WITHIN_MS)
        a.turn()
        a.settle()

        assert [code(told) for told in a.take_told()] == [ErrorCode.STORAGE_FAILED]
        store.run()
        assert a.take_told() == []

    def test_a_wait_has_its_own_time(self, store: SharedStore, a: Server, theirs: str) -> None:
        started(a, theirs)
        a.call("timer.wait", id=theirs, wait_ms=30_000)
        store.run()
        store.pass_time(29_999)
        store.run()
        assert a.take_told() == []

        store.pass_time(1)
        store.run()
        assert [told["result"]["state"] for told in a.take_told()] == ["running"]

    def test_an_owner_that_does_not_answer_a_wait_is_told_that_nobody_waits(
        self, store: SharedStore, a: Server, b: Server, theirs: str
    ) -> None:
        started(a, theirs)
        a.call("timer.wait", id=theirs, wait_ms=30_000)
        store.run()
        a.dispatcher.fail_waiting(Refusal(ErrorCode.SHUTTING_DOWN, "nobody waits any longer"))
        assert len(b.parked) == 1

        store.run()
        assert len(b.parked) == 0
        assert [code(told) for told in a.take_told()] == [ErrorCode.STORAGE_FAILED]

    def test_what_waits_for_a_server_without_connection_is_given_up(
        self, store: SharedStore, a: Server, b: Server, theirs: str
    ) -> None:
        started(a, theirs)
        a.call("timer.wait", id=theirs, wait_ms=30_000)
        store.run()
        store.cut("a", "b")
        store.run()
        assert len(b.parked) == 0

        store.connect("a", "b")
        store.run()
        assert len(b.parked) == 1


class TestLimits:
    def test_on_requests_of_one_connection_and_of_all(
        self, store: SharedStore, a: Server, nobodys: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forward_room, "FORWARDED_MAXIMUM", 4)
        for connection in (b"1", b"1", b"1", b"2", b"2", b"3"):
            a.call("timer.start", connection=connection, id=nobodys, seconds=60)
        store.run()

        refused = [told["error"]["data"] for told in a.take_told()]
        assert [(data["limit"], data["maximum"], data["scope"]) for data in refused] == [
            ("forwarded_requests", 2, "connection"),
            ("forwarded_requests", 4, "server"),
        ]

    def test_on_bytes(self, store: SharedStore, a: Server, nobodys: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forward_room, "FORWARDED_BYTES", 2000)
        for connection in (b"1", b"2"):
            a.call("timer.start", connection=connection, id=nobodys, seconds=60, payload="x" * 400)
            a.call("timer.start", connection=connection, id=nobodys, seconds=60, payload="x" * 400)
        store.run()

        assert [told["error"]["data"]["limit"] for told in a.take_told()] == ["forwarded_bytes"] * 2
        store.pass_time(FORWARD_WITHIN_MS)
        store.run()
        assert a.forwards.room.bytes == 0

    def test_waits_count_for_the_clients_key_at_the_owner(
        self, store: SharedStore, a: Server, theirs: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parked_module, "PARKED_MAXIMUM", 4)
        store.kill("b")
        store.start("b2").follow()
        store.give(1, "b2")
        store.follow()
        started(a, theirs)
        key = Sender("k", "", ALL_RIGHTS)
        for number in range(4):
            wait = {"id": number, "method": "timer.wait", "params": {"id": theirs, "wait_ms": 30_000}}
            a.send(b"%d" % number, wait, sender=key)
        store.run()

        (told,) = a.take_told()
        assert (told["error"]["data"]["limit"], told["error"]["data"]["scope"]) == ("parked_requests", "key")

    def test_on_bytes_of_results_that_wait_for_the_rest_of_their_batch(
        self, store: SharedStore, a: Server, theirs: str, nobodys: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forward_room, "FORWARDED_BYTES", 10_000)
        a.call("timer.start", id=theirs, seconds=60, payload="x" * 1000)
        store.run()
        a.take_told()
        get = {"method": "timer.get", "params": {"id": theirs}}
        a.send(
            b"c", *({"id": at, **get} for at in range(8)), {"id": 8, "method": "timer.get", "params": {"id": nobodys}}
        )
        store.run()
        assert a.forwards.room.bytes <= 5_000

        store.pass_time(FORWARD_WITHIN_MS)
        store.run()
        (told,) = a.take_told()
        assert ["result" in response for response in told] == [True] * 4 + [False] * 5
        assert {response["error"]["code"] for response in told[4:8]} == {ErrorCode.STORAGE_FAILED}
