"""The methods of queues, from request to result: what each does, and what it says to bad input."""

from typing import Any

import pytest

from drivers.builders import LOG_ID, NS_PER_MS
from drivers.desk import Desk
from timer_protocol.errors import ErrorCode
from timer_server.limits import PAGE_BYTES

OTHER_LOG = "AAAAAAAAAAA"


@pytest.fixture
def desk() -> Desk:
    """A queue `q` of the ends below `e/`, with leases of ten seconds."""
    desk = Desk()
    desk.result("queue.put", queue="q", prefix="e/", lease_ms=10_000, max_deliveries=2)
    return desk


def end(desk: Desk, *ids: str, payload: bytes = b"null") -> None:
    """Starts timers of a second and lets them fire."""
    for timer_id in ids:
        desk.start(timer_id, seconds=1, payload=payload, now_ns=desk.now_ns)
    desk.wait(1000)


def take(desk: Desk, most: int = 100, **params: Any) -> list[dict[str, Any]]:
    deliveries: list[dict[str, Any]] = desk.result("queue.take", queue="q", max=most, **params)["deliveries"]
    return deliveries


def receipts(deliveries: list[dict[str, Any]]) -> list[str]:
    return [delivery["receipt"] for delivery in deliveries]


def ids(deliveries: list[dict[str, Any]]) -> list[str]:
    return [delivery["event"]["timer"]["id"] for delivery in deliveries]


def counts(desk: Desk) -> dict[str, int]:
    """How many ends the queue holds of each kind that there is."""
    queue = desk.result("queue.get", queue="q")
    return {kind: queue[kind] for kind in ("ready", "leased", "delayed", "dead", "dropped") if queue[kind]}


def refused(desk: Desk, method: str, **params: Any) -> dict[str, Any]:
    """The data of the refusal of a request with wrong params."""
    error = desk.call(method, **params)["error"]
    assert error["code"] == ErrorCode.INVALID_PARAMS, error
    data: dict[str, Any] = error["data"]
    return data


class TestPut:
    def test_makes_a_queue_with_defaults_that_it_tells(self, desk: Desk) -> None:
        queue = desk.result("queue.put", queue="new", prefix="n/")

        assert (queue["queue"], queue["version"], queue["prefix"], queue["states"]) == ("new", 1, "n/", ["fired"])
        assert (queue["lease_ms"], queue["max_deliveries"], queue["backoff_ms"]) == (30_000, 5, [1000, 10_000, 60_000])
        assert (queue["max_backlog"], queue["max_dead"], queue["max_bytes"]) == (100_000, 10_000, 2**30)
        assert (queue["keep_ms"], queue["filling"], queue["oldest_ready_ms"]) == (7 * 86_400_000, False, None)

    def test_the_same_is_unchanged_and_what_is_left_out_stays(self, desk: Desk) -> None:
        assert desk.result("queue.put", queue="q", prefix="e/", lease_ms=10_000)["version"] == 1

        changed = desk.result("queue.put", queue="q", prefix="e/", max_dead=5)

        assert (changed["version"], changed["lease_ms"], changed["max_dead"]) == (2, 10_000, 5)

    def test_reads_cancelled_ends_only_if_asked(self, desk: Desk) -> None:
        desk.result("queue.put", queue="all", prefix="", states=["cancelled", "fired"])
        desk.start("e/1", now_ns=desk.now_ns)
        desk.result("timer.cancel", id="e/1")
        desk.end_turn()

        assert counts(desk) == {}
        assert desk.result("queue.get", queue="all")["ready"] == 1

    def test_from_the_start_takes_up_what_can_be_read(self, desk: Desk) -> None:
        end(desk, "f/1", "f/2", "g/1")
        assert desk.result("queue.put", queue="late", prefix="f/", **{"from": "start"})["filling"]
        end(desk, "f/3")

        taken = desk.result("queue.take", queue="late", max=10)["deliveries"]

        assert ids(taken) == ["f/1", "f/2", "f/3"]
        assert not desk.result("queue.get", queue="late")["filling"]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"queue": ""},
            {"queue": "x" * 101},
            {"queue": "a~b"},
            {"queue": "ä"},
            {"prefix": "x" * 129},
            {"states": []},
            {"states": ["running"]},
            {"from": "end"},
            {"lease_ms": 999},
            {"lease_ms": 12 * 3_600_000 + 1},
            {"max_deliveries": -1},
            {"backoff_ms": []},
            {"backoff_ms": [7 * 86_400_000 + 1]},
            {"max_backlog": 0},
            {"max_dead": -1},
            {"max_bytes": 0},
            {"keep_ms": 0},
            {"unknown": 1},
        ],
        ids=str,
    )
    def test_what_is_not_allowed_is_said(self, desk: Desk, wrong: dict[str, Any]) -> None:
        data = refused(desk, "queue.put", **{"queue": "new", "prefix": "", **wrong})

        assert next(iter(wrong)) in data["reason"]
        assert [queue["queue"] for queue in desk.result("queue.list")["queues"]] == ["q"]

    def test_there_is_a_bound_on_queues(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("timer_server.core.queues.queues.QUEUES_MAXIMUM", 1)
        desk.result("queue.put", queue="q", prefix="f/")

        assert desk.call("queue.put", queue="r", prefix="")["error"]["data"]["limit"] == "queues"

    def test_a_disk_that_is_nearly_full_takes_no_puts_takes_and_renewals(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2")
        taken = take(desk, 1, key="k")
        desk.engine.limit_growth(0)

        assert take(desk, 1, key="k") == taken
        assert desk.call("queue.put", queue="r", prefix="")["error"]["data"]["limit"] == "disk_bytes"
        assert desk.call("queue.take", queue="q")["error"]["data"]["limit"] == "disk_bytes"
        renewed = desk.call("queue.renew", queue="q", receipts=receipts(taken))
        assert renewed["error"]["data"]["limit"] == "disk_bytes"
        assert desk.result("queue.ack", queue="q", receipts=receipts(taken))["lost"] == []

    def test_the_ends_from_before_a_queue_need_room_on_the_disk_too(self, desk: Desk) -> None:
        end(desk, *(f"e/{number}" for number in range(100)))
        desk.engine.limit_growth(3_000)

        error = desk.call("queue.put", queue="r", prefix="", **{"from": "start"})["error"]
        assert error["data"]["limit"] == "disk_bytes"
        desk.result("queue.put", queue="r", prefix="", max_backlog=10, **{"from": "start"})


class TestTake:
    def test_gives_ends_in_order_each_with_a_lease(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2", "other", "e/3", payload=b'{"n": 1}')
        now_ms = desk.now_ns // NS_PER_MS

        first, second = take(desk, 2)

        assert ids([first, second]) == ["e/1", "e/2"]
        assert (first["attempt"], first["max_deliveries"]) == (1, 2)
        assert first["leased_until_ms"] == now_ms + 10_000
        assert first["event"]["kind"] == "fired"
        assert first["event"]["timer"]["payload"] == {"n": 1}
        assert counts(desk) == {"ready": 1, "leased": 2}

    def test_gives_an_end_of_the_same_turn_and_one_that_retention_has_passed(self, desk: Desk) -> None:
        end(desk, "e/old")
        desk.forget(desk.now_ns + 2 * 86_400_000 * NS_PER_MS)
        desk.start("e/new", seconds=1, now_ns=desk.now_ns)
        desk.now_ns += 1000 * NS_PER_MS
        desk.engine.expire(desk.now_ns, 10)

        assert ids(take(desk)) == ["e/old", "e/new"]

    def test_payloads_end_it_early(self, desk: Desk) -> None:
        desk = Desk(max_payload_bytes=PAGE_BYTES)
        desk.result("queue.put", queue="q", prefix="e/")
        end(desk, "e/1", "e/2", "e/3", payload=b'"' + b"x" * (PAGE_BYTES // 2 - 2) + b'"')

        assert ids(take(desk)) == ["e/1", "e/2"]
        assert ids(take(desk)) == ["e/3"]

    def test_repeated_with_its_key_gives_what_it_still_leases_and_never_more(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2", "e/3")
        taken = take(desk, 2, key="k")
        assert take(desk, 2, key="k") == taken
        desk.result("queue.ack", queue="q", receipts=receipts(taken[:1]))
        assert take(desk, 2, key="k", wait_ms=1000) == taken[1:]
        desk.result("queue.ack", queue="q", receipts=receipts(taken[1:]))

        assert take(desk, 2, key="k", wait_ms=1000) == []
        assert ids(take(desk)) == ["e/3"]

    def test_an_empty_answer_is_not_remembered(self, desk: Desk) -> None:
        assert take(desk, key="k") == []
        end(desk, "e/1")

        assert ids(take(desk, key="k")) == ["e/1"]

    @pytest.mark.parametrize("method", ["queue.take", "queue.dead"])
    def test_is_not_applied_without_an_id(self, desk: Desk, method: str) -> None:
        end(desk, "e/1")

        assert desk.send(b'{"jsonrpc":"2.0","method":"%s","params":{"queue":"q"}}' % method.encode()) is None
        assert counts(desk) == {"ready": 1}

    @pytest.mark.parametrize("wrong", [{"max": 0}, {"max": 101}, {"wait_ms": -1}, {"wait_ms": 3_600_001}, {"key": ""}])
    def test_what_is_not_allowed_is_said(self, desk: Desk, wrong: dict[str, Any]) -> None:
        assert next(iter(wrong)) in refused(desk, "queue.take", queue="q", **wrong)["reason"]


class TestSettling:
    def test_what_is_acknowledged_never_comes_again_and_may_be_again(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2")
        done = receipts(take(desk))

        assert desk.result("queue.ack", queue="q", receipts=done) == {"done": done, "lost": []}
        assert desk.result("queue.ack", queue="q", receipts=done[:1]) == {"done": done[:1], "lost": []}
        assert desk.result("queue.nack", queue="q", receipts=done[:1]) == {"done": [], "lost": done[:1]}
        assert counts(desk) == {}

    def test_one_given_back_waits_its_time_and_dies_after_the_last_attempt(self, desk: Desk) -> None:
        end(desk, "e/1")
        (first,) = take(desk)
        desk.result("queue.nack", queue="q", receipts=[first["receipt"]], reason="no mail")
        assert counts(desk) == {"delayed": 1}
        desk.wait(1000)
        (second,) = take(desk)
        assert second["attempt"] == 2

        desk.result("queue.nack", queue="q", receipts=[second["receipt"]], reason="still none")

        (letter,) = desk.result("queue.dead", queue="q")["dead"]
        assert (letter["receipt"], letter["attempts"], letter["reason"]) == (second["receipt"], 2, "still none")
        assert (letter["event"], letter["died_at_ms"]) == (first["event"], desk.now_ns // NS_PER_MS)

    def test_one_returned_has_used_no_attempt_and_one_may_be_given_up(self, desk: Desk) -> None:
        end(desk, "e/1")
        (first,) = take(desk)
        desk.result("queue.nack", queue="q", receipts=[first["receipt"]], then="return")
        (again,) = take(desk)
        assert again["attempt"] == 1

        desk.result("queue.nack", queue="q", receipts=[again["receipt"]], then="dead")

        assert counts(desk) == {"dead": 1}

    def test_one_that_runs_out_is_ready_at_once_and_its_receipt_good_until_then(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2")
        late = receipts(take(desk))
        desk.wait(10_000)
        assert counts(desk) == {"ready": 2}
        assert desk.result("queue.ack", queue="q", receipts=late[:1])["done"] == late[:1]

        (again,) = take(desk)

        assert again["attempt"] == 2
        assert desk.result("queue.ack", queue="q", receipts=late[1:]) == {"done": [], "lost": late[1:]}

    def test_renewed_it_is_leased_for_longer(self, desk: Desk) -> None:
        end(desk, "e/1")
        held = receipts(take(desk))
        desk.wait(9000)

        renewed = desk.result("queue.renew", queue="q", receipts=[*held, f"{LOG_ID}~q~77"], lease_ms=60_000)

        until_ms = desk.now_ns // NS_PER_MS + 60_000
        assert renewed == {"leased": held, "leased_until_ms": until_ms, "lost": [f"{LOG_ID}~q~77"]}
        desk.wait(59_000)
        assert counts(desk) == {"leased": 1}

    @pytest.mark.parametrize("method", ["queue.ack", "queue.nack", "queue.renew", "queue.revive", "queue.drop"])
    @pytest.mark.parametrize(
        "wrong",
        ["", "x", "q~1", f"{LOG_ID}~q~", f"{LOG_ID}~q~-1", f"{LOG_ID}~q~01", f"{LOG_ID}~r~1", f"{OTHER_LOG}~r~1"],
    )
    def test_what_is_no_receipt_of_the_queue_is_said_and_nothing_is_applied(
        self, desk: Desk, method: str, wrong: str
    ) -> None:
        end(desk, "e/1")
        (good,) = receipts(take(desk))

        data = refused(desk, method, queue="q", receipts=[good, wrong])

        assert "receipt" in data["reason"]
        assert counts(desk) == {"leased": 1}

    def test_one_of_an_earlier_log_is_lost(self, desk: Desk) -> None:
        stale = f"{OTHER_LOG}~q~1"

        for method in ("queue.ack", "queue.nack", "queue.renew", "queue.drop"):
            assert desk.result(method, queue="q", receipts=[stale])["lost"] == [stale]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"receipts": []},
            {"receipts": [f"{LOG_ID}~q~1"] * 1001},
            {"then": "later"},
            {"reason": "x" * 257},
            {"delay_ms": 7 * 86_400_000 + 1},
            {"then": "dead", "delay_ms": 5},
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_what_is_not_allowed_is_said(self, desk: Desk, wrong: dict[str, Any]) -> None:
        data = refused(desk, "queue.nack", **{"queue": "q", "receipts": [f"{LOG_ID}~q~1"], **wrong})

        assert next(iter(wrong)) in data["reason"]


class TestDeadLetters:
    @pytest.fixture
    def desk(self, desk: Desk) -> Desk:
        """Three dead letters."""
        end(desk, "e/1", "e/2", "e/3")
        desk.result("queue.nack", queue="q", receipts=receipts(take(desk)), then="dead")
        return desk

    def test_are_read_by_pages(self, desk: Desk) -> None:
        page = desk.result("queue.dead", queue="q", limit=2)
        rest = desk.result("queue.dead", queue="q", limit=2, after=page["next"])

        assert ids(page["dead"] + rest["dead"]) == ["e/1", "e/2", "e/3"]
        assert rest["next"] is None

    def test_pages_end_early_where_payloads_are_large(self) -> None:
        desk = Desk(max_payload_bytes=PAGE_BYTES)
        desk.result("queue.put", queue="q", prefix="e/")
        end(desk, "e/1", "e/2", payload=b'"' + b"x" * (PAGE_BYTES * 2 // 3) + b'"')
        for _ in range(2):
            desk.result("queue.nack", queue="q", receipts=receipts(take(desk)), then="dead")

        page = desk.result("queue.dead", queue="q")

        assert ids(page["dead"]) == ["e/1"]
        assert ids(desk.result("queue.dead", queue="q", after=page["next"])["dead"]) == ["e/2"]

    def test_some_are_revived_and_the_rest_dropped(self, desk: Desk) -> None:
        first = desk.result("queue.dead", queue="q")["dead"][0]["receipt"]

        assert desk.result("queue.revive", queue="q", receipts=[first]) == {"done": [first], "lost": [], "next": None}
        dropped = desk.result("queue.drop", queue="q", limit=1)

        assert (len(dropped["done"]), dropped["next"] is None) == (1, False)
        assert desk.result("queue.drop", queue="q", after=dropped["next"])["next"] is None
        assert counts(desk) == {"ready": 1, "dropped": 2}
        assert [(ids([one]), one["attempt"]) for one in take(desk)] == [(["e/1"], 1)]
        assert desk.result("queue.revive", queue="q", receipts=[first])["lost"] == [first]

    @pytest.mark.parametrize("method", ["queue.dead", "queue.revive", "queue.drop"])
    def test_what_is_no_cursor_is_said(self, desk: Desk, method: str) -> None:
        for after in ("x", "-1", "1.5", "9" * 40):
            assert "after" in refused(desk, method, queue="q", after=after)["reason"]
        assert counts(desk) == {"dead": 3}

    def test_either_receipts_or_a_page(self, desk: Desk) -> None:
        first = desk.result("queue.dead", queue="q")["dead"][0]["receipt"]

        assert "after" in refused(desk, "queue.drop", queue="q", receipts=[first], after="1")["reason"]


class TestQueues:
    def test_are_listed_by_pages_in_order_of_their_names(self, desk: Desk) -> None:
        for name, prefix in (("b", "x/"), ("a", "x/y/"), ("c", "")):
            desk.result("queue.put", queue=name, prefix=prefix)

        page = desk.result("queue.list", limit=3)
        assert ([queue["queue"] for queue in page["queues"]], page["next"]) == (["a", "b", "c"], "c")
        assert [queue["queue"] for queue in desk.result("queue.list", after="c")["queues"]] == ["q"]
        assert [queue["queue"] for queue in desk.result("queue.list", prefix="x/")["queues"]] == ["a", "b"]

    def test_tell_how_long_ago_the_oldest_ready_one_ended(self, desk: Desk) -> None:
        end(desk, "e/1")
        desk.wait(700)

        assert desk.result("queue.get", queue="q")["oldest_ready_ms"] == 700

    def test_one_that_is_deleted_is_gone_with_its_receipts(self, desk: Desk) -> None:
        end(desk, "e/1")
        (held,) = receipts(take(desk))

        assert desk.result("queue.delete", queue="q") == {"deleted": True}
        assert desk.result("queue.delete", queue="q") == {"deleted": False}

        desk.result("queue.put", queue="q", prefix="e/")
        assert desk.result("queue.ack", queue="q", receipts=[held]) == {"done": [], "lost": [held]}

    @pytest.mark.parametrize(
        "method",
        ["get", "take", "ack", "nack", "renew", "dead", "revive", "drop"],
    )
    def test_one_that_is_not_there_is_said(self, desk: Desk, method: str) -> None:
        params = {"receipts": ["x"]} if method in ("ack", "nack", "renew") else {}
        error = desk.call(f"queue.{method}", queue="none", **params)["error"]

        assert (error["code"], error["data"]["name"]) == (-32008, "queue_not_found")
        assert (error["data"]["queue"], error["data"]["retryable"]) == ("none", False)
        assert error["data"]["reason"] == "queue 'none' is not there"

    def test_all_of_it_is_there_after_a_restart(self, desk: Desk) -> None:
        end(desk, "e/1", "e/2", "e/3")
        held = receipts(take(desk, 2))
        desk.result("queue.nack", queue="q", receipts=held[:1], then="dead")
        desk.end_turn()
        before = desk.result("queue.get", queue="q")

        desk.reload()

        assert desk.result("queue.get", queue="q") == before
        assert desk.result("queue.ack", queue="q", receipts=held[1:])["done"] == held[1:]
        assert ids(take(desk)) == ["e/3"]
