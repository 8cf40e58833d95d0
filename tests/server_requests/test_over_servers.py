"""Several servers that divide the shards: what a client is told of all together, and what is done once."""

from typing import Any

import pytest

from drivers.cluster_desk import ClusterDesk
from drivers.sharded_desk import body
from server_requests.queue_desk import QueueCluster
from timer_protocol.errors import ErrorCode
from timer_protocol.queue_messages import PutQueueParams
from timer_protocol.sender import ALL_RIGHTS, Sender
from timer_server.core.engine import Engine
from timer_server.requests.placement import shard_number
from timer_server.requests.shard import Shard

COUNT = 6


@pytest.fixture
def desk() -> ClusterDesk:
    """Three servers of two shards each, which have compared their queues."""
    desk = ClusterDesk(COUNT)
    desk.turn()
    return desk


@pytest.fixture
def queues() -> QueueCluster:
    """A queue `q` of all ends, with leases of ten seconds."""
    desk = QueueCluster(COUNT)
    desk.turn()
    desk.result("queue.put", queue="q", prefix="", lease_ms=10_000)
    return desk


def started(desk: ClusterDesk, per_shard: int = 2, **columns: Any) -> list[str]:
    """Timers in every shard, the ids in order."""
    ids = [desk.name_in(number, f"{at}/") for number in range(COUNT) for at in range(per_shard)]
    desk.result("timer.start_many", ids=ids, seconds=60, **columns)
    desk.commit()
    return sorted(ids)


class TestAnyServer:
    """Each request goes to another of the servers."""

    def test_tells_of_all_logs_with_their_own_time_and_of_all_that_is_in_them(self, desk: ClusterDesk) -> None:
        desk.spread(1_000)
        started(desk)
        desk.result("plan.put", plan="p", every={"hours": 1})
        infos = [desk.result("server.info") for _ in desk.servers]

        for info in infos:
            assert info["counts"]["running"] == 2 * COUNT + 1
            assert info["plans"] == 1
            assert info["cursor"] == {shard.log.id: shard.engine.last_seq for shard in desk.shards.owned}
            assert {log: standing["now_ms"] * 10**6 - desk.now_ns for log, standing in info["logs"].items()} == {
                shard.log.id: shard.ahead_ns for shard in desk.shards.owned
            }

    def test_lists_by_deadlines_whatever_timelines_there_are(self, desk: ClusterDesk) -> None:
        desk.spread(5_000)
        ids = [desk.name_in(number, "due") for number in range(COUNT)]
        for at, timer_id in enumerate(ids):
            desk.result("timer.start", id=timer_id, seconds=60 - at)

        page = desk.result("timer.list", order="due", limit=4)

        assert [timer["id"] for timer in page["timers"]] == ids[:1:-1]
        assert page["complete"] is False
        assert "complete" not in desk.result("timer.list", order="due", limit=6)

    def test_keeps_payloads_as_they_were_written(self, desk: ClusterDesk) -> None:
        payload = [1.0, 12345678901234567890123, 0.1, {"a": 1e300}]
        started(desk, 1, payloads=[payload] * COUNT)

        assert [timer["payload"] for timer in desk.result("timer.list")["timers"]] == [payload] * COUNT

    def test_refuses_starts_under_their_indexes(self, desk: ClusterDesk) -> None:
        ids = started(desk, 1)
        asked = [ids[0], "no id", ids[3], *(desk.name_in(number, "new/") for number in range(3)), "also no id"]

        result = desk.result("timer.start_many", ids=asked, seconds=[60, 1, 61, 1, 1, 1, 1])

        assert (result["started"], result["existing"]) == (3, [0])
        assert [(one["index"], one["error"]["code"]) for one in result["refused"]] == [
            (1, ErrorCode.INVALID_PARAMS),
            (2, ErrorCode.ID_CONFLICT),
            (6, ErrorCode.INVALID_PARAMS),
        ]

    def test_starts_none_where_the_columns_differ(self, desk: ClusterDesk) -> None:
        error = desk.call("timer.start_many", ids=["a", "b", "c"], seconds=[1, 2])["error"]

        assert error["code"] == ErrorCode.INVALID_PARAMS
        assert desk.result("server.info")["counts"]["running"] == 0

    @pytest.mark.parametrize("by_ids", [False, True])
    def test_changes_each_timer_once_though_payloads_end_its_parts_early(
        self, desk: ClusterDesk, monkeypatch: pytest.MonkeyPatch, by_ids: bool
    ) -> None:
        monkeypatch.setattr("timer_server.requests.asking.PAGE_BYTES", 100)
        ids = started(desk, 5, payloads=["x" * 30] * 5 * COUNT)
        which = {"ids": ids} if by_ids else {"prefix": ""}
        changed, after = 0, None
        while True:
            page = desk.result(
                "timer.change_many", action="extend", seconds=10, key="k", limit=12, after=after, **which
            )
            assert (page["unchanged"], page["refused"]) == (0, [])
            changed += page["changed"]
            if (after := page["next"]) is None:
                break

        assert changed == len(ids)
        timers = desk.pages("timer.list", "timers")
        assert [(timer["id"], timer["duration_ms"], timer["version"]) for timer in timers] == [
            (timer_id, 70_000, 2) for timer_id in ids
        ]

    @pytest.mark.parametrize("action", ["pause", "extend", "restart", "cancel"])
    def test_has_the_timers_of_a_page_change_in_one_step_in_each_shard(
        self, desk: ClusterDesk, monkeypatch: pytest.MonkeyPatch, action: str
    ) -> None:
        ids = started(desk)
        monkeypatch.setattr(Engine, "change", lambda *_: pytest.fail("one changes by itself"))
        asked = {"seconds": 5} if action == "extend" else {}

        page = desk.result("timer.change_many", action=action, prefix="", key="k", **asked)
        assert page == {"changed": len(ids), "unchanged": 0, "refused": [], "next": None}
        assert [shard.engine.last_seq for shard in desk.shards.owned] == [4] * COUNT
        if action == "pause":
            page = desk.result("timer.change_many", action="resume", prefix="")
            assert page == {"changed": len(ids), "unchanged": 0, "refused": [], "next": None}
            assert desk.result("server.info")["counts"]["running"] == len(ids)

    def test_tells_what_would_change_and_changes_nothing(self, desk: ClusterDesk) -> None:
        ids = started(desk)
        page = desk.result("timer.change_many", action="cancel", prefix="", limit=5, dry_run=True)

        assert (page["changed"], page["next"]) == (5, ids[4])
        assert desk.result("server.info")["counts"]["running"] == len(ids)

    @pytest.mark.parametrize("left", [0, 3_000, 40_000])
    def test_counts_what_all_have_taken_of_the_room_of_a_reply(self, desk: ClusterDesk, left: int) -> None:
        """A batch of pages ends where those of one server would, but for a payload of each server."""
        started(desk, 8, payloads=["x" * 997] * 8 * COUNT)
        room = "timer_server.requests.room.REPLY_BYTES"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, left)
            responses = body(desk.send(*[("timer.list", {})] * 5))

        pages = [response["result"]["timers"] for response in responses if "result" in response]
        assert 0 < sum(map(len, pages)) * 1_000 <= left + 3 * 1_000 * max(len(pages), 1)
        assert {response["error"]["data"]["limit"] for response in responses if "error" in response} == {"reply_bytes"}


class TestEvents:
    def test_are_read_once_each_in_the_order_of_their_logs(self, desk: ClusterDesk) -> None:
        started(desk, 4)

        events = desk.events()

        seqs = {
            shard.log.id: [event["seq"] for event in events if event["log"] == shard.log.id]
            for shard in desk.shards.owned
        }
        assert set(map(tuple, seqs.values())) == {(1, 2, 3, 4)}

    @pytest.mark.parametrize("limit", [1, 2, 5, 100])
    def test_pages_hold_their_limit(self, desk: ClusterDesk, limit: int) -> None:
        started(desk, 3)
        after: dict[str, int] = {}
        found = 0
        while True:
            page = desk.result("events.read", after=after, limit=limit)
            assert len(page["events"]) <= limit
            assert set(page["next"]) == {shard.log.id for shard in desk.shards.owned}
            found, after = found + len(page["events"]), page["next"]
            if not page["more"]:
                break
        assert found == 3 * COUNT

    def test_of_a_log_that_the_cursor_does_not_name_are_read_from_its_beginning(self, desk: ClusterDesk) -> None:
        started(desk)
        cursor = desk.result("server.info")["cursor"]
        missing = sorted(cursor)[:3]  # all of one server, and one of another
        page = desk.result("events.read", after={log: seq for log, seq in cursor.items() if log not in missing})

        assert sorted(event["log"] for event in page["events"]) == sorted(missing * 2)
        assert not page["truncated"]

    @pytest.mark.parametrize(("known", "events"), [(False, 0), (True, 10)])
    def test_of_a_cursor_with_strange_logs_that_is_told(self, desk: ClusterDesk, known: bool, events: int) -> None:
        started(desk)
        cursor = desk.result("server.info")["cursor"]
        own = dict([next(iter(cursor.items()))]) if known else {}
        page = desk.result("events.read", after={"AAAAAAAAAAA": 7, **own})

        assert (len(page["events"]), page["truncated"]) == (events, True)
        assert page["next"] == cursor

    def test_are_waited_for_at_all_servers_and_the_first_is_told(self, desk: ClusterDesk) -> None:
        cursor = desk.result("server.info")["cursor"]
        for number in range(COUNT):
            answer = desk.send(("events.read", {"after": cursor, "wait_ms": 1000}))
            timer_id = desk.name_in(number, "w")
            desk.result("timer.start", id=timer_id, seconds=60)
            assert desk.turn() == [answer]
            page = body(answer)["result"]
            assert [event["timer"]["id"] for event in page["events"]] == [timer_id]
            assert set(page["next"]) == set(cursor)
            cursor = page["next"]
        answer = desk.send(("events.read", {"after": cursor, "wait_ms": 1000}))
        assert desk.wait(1_000) == [answer]
        assert body(answer)["result"] == {"events": [], "next": cursor, "more": False, "truncated": False}


class TestTakes:
    def test_that_wait_are_served_by_one_server_and_others_take_theirs_back(self, queues: QueueCluster) -> None:
        answer = queues.ask("queue.take", queue="q", max=5, wait_ms=60_000)
        end(queues, 0, 2, 4)

        (told,) = [answer for answer in [answer] if not answer.missing]
        (delivery,) = body(told)["result"]["deliveries"]
        assert counts(queues) == {"ready": 2, "leased": 1}
        others = queues.result("queue.take", queue="q", max=5)["deliveries"]
        assert [one["attempt"] for one in others] == [1, 1]
        assert len({one["event"]["timer"]["id"] for one in (delivery, *others)}) == 3
        assert all(len(server.parked) == 0 for server in queues.servers)

    def test_repeated_through_other_servers_give_what_they_gave(self, queues: QueueCluster) -> None:
        end(queues, *range(COUNT))
        takes = [queues.result("queue.take", queue="q", max=4, key="k")["deliveries"] for _ in range(4)]

        receipts = [sorted(one["receipt"] for one in taken) for taken in takes]
        assert receipts == [receipts[0]] * 4
        assert counts(queues) == {"leased": 4, "ready": 2}

    def test_that_wait_are_found_by_a_copy_at_another_server(self, queues: QueueCluster) -> None:
        first, second = (queues.ask("queue.take", queue="q", key="k", wait_ms=60_000) for _ in range(2))
        ended = end(queues, 3)

        assert body(first)["result"]["deliveries"] == []
        assert [one["event"]["timer"]["id"] for one in body(second)["result"]["deliveries"]] == ended

    def test_shards_have_their_turn(self, queues: QueueCluster) -> None:
        end(queues, *[*range(COUNT)] * 3)
        numbers = [
            shard_number(queues.result("queue.take", queue="q")["deliveries"][0]["event"]["timer"]["id"], COUNT)
            for _ in range(3 * COUNT)
        ]

        assert all(numbers.count(number) == 3 for number in range(COUNT))
        assert set(numbers[:6]) != {0}

    def test_of_a_queue_that_is_deleted_or_has_another_prefix_end(self, queues: QueueCluster) -> None:
        answer = queues.ask("queue.take", queue="q", wait_ms=60_000)
        queues.result("queue.put", queue="q", prefix="x")
        assert body(answer)["result"]["deliveries"] == []

        answer = queues.ask("queue.take", queue="q", wait_ms=60_000)
        assert queues.result("queue.delete", queue="q") == {"deleted": True}
        assert body(answer)["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND

    @pytest.mark.parametrize("method", ["queue.ack", "queue.nack", "queue.renew"])
    def test_are_settled_through_any_server(self, queues: QueueCluster, method: str) -> None:
        end(queues, *range(COUNT))
        taken = queues.result("queue.take", queue="q", max=COUNT)["deliveries"]
        receipts = ["AAAAAAAAAAA~q~1", *(one["receipt"] for one in reversed(taken))]

        result = queues.result(method, queue="q", receipts=receipts)

        assert (result.get("done") or result["leased"], result["lost"]) == (receipts[1:], receipts[:1])
        wrong = queues.call(method, queue="q", receipts=[receipts[1], "x"])["error"]
        assert wrong["code"] == ErrorCode.INVALID_PARAMS
        gone = queues.call(method, queue="none", receipts=["AAAAAAAAAAA~none~1"])["error"]
        assert gone["code"] == ErrorCode.QUEUE_NOT_FOUND


class TestQueues:
    def test_a_put_is_answered_once_all_shards_of_all_servers_have_it(self, desk: ClusterDesk) -> None:
        name = desk.name_in(3, "mail")
        answer = desk.send(("queue.put", {"queue": name, "prefix": "m/"}))
        assert answer is not None

        known = [knowing(desk, name)]
        while answer.missing:
            desk.turn()
            known.append(knowing(desk, name))
        assert known[0] == {3}
        assert known[-1] == set(range(COUNT))
        assert body(answer)["result"]["version"] == 1

    def test_a_client_with_a_prefix_does_not_reach_a_queue_that_is_being_made(self, desk: ClusterDesk) -> None:
        shop, name = Sender("shop", "shop/", ALL_RIGHTS), desk.name_in(3, "mail")
        desk.send(("queue.put", {"queue": name, "prefix": "bank/"}))

        for method, params in (
            ("queue.delete", {}),
            ("queue.put", {"prefix": "shop/"}),
            ("queue.take", {}),
            ("queue.get", {}),
            ("queue.drop", {}),
        ):
            for _ in desk.servers:
                assert "error" in desk.call(method, shop, queue=name, **params), method
        assert desk.shards.owned[3].queues.prefix_of(name) == "bank/"

    def test_what_a_home_had_decided_is_told_by_the_server_that_takes_it_over(self, desk: ClusterDesk) -> None:
        made, gone = desk.name_in(3, "made"), desk.name_in(3, "gone")
        done(desk, "queue.put", queue=gone, prefix="")
        home = shard_of(desk, 3)
        home.queues.delete(gone, desk.now_ns)
        home.queues.put(PutQueueParams(made, ""), home.engine.horizon, home.engine.last_place, desk.now_ns)
        desk.store()

        desk.give(3, 0)
        for _ in range(3):
            desk.turn()

        assert knowing(desk, made) == set(range(COUNT))
        assert knowing(desk, gone) == set()
        assert all(server.queue_rules.next_due_ns() is None for server in desk.servers)

    def test_what_a_shard_has_missed_it_hears_with_the_server_that_takes_it_over(self, desk: ClusterDesk) -> None:
        """Homes of that server, and of others, had decided while nobody owned the shard."""
        names = [(desk.name_in(home, "made"), desk.name_in(home, "gone")) for home in (0, 5)]
        shard = shard_of(desk, 3)
        for made, gone in names:
            done(desk, "queue.put", queue=gone, prefix="")
            rule = shard.queues.rule(gone)
            done(desk, "queue.delete", queue=gone)
            done(desk, "queue.put", queue=made, prefix="")
            assert rule is not None
            shard.queues.hear(rule, 0, 0, desk.now_ns)
            shard.queues.delete(made, desk.now_ns)
        desk.store()

        desk.give(3, 0)
        for _ in range(3):
            desk.turn()

        for made, gone in names:
            assert knowing(desk, made) == set(range(COUNT))
            assert knowing(desk, gone) == set()

    def test_what_is_told_late_takes_back_nothing_that_is_newer(self, desk: ClusterDesk) -> None:
        """Rules of a home as they were, which come after those that it has decided since."""
        name = desk.name_in(3, "mail")
        before = desk.servers[1].queue_rules.compare([shard_of(desk, 3)], [], desk.now_ns)
        done(desk, "queue.put", queue=name, prefix="")

        for server in desk.servers:
            server.queue_rules.compare(server.shards.owned, before, desk.now_ns)

        assert knowing(desk, name) == set(range(COUNT))

    def test_all_are_listed_once_with_sums(self, queues: QueueCluster) -> None:
        for name in ("a", "b", "r"):
            queues.result("queue.put", queue=name, prefix="")
        end(queues, *range(COUNT))
        first = queues.result("queue.list", limit=2)
        rest = queues.result("queue.list", limit=2, after=first["next"])

        listed = [(queue["queue"], queue["ready"]) for queue in first["queues"] + rest["queues"]]
        assert listed == [("a", COUNT), ("b", COUNT), ("q", COUNT), ("r", COUNT)]
        assert rest["next"] is None

    @pytest.mark.parametrize(("method", "kind"), [("queue.revive", "ready"), ("queue.drop", "dropped")])
    def test_dead_letters_move_in_the_order_of_their_deaths(self, queues: QueueCluster, method: str, kind: str) -> None:
        order = [4, 1, 3, 0, 5, 2]
        ids = end(queues, *order)
        taken = {
            one["event"]["timer"]["id"]: one["receipt"]
            for one in queues.result("queue.take", queue="q", max=COUNT)["deliveries"]
        }
        for timer_id in ids:
            queues.result("queue.nack", queue="q", receipts=[taken[timer_id]], then="dead")
            queues.wait(1)
        page = queues.result("queue.dead", queue="q", limit=4)
        assert [one["event"]["timer"]["id"] for one in page["dead"]] == ids[:4]

        moved = queues.result(method, queue="q", limit=4)
        assert moved["done"] == [taken[timer_id] for timer_id in ids[:4]]
        rest = queues.result(method, queue="q", after=moved["next"])
        assert (rest["done"], rest["next"]) == ([taken[timer_id] for timer_id in ids[4:]], None)
        assert counts(queues) == {kind: COUNT}


def end(desk: QueueCluster, *numbers: int) -> list[str]:
    """Lets timers of some shards fire, and returns their ids."""
    begun = desk.now_ns // 10**6
    ids = [desk.name_in(number, f"e/{begun}/{at}/") for at, number in enumerate(numbers)]
    for timer_id in ids:
        desk.begin(timer_id)
    desk.wait(1000)
    return ids


def counts(desk: QueueCluster) -> dict[str, int]:
    queue = desk.result("queue.get", queue="q")
    return {kind: queue[kind] for kind in ("ready", "leased", "delayed", "dead", "dropped") if queue[kind]}


def knowing(desk: ClusterDesk, queue: str) -> set[int]:
    """The shards that know a queue."""
    return {shard.number for shard in desk.shards.owned if shard.queues.standing(queue) is not None}


def shard_of(desk: ClusterDesk, number: int) -> Shard:
    return next(shard for shard in desk.shards.owned if shard.number == number)


def done(desk: ClusterDesk, method: str, **params: Any) -> None:
    """Has something done that waits until all shards have heard of it."""
    answer = desk.send((method, params))
    assert answer is not None
    for _ in range(5):
        if answer.missing:
            desk.turn()
    assert "result" in body(answer)
