"""Requests of one connection are applied in order within a shard, also those about several shards."""

import pytest

from drivers.several_servers import Server, SharedStore
from server_requests.forwarded import joined, kinds


@pytest.fixture
def store() -> SharedStore:
    return joined()


@pytest.fixture
def a(store: SharedStore) -> Server:
    return store.servers["a"]


def test_where_all_shards_are_here_by_now_a_request_stands_behind_what_was_sent_on(
    store: SharedStore, a: Server
) -> None:
    name = store.name_in(1)
    a.call("timer.start", id=name, seconds=60)
    a.turn()  # on its way to `b`
    store.give(1, "a")
    a.call("timer.change_many", ids=[name], action="pause")
    a.call("timer.list", connection=b"other")
    a.turn()
    a.settle_all()
    assert [told["result"]["timers"] for told in a.take_told()] == [[]]  # others do not wait for it

    store.run(12)
    assert [told["result"].get("changed", 0) for told in a.take_told()] == [0, 1]
    assert kinds(store, 1) == ["started", "paused"]


def test_nothing_overtakes_a_change_between_its_selection_and_its_end(store: SharedStore, a: Server) -> None:
    ours, theirs = store.name_in(0), store.name_in(1)
    for name in (ours, theirs):
        a.call("timer.start", id=name, seconds=60)
    store.run(12)
    a.take_told()

    a.call("timer.change_many", prefix="", action="cancel")
    for name in (ours, theirs):
        a.call("timer.restart", id=name)
    a.call("timer.list", connection=b"other")
    store.run(24)

    assert kinds(store, 0) == kinds(store, 1) == ["started", "cancelled", "restarted"]
    assert len(a.take_told()) == 4
    assert (a.forwards.room.requests, len(a.forwards.lines)) == (0, 0)


def test_what_is_done_anew_in_a_lost_shard_keeps_its_place(store: SharedStore, a: Server) -> None:
    store.give(1, "a")
    store.follow()
    store.run()
    name = store.name_in(1)
    a.call("timer.start_many", ids=[name], seconds=60)
    a.call("timer.pause", id=name)
    a.turn()
    store.give(1, "c")
    a.settle_all()
    store.follow()
    store.run(12)

    assert kinds(store, 1) == ["started", "paused"]
    assert all("result" in told for told in a.take_told())
