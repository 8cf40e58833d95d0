"""What is told of requests whose shards are lost after they were applied there, and before anybody was told."""

import pytest

from drivers.several_servers import Server, SharedStore
from server_requests.forwarded import joined, kinds


@pytest.fixture
def store() -> SharedStore:
    return joined()


@pytest.fixture
def a(store: SharedStore) -> Server:
    return store.servers["a"]


@pytest.mark.parametrize("is_answered_first", [False, True])
def test_a_part_that_the_fence_rejected_is_done_by_the_next_owner(
    store: SharedStore, a: Server, is_answered_first: bool
) -> None:
    """Whether the other server has answered before the shard is lost, or does so after it."""
    b = store.servers["b"]
    a.call("timer.start_many", ids=[store.name_in(0), store.name_in(1)], seconds=60)
    a.turn()  # its own part is in flight, and the other on its way
    if is_answered_first:
        store.deliver_all()
        b.turn()
        b.settle_all()
        store.deliver_all()
        a.turn()
    store.give(0, "c")
    a.settle_all()
    store.run()
    assert a.take_told() == []

    store.follow()
    store.run()
    assert [told["result"]["started"] for told in a.take_told()] == [2]
    assert (kinds(store, 0), kinds(store, 1)) == (["started"], ["started"])


def test_a_refusal_is_not_told_by_who_has_lost_the_shard(store: SharedStore, a: Server) -> None:
    """Another server may have started the timer by then, and told so."""
    name = store.name_in(0)
    a.call("timer.get", id=name)
    a.turn()
    store.give(0, "c")
    c = store.servers["c"]
    c.call("timer.start", id=name, seconds=60)
    c.turn()
    c.settle_all()
    a.settle()
    assert a.take_told() == []
    store.follow()
    store.run()
    assert [told["result"]["state"] for told in a.take_told()] == ["running"]
