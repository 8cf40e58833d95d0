"""Requests for shards whose owners change: each is done once, by whoever owns its shard then."""

from unittest.mock import Mock

import pytest

from drivers.several_servers import Server, SharedStore
from server_requests.forwarded import code, kinds, sent, started
from timer_protocol.errors import ErrorCode
from timer_server.limits import KEYS_REMEMBERED
from timer_server.store.base import ShardLost
from timer_server.store.membership import Owner


class TestOwnersThatChange:
    def test_who_serves_it_no_longer_says_so_and_the_next_owner_gets_it(
        self, store: SharedStore, a: Server, b: Server, theirs: str
    ) -> None:
        started(a, theirs)
        store.give(1, "c")
        b.settle()  # has noticed
        a.call("timer.pause", id=theirs)
        store.run()
        assert a.take_told() == []
        sent(a)
        store.run()
        assert sent(a) == []  # it does not ask the same owner again and again

        store.follow()
        store.run()
        assert [told["result"]["state"] for told in a.take_told()] == ["paused"]

    def test_a_forward_is_not_forwarded(self, store: SharedStore, a: Server, b: Server, theirs: str) -> None:
        store.give(1, "c")
        b.settle()
        b.follow()
        a.call("timer.get", id=theirs)
        store.run()

        assert a.take_told() == []
        assert sent(b) == []

    def test_an_owner_whose_epoch_was_raised_says_so_and_is_asked_again_at_once(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        started(a, theirs)
        store.give(1, "b")
        a.call("timer.pause", id=theirs)
        store.run()

        assert [told["result"]["state"] for told in a.take_told()] == ["paused"]
        assert kinds(store, 1) == ["started", "paused"]

    def test_an_owner_that_has_yet_to_learn_of_its_epoch_is_asked_once_a_beat(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        started(a, theirs)
        sent(a)
        a.call("timer.pause", id=theirs)
        early = {**store.owners, 1: Owner("b", store.epochs[1] + 1)}
        for _ in range(2):
            a.forwards.follow(early, store.servers)
            store.run()
            assert len(sent(a)) == 1

        store.give(1, "b")
        a.forwards.follow(early, store.servers)
        store.run()
        assert [told["result"]["state"] for told in a.take_told()] == ["paused"]
        assert kinds(store, 1) == ["started", "paused"]

    def test_a_question_is_asked_again_only_of_the_shards_that_have_moved(self) -> None:
        store = SharedStore(3, are_joined=True)
        a, b, _ = map(store.start, "abc")
        for number, owner in enumerate((a, b, b)):
            store.give(number, owner.incarnation)
        store.follow()
        store.give(1, "b")
        store.give(2, "c")
        b.settle()
        a.call("timer.list")
        store.run()
        assert a.take_told() == []
        asked = {shards for message in sent(a) for request in message for shards in request.shards}
        assert asked == {(1, 1), (2, 1), (1, 2)}

        store.follow()
        store.run()
        assert len(a.take_told()) == 1

    def test_what_a_dead_server_had_goes_to_the_next_owner(self, store: SharedStore, a: Server, theirs: str) -> None:
        started(a, theirs)
        for _ in range(2):
            a.call("timer.extend", id=theirs, seconds=1)
        a.turn()
        store.deliver_all()
        store.servers["b"].turn()
        store.servers["b"].settle_all()  # it has done that, and nobody hears of it
        store.kill("b")
        store.give(1, "c")
        store.follow()
        store.run()

        assert [told["result"]["duration_ms"] for told in a.take_told()] == [62_000, 62_000]
        assert kinds(store, 1) == ["started", "extended", "extended"]

    def test_what_a_lost_connection_had_is_sent_again_and_done_once(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        started(a, theirs)
        a.call("timer.extend", id=theirs, seconds=1)
        a.turn()
        store.cut("a", "b", is_late=True)
        store.run()
        assert a.take_told() == []

        store.connect("a", "b")
        store.run()
        assert [told["result"]["duration_ms"] for told in a.take_told()] == [61_000]
        assert kinds(store, 1) == ["started", "extended"]

    def test_what_waits_at_an_owner_goes_on_while_only_the_connection_of_that_one_breaks(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        """Each of two servers asks the other over a connection of its own."""
        started(a, theirs)
        a.call("timer.wait", id=theirs, wait_ms=60_000)
        store.run()
        store.cut("b", "a")
        store.run()
        store.pass_time(60_000)
        store.run()

        assert [told["result"]["state"] for told in a.take_told()] == ["fired"]

    def test_more_changes_of_a_timer_than_it_knows_keys_of_are_done_once_each(
        self, store: SharedStore, a: Server, theirs: str
    ) -> None:
        most = KEYS_REMEMBERED + 20
        started(a, theirs)
        for _ in range(most):
            a.call("timer.extend", id=theirs, seconds=1)
        a.turn()
        store.deliver_all()
        store.servers["b"].turn()
        store.servers["b"].settle_all()  # it has done what it got, and nobody hears of it
        store.kill("b")
        store.give(1, "c")
        store.follow()
        store.run(8)

        assert max(told["result"]["duration_ms"] for told in a.take_told()) == 60_000 + most * 1_000
        assert kinds(store, 1) == ["started"] + ["extended"] * most

    def test_the_reply_to_an_earlier_sending_is_dropped(self, store: SharedStore, a: Server, theirs: str) -> None:
        started(a, theirs)
        a.call("timer.get", id=theirs, request_id=7)
        a.turn()
        store.deliver_all()
        store.servers["b"].turn()
        store.servers["b"].settle_all()
        a.forwards.broken("b")
        a.forwards.connected("b")
        store.run()

        assert [told["id"] for told in a.take_told()] == [7]


class TestLostShards:
    def test_what_the_fence_rejected_is_done_by_the_next_owner(
        self, store: SharedStore, b: Server, theirs: str
    ) -> None:
        started(b, theirs)
        b.call("timer.extend", id=theirs, seconds=1)
        b.turn()
        store.give(1, "c")
        b.settle()
        assert b.take_told() == []

        store.follow()
        store.run()
        assert [told["result"]["duration_ms"] for told in b.take_told()] == [61_000]
        assert kinds(store, 1) == ["started", "extended"]

    def test_what_could_not_be_read_any_more_is_read_by_the_next_owner(
        self, store: SharedStore, b: Server, theirs: str
    ) -> None:
        """An ended timer is read from the log."""
        started(b, theirs)
        b.call("timer.cancel", id=theirs)
        store.run()
        b.take_told()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.stores[1], "entry", Mock(side_effect=ShardLost({1}, "another server has taken it")))
            b.call("timer.get", id=theirs)
            b.turn()
        store.give(1, "c")
        b.settle()
        store.follow()
        store.run()

        assert [told["result"]["state"] for told in b.take_told()] == ["cancelled"]
        assert b.dispatcher.failure is None

    def test_what_was_done_in_other_shards_is_told_as_it_is(self, store: SharedStore, b: Server, theirs: str) -> None:
        store.give(2, "b")
        kept = store.name_in(2)
        b.call("timer.start", id=theirs, seconds=60, request_id=1)
        b.call("timer.start", id=kept, seconds=60, request_id=2)
        b.turn()
        store.give(1, "c")
        b.settle()

        assert [told["id"] for told in b.take_told()] == [2]

    def test_of_a_batch_only_what_was_lost_is_done_anew(self, store: SharedStore, b: Server, theirs: str) -> None:
        store.give(2, "b")
        kept = store.name_in(2)
        started(b, kept)
        calls = [{"id": at, "method": "timer.extend", "params": {"id": kept, "seconds": 1}} for at in range(2)]
        b.send(b"c", calls[0], {"id": 9, "method": "timer.start", "params": {"id": theirs, "seconds": 60}}, calls[1])
        b.turn()
        store.give(1, "a")
        b.settle()
        assert kinds(store, 2) == ["started", "extended", "extended"]

        store.follow()
        store.run()
        (told,) = b.take_told()
        assert [response["id"] for response in told] == [0, 9, 1]
        assert kinds(store, 2) == ["started", "extended", "extended"]
        assert kinds(store, 1) == ["started"]

    def test_of_more_changes_of_a_timer_than_it_knows_keys_of_the_first_are_refused(
        self, store: SharedStore, b: Server, theirs: str
    ) -> None:
        """They may be durable, and cannot be told from what was never done."""
        most = KEYS_REMEMBERED + 20
        started(b, theirs)
        for number in range(most):
            b.call("timer.extend", request_id=number, id=theirs, seconds=1)
        b.turn()
        for shard, part in b.in_flight[0].writes:  # durable, but the connection is lost before that is known
            store.stores[shard.number].commit(part.changes, part.anchor)
        store.give(1, "c")
        b.settle()
        store.follow()
        store.run(12)

        told = {one["id"]: one for one in b.take_told()}
        assert [code(told[number]) for number in range(20)] == [ErrorCode.STORAGE_FAILED] * 20
        assert all("result" in told[number] for number in range(20, most))
        assert kinds(store, 1) == ["started"] + ["extended"] * most

    def test_of_a_batch_that_waits_nothing_durable_is_done_anew(
        self, store: SharedStore, b: Server, theirs: str
    ) -> None:
        """A pause of long ago would undo what came after it."""
        started(b, theirs)
        b.call("plan.put", plan=theirs, every={"seconds": 60})
        store.run()
        b.take_told()
        wait = {"id": 1, "method": "timer.wait", "params": {"id": theirs, "wait_ms": 60_000}}
        b.send(b"c", {"id": 0, "method": "plan.pause", "params": {"plan": theirs}}, wait)
        store.run()
        b.call("plan.resume", plan=theirs)
        store.run()
        assert b.take_told()[0]["result"]["state"] == "active"

        store.give(1, "c")
        b.settle()
        store.follow()
        store.run()
        store.servers["c"].call("plan.get", plan=theirs)
        store.run()
        assert store.servers["c"].take_told()[0]["result"]["state"] == "active"
        b.call("timer.cancel", id=theirs)
        store.run()
        assert {len(told) for told in b.take_told() if isinstance(told, list)} == {2}

    def test_what_another_server_sent_on_is_moved(self, store: SharedStore, a: Server, b: Server, theirs: str) -> None:
        started(a, theirs)
        a.call("timer.pause", id=theirs)
        a.turn()
        store.deliver_all()
        b.turn()
        store.give(1, "c")
        b.settle()
        store.follow()
        store.run()

        assert [told["result"]["state"] for told in a.take_told()] == ["paused"]

    @pytest.mark.parametrize("of", ["a", "b"])
    def test_a_wait_goes_on_at_the_next_owner_for_the_time_that_is_left(
        self, store: SharedStore, of: str, theirs: str
    ) -> None:
        """Also the wait that a server has begun itself."""
        server = store.servers[of]
        started(server, theirs)
        server.call("timer.wait", id=theirs, wait_ms=10_000)
        store.run()
        store.pass_time(6_000)
        store.give(1, "c")
        store.run()
        store.follow()
        store.run()
        assert len(store.servers["c"].parked) == 1

        store.pass_time(4_000)
        store.run()
        assert [told["result"]["state"] for told in server.take_told()] == ["running"]

    @pytest.mark.parametrize("of", ["a", "b"])
    def test_a_wait_misses_no_end_between_two_owners(self, store: SharedStore, of: str, theirs: str) -> None:
        server = store.servers[of]
        started(server, theirs)
        server.call("timer.wait", id=theirs, wait_ms=60_000)
        store.run()
        store.kill("b") if of == "a" else store.give(1, "c")
        store.owners.pop(1, None)
        store.give(1, "c")
        taker = store.servers["c"]
        taker.call("timer.cancel", id=theirs)
        taker.call("timer.restart", id=theirs)
        taker.turn()
        taker.settle_all()
        taker.take_told()
        store.run(1)
        store.follow()
        store.run()

        assert [told["result"]["state"] for told in server.take_told()] == ["cancelled"]
