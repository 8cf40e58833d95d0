"""Queues over several shards: each holds its own ends, and workers see one queue."""

from typing import Any

import pytest

from drivers.sharded_desk import body
from server_requests.queue_desk import QueueDesk
from timer_protocol.errors import ErrorCode
from timer_protocol.queue_messages import PutQueueParams
from timer_server.limits import PAGE_BYTES
from timer_server.requests.answers import Answer


@pytest.fixture
def desk() -> QueueDesk:
    """A queue `q` of all ends in three shards, with leases of ten seconds."""
    desk = QueueDesk(3)
    desk.result("queue.put", queue="q", prefix="", lease_ms=10_000, max_deliveries=2)
    return desk


def end(desk: QueueDesk, *numbers: int, payload: bytes = b"null") -> list[str]:
    """Lets timers of some shards fire, and returns their ids."""
    begun = desk.now_ns // 10**6
    ids = [desk.name_in(number, f"e/{begun}/{at}/") for at, number in enumerate(numbers)]
    for timer_id in ids:
        desk.begin(timer_id, payload=payload)
    desk.wait(1000)
    return ids


def ids(deliveries: list[dict[str, Any]]) -> list[str]:
    return [delivery["event"]["timer"]["id"] for delivery in deliveries]


def receipts(deliveries: list[dict[str, Any]]) -> list[str]:
    return [delivery["receipt"] for delivery in deliveries]


def take(desk: QueueDesk, most: int = 100, **params: Any) -> list[dict[str, Any]]:
    deliveries: list[dict[str, Any]] = desk.result("queue.take", queue="q", max=most, **params)["deliveries"]
    return deliveries


def counts(desk: QueueDesk) -> dict[str, int]:
    """How many ends the queue holds of each kind that there is."""
    queue = desk.result("queue.get", queue="q")
    return {kind: queue[kind] for kind in ("ready", "leased", "delayed", "dead", "dropped") if queue[kind]}


def waiting(desk: QueueDesk, **params: Any) -> Answer:
    answer = desk.ask("queue.take", **{"queue": "q", "wait_ms": 60_000, **params})
    assert answer.missing == 1
    return answer


class TestRules:
    def test_a_put_is_answered_once_every_shard_has_stored_it(self) -> None:
        desk = QueueDesk(3)
        name = desk.name_in(1, "mail")

        answer = desk.ask("queue.put", queue=name, prefix="m/")

        known = [[shard.queues.prefix_of(name) for shard in desk.all]]
        for _ in range(2):
            assert answer.missing == 1
            told = desk.turn()
            known.append([shard.queues.prefix_of(name) for shard in desk.all])
        assert told == [answer]
        assert known == [[None, "m/", None], [None, "m/", None], ["m/", "m/", "m/"]]
        assert body(answer)["result"]["version"] == 1
        desk.reload()
        assert [shard.queues.prefix_of(name) for shard in desk.all] == ["m/", "m/", "m/"]

    def test_the_same_put_is_answered_at_once_and_one_that_changes_reaches_all(self, desk: QueueDesk) -> None:
        assert desk.ask("queue.put", queue="q", prefix="").missing == 0

        assert desk.result("queue.put", queue="q", prefix="", max_dead=7)["version"] == 2

        assert [shard.queues.find("q").state.settings.max_dead for shard in desk.all] == [7, 7, 7]

    def test_a_put_or_delete_that_cannot_reach_all_is_to_be_sent_again(self, desk: QueueDesk) -> None:
        answers = [desk.ask("queue.put", queue="r", prefix=""), desk.ask("queue.delete", queue="q")]
        desk.now_ns += 4_000_000_000
        desk.parked.expire(desk.now_ns, 10)

        assert desk.parked.take_ready() == answers
        for answer in answers:
            error = body(answer)["error"]
            assert (error["code"], error["data"]["retryable"]) == (ErrorCode.STORAGE_FAILED, True)
        assert desk.result("queue.put", queue="r", prefix="")["version"] == 1
        assert desk.result("queue.delete", queue="q") == {"deleted": False}
        assert [shard.queues.standing("q") for shard in desk.all] == [None, None, None]

    @pytest.mark.parametrize("stored", [(), (0,), (2,)], ids=str)
    def test_shards_that_had_not_heard_before_a_crash_hear_after_it(
        self, desk: QueueDesk, stored: tuple[int, ...]
    ) -> None:
        made, gone = desk.name_in(1, "made"), desk.name_in(1, "gone")
        desk.result("queue.put", queue=gone, prefix="")
        end(desk, 0, 1, 2)
        desk.ask("queue.put", queue=made, prefix="", **{"from": "start"})
        desk.ask("queue.delete", queue=gone)
        desk.turn()
        desk.queue_rules.step(desk.now_ns, 1)
        if stored:
            desk.store(*stored)

        desk.reload()
        for _ in range(4):
            desk.turn()

        assert [shard.queues.standing(gone) for shard in desk.all] == [None] * 3
        assert len({shard.queues.standing(made) for shard in desk.all}) == 1
        assert desk.ready_in(made) == [1, 1, 1]
        assert desk.queue_rules.next_due_ns() is None

    def test_what_is_not_durable_at_home_is_told_nobody(self) -> None:
        desk = QueueDesk(3)
        name = desk.name_in(1)
        desk.ask("queue.put", queue=name, prefix="")

        desk.queue_rules.step(desk.now_ns, 1)
        desk.queue_rules.step(desk.now_ns, 1)

        assert [shard.queues.standing(name) is None for shard in desk.all] == [True, False, True]

    def test_a_shard_that_comes_hears_of_all_and_one_that_goes_holds_nobody_up(self, desk: QueueDesk) -> None:
        home = desk.name_in(0, "home")
        lost = desk.shards.remove(2)
        assert desk.call("queue.put", queue=home, prefix="")["error"]["code"] == ErrorCode.SHUTTING_DOWN
        desk.all[0].queues.put(PutQueueParams(home, ""), 0, desk.all[0].engine.last_place, desk.now_ns)
        desk.all = [*desk.shards.owned]
        for _ in range(4):
            desk.turn()
        assert desk.all[1].queues.standing(home) is not None

        desk.shards.add(lost)
        desk.all = [*desk.shards.owned]
        for _ in range(4):
            desk.turn()

        assert lost.queues.standing(home) == desk.all[0].queues.standing(home)

    def test_a_deleted_queue_is_gone_from_all_and_its_waiters_are_told(self, desk: QueueDesk) -> None:
        answer = waiting(desk)

        assert desk.result("queue.delete", queue="q") == {"deleted": True}

        assert body(answer)["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND
        assert desk.result("queue.delete", queue="q") == {"deleted": False}
        assert [shard.queues.standing("q") for shard in desk.all] == [None] * 3

    def test_one_that_is_deleted_before_all_have_heard_of_it_is_made_nowhere(self, desk: QueueDesk) -> None:
        put, deletion = desk.ask("queue.put", queue="r", prefix=""), desk.ask("queue.delete", queue="r")
        assert deletion.missing == 1, "others have yet to be told of the queue, and that it is gone"
        desk.turn()
        desk.turn()

        assert body(put)["result"]["version"] == 1
        assert body(deletion)["result"] == {"deleted": True}
        assert [shard.queues.standing("r") for shard in desk.all] == [None] * 3

    def test_there_may_be_a_thousand_and_all_are_listed_once_with_sums(
        self, desk: QueueDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("timer_server.core.queues.queues.QUEUES_MAXIMUM", 3)
        for name in ("a", "b"):
            desk.result("queue.put", queue=name, prefix="")
        assert desk.call("queue.put", queue="c", prefix="")["error"]["data"]["limit"] == "queues"
        end(desk, 0, 1, 1)

        first = desk.result("queue.list", limit=2)
        rest = desk.result("queue.list", limit=2, after=first["next"])

        assert [(queue["queue"], queue["ready"]) for queue in first["queues"] + rest["queues"]] == [
            ("a", 3),
            ("b", 3),
            ("q", 3),
        ]


class TestTakes:
    def test_what_one_shard_lacks_the_others_give(self, desk: QueueDesk) -> None:
        ended = end(desk, 0, 0, 1, 2)

        taken = take(desk, 3)

        assert len(taken) == 3
        assert sorted(ids([*taken, *take(desk)])) == sorted(ended)
        assert counts(desk) == {"leased": 4}

    def test_shards_have_their_turn_and_each_gives_in_order(self, desk: QueueDesk) -> None:
        end(desk, *[0] * 4, *[1] * 4, *[2] * 4)

        logs = [take(desk, 1)[0]["event"] for _ in range(6)]

        assert [event["log"] for event in logs] == [shard.log.id for shard in desk.all] * 2
        assert all(later["seq"] > earlier["seq"] for earlier, later in zip(logs, logs[3:], strict=False))

    def test_payloads_of_all_shards_together_end_it(self, desk: QueueDesk) -> None:
        end(desk, 0, 1, 2, payload=b'"' + b"x" * (PAGE_BYTES // 2 - 2) + b'"')

        assert [len(take(desk)) for _ in range(3)] == [2, 1, 0]

    def test_one_that_waits_is_woken_by_any_shard_and_served_in_turn(self, desk: QueueDesk) -> None:
        answers = [waiting(desk, max=2) for _ in range(3)]

        told = []
        for number in (2, 0, 1):
            desk.begin(desk.name_in(number, f"w/{number}/"))
            told.append(desk.wait(1000))

        assert told == [[answer] for answer in answers]
        assert len(desk.parked) == 0

    def test_one_that_waits_gets_what_all_shards_have(self, desk: QueueDesk) -> None:
        answer = waiting(desk, max=5)
        for number in (0, 1, 2):
            desk.begin(desk.name_in(number, f"w/{number}/"))

        assert desk.wait(1000) == [answer]

        assert len(body(answer)["result"]["deliveries"]) == 3

    def test_a_lease_that_runs_out_in_any_shard_wakes_one(self, desk: QueueDesk) -> None:
        ended = end(desk, 0, 1, 2)
        take(desk)
        answer = waiting(desk, max=5)

        assert desk.wait(10_000) == [answer]

        assert sorted(ids(body(answer)["result"]["deliveries"])) == sorted(ended)

    def test_repeated_with_its_key_gives_what_it_got_from_all_and_never_more(self, desk: QueueDesk) -> None:
        end(desk, 0, 1)
        taken = take(desk, 5, key="k")
        end(desk, 0, 1, 2)

        assert take(desk, 5, key="k") == taken
        desk.reload()
        assert receipts(take(desk, 5, key="k")) == receipts(taken)
        desk.result("queue.ack", queue="q", receipts=receipts(taken[:1]))
        assert receipts(take(desk, 5, key="k", wait_ms=1000)) == receipts(taken[1:])
        desk.result("queue.ack", queue="q", receipts=receipts(taken[1:]))
        assert take(desk, 5, key="k", wait_ms=1000) == []
        assert counts(desk) == {"ready": 3}

    def test_each_shard_that_gave_something_remembers_the_key_and_no_other(self, desk: QueueDesk) -> None:
        end(desk, 0, 1)
        take(desk, 5, key="k")

        known = [shard.queues.knows_take("q", "k", desk.now_ns) for shard in desk.all]

        assert known == [True, True, False]

    def test_a_full_disk_takes_back_nothing_that_another_shard_gave(self, desk: QueueDesk) -> None:
        end(desk, 0, 1)
        desk.all[1].engine.limit_growth(0)

        assert len(take(desk)) == 1

        assert desk.call("queue.take", queue="q")["error"]["data"]["limit"] == "disk_bytes"

    def test_a_shard_that_has_not_heard_of_a_queue_is_passed_over(self) -> None:
        desk = QueueDesk(3)
        name = desk.name_in(2)
        desk.ask("queue.put", queue=name, prefix="")
        end_of_home = desk.name_in(2, "e/")
        desk.begin(end_of_home)
        desk.now_ns += 1_000_000_000
        desk.all[2].engine.expire(desk.now_ns, 10)

        taken = desk.result("queue.take", queue=name)["deliveries"]

        assert ids(taken) == [end_of_home]
        strange = f"{desk.all[0].log.id}~{name}~1"
        asked = [strange, *receipts(taken)]
        assert desk.result("queue.ack", queue=name, receipts=asked) == {"done": asked[1:], "lost": [strange]}


class TestReceipts:
    @pytest.mark.parametrize(
        ("method", "done"),
        [("queue.ack", "done"), ("queue.nack", "done"), ("queue.renew", "leased")],
    )
    def test_go_to_the_logs_that_they_name_and_keep_their_order(self, desk: QueueDesk, method: str, done: str) -> None:
        end(desk, 0, 1, 2, 0, 1, 2)
        good = sorted(receipts(take(desk)), key=lambda receipt: receipt[::-1])
        lost = ["AAAAAAAAAAA~q~1", f"{desk.all[1].log.id}~q~77"]
        asked = [good[0], lost[0], *good[1:3], good[0], lost[1], *good[3:], lost[0]]

        result = desk.result(method, queue="q", receipts=asked)

        assert (result[done], result["lost"]) == (good, lost)

    @pytest.mark.parametrize("method", ["queue.ack", "queue.nack", "queue.renew", "queue.revive", "queue.drop"])
    @pytest.mark.parametrize("wrong", ["x", "log00000001~q~", "log00000001~r~1", "AAAAAAAAAAA~r~1"])
    def test_one_that_is_wrong_and_nothing_is_applied_anywhere(self, desk: QueueDesk, method: str, wrong: str) -> None:
        end(desk, 0, 1, 2)

        error = desk.call(method, queue="q", receipts=[*receipts(take(desk)), wrong])["error"]

        assert error["code"] == ErrorCode.INVALID_PARAMS
        assert "receipt" in error["data"]["reason"]
        assert counts(desk) == {"leased": 3}

    def test_a_renewal_finds_room_in_every_log_or_changes_none(self, desk: QueueDesk) -> None:
        end(desk, 0, 1, 2)
        taken = take(desk)
        desk.all[2].engine.limit_growth(0)

        renewed = desk.call("queue.renew", queue="q", receipts=receipts(taken), lease_ms=60_000)

        assert renewed["error"]["data"]["limit"] == "disk_bytes"
        desk.wait(10_000)
        assert counts(desk) == {"ready": 3}


class TestDeadLetters:
    @pytest.fixture
    def died(self, desk: QueueDesk) -> list[str]:
        """Receipts of dead letters in the order of their deaths: at one moment in one turn of shards, then others."""
        receipts_of = {}
        for number in (2, 0, 1, 1, 0, 2):
            (timer_id,) = end(desk, number)
            (taken,) = take(desk)
            receipts_of[timer_id] = taken["receipt"]
        order = list(receipts_of.values())
        for some in ((order[2], order[0], order[1]), (order[3],), (order[5], order[4])):
            desk.result("queue.nack", queue="q", receipts=list(some), then="dead")
            desk.wait(1)
        by_log = [sorted(some) for some in (order[:3], order[3:4], order[4:])]
        return [receipt for some in by_log for receipt in some]

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
    def test_are_read_by_pages_in_the_order_of_their_deaths(self, desk: QueueDesk, died: list[str], limit: int) -> None:
        found, after = [], None
        while True:
            page = desk.result("queue.dead", queue="q", limit=limit, after=after)
            found += receipts(page["dead"])
            assert len(page["dead"]) <= limit
            if (after := page["next"]) is None:
                break

        assert found == died

    def test_of_which_some_leave_while_they_are_read(self, desk: QueueDesk, died: list[str]) -> None:
        page = desk.result("queue.dead", queue="q", limit=2)
        desk.result("queue.drop", queue="q", receipts=[*died[:3]])

        assert receipts(desk.result("queue.dead", queue="q", after=page["next"])["dead"]) == died[3:]

    def test_pages_end_early_where_payloads_are_large(self, desk: QueueDesk) -> None:
        end(desk, 0, 1, 2, payload=b'"' + b"x" * (PAGE_BYTES * 2 // 3) + b'"')
        for _ in range(3):
            desk.result("queue.nack", queue="q", receipts=receipts(take(desk)), then="dead")

        pages, after = [], None
        for _ in range(3):
            page = desk.result("queue.dead", queue="q", after=after)
            pages.append(ids(page["dead"]))
            after = page["next"]

        assert ([len(page) for page in pages], after) == ([1, 1, 1], None)
        assert len({page[0] for page in pages}) == 3

    @pytest.mark.parametrize(("method", "then"), [("queue.revive", "ready"), ("queue.drop", "dropped")])
    def test_are_moved_by_pages_and_by_receipts(self, desk: QueueDesk, died: list[str], method: str, then: str) -> None:
        page = desk.result(method, queue="q", limit=2)
        assert (page["done"], page["lost"]) == (died[:2], [])
        rest = desk.result(method, queue="q", limit=3, after=page["next"])
        assert rest["done"] == died[2:5]

        last = desk.result(method, queue="q", receipts=[died[0], died[5]])

        assert last == {"done": [died[5]], "lost": [died[0]], "next": None}
        assert counts(desk) == {then: 6}

    @pytest.mark.parametrize("wrong", ["the end", "7", "1-2", "1-2-3-4", "-1-0-0", "1-99999-1"])
    def test_a_cursor_that_is_none_is_said(self, desk: QueueDesk, wrong: str) -> None:
        for method in ("queue.dead", "queue.revive", "queue.drop"):
            error = desk.call(method, queue="q", after=wrong)["error"]
            assert (error["code"], wrong in error["data"]["reason"]) == (ErrorCode.INVALID_PARAMS, True)


class TestBounds:
    def test_hold_for_each_log_and_the_counts_are_sums(self, desk: QueueDesk) -> None:
        desk.result("queue.put", queue="q", prefix="", max_backlog=2, max_dead=1)

        end(desk, *[0] * 5, *[1] * 2, *[2] * 3)
        desk.wait(0)

        assert desk.ready_in("q") == [2, 2, 2]
        assert counts(desk) == {"ready": 6, "dead": 2, "dropped": 2}

    def test_the_oldest_ready_end_is_the_oldest_of_all(self, desk: QueueDesk) -> None:
        end(desk, 1)
        desk.wait(500)
        end(desk, 0)

        assert desk.result("queue.get", queue="q")["oldest_ready_ms"] == 1500

    def test_a_queue_from_the_start_takes_up_the_ends_of_every_shard(self, desk: QueueDesk) -> None:
        ended = end(desk, 0, 1, 2, 2)

        desk.result("queue.put", queue="late", prefix="", **{"from": "start"})
        ended += end(desk, 0, 1, 2)

        taken = desk.result("queue.take", queue="late", max=10)["deliveries"]
        assert sorted(ids(taken)) == sorted(ended)
        assert not desk.result("queue.get", queue="late")["filling"]

    def test_nothing_is_kept_of_a_queue_that_is_gone(self, desk: QueueDesk) -> None:
        end(desk, 0, 1, 2)
        take(desk, 2, key="k")
        desk.result("queue.delete", queue="q")

        assert desk.queue_methods.deliveries.turn_of == {}
        assert not desk.queue_rules._news
        assert len(desk.parked) == 0
