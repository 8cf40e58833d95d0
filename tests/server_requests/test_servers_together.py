"""Requests about several shards as servers ask each other: over a network, while owners change."""

from typing import Any

import pytest

from drivers.several_servers import Server, SharedStore
from timer_protocol.errors import ErrorCode
from timer_server.requests import forward_room
from timer_server.requests.answers import PeerAnswer
from timer_server.requests.between_servers import PeerResult

COUNT = 6


@pytest.fixture
def store() -> SharedStore:
    """Three servers of two shards each, which have compared their queues."""
    store = SharedStore(COUNT, are_joined=True)
    servers = "abc"
    for incarnation in servers:
        store.start(incarnation)
    for number in range(COUNT):
        store.give(number, servers[number // 2])
    store.follow()
    store.run()
    return store


def asked(store: SharedStore, at: str, method: str, **params: Any) -> Any:
    """What a server answers."""
    server = store.servers[at]
    server.call(method, **params)
    store.run(16)
    (told,) = server.take_told()
    return told


def result(store: SharedStore, at: str, method: str, **params: Any) -> Any:
    told = asked(store, at, method, **params)
    assert "result" in told, told
    return told["result"]


def end(store: SharedStore, *numbers: int) -> list[str]:
    """Lets timers of some shards fire, and returns their ids."""
    ids = [store.name_in(number, f"e/{store.now_ns}/{at}/") for at, number in enumerate(numbers)]
    assert result(store, "a", "timer.start_many", ids=ids, seconds=1)["started"] == len(ids)
    store.pass_time(1_000)
    store.run()
    return ids


def test_pages_and_changes_are_those_of_all(store: SharedStore) -> None:
    ids = sorted(store.name_in(number, f"{at}/") for number in range(COUNT) for at in range(3))
    assert result(store, "b", "timer.start_many", ids=ids, seconds=60)["started"] == len(ids)

    page = result(store, "a", "timer.list", limit=5)
    assert ([timer["id"] for timer in page["timers"]], page["next"]) == (ids[:5], ids[4])
    changed = result(store, "c", "timer.change_many", action="pause", prefix="", limit=7)
    assert (changed["changed"], changed["next"]) == (7, ids[6])
    assert result(store, "b", "server.info")["counts"]["paused"] == 7
    events = result(store, "a", "events.read", after={}, limit=1000)["events"]
    assert len(events) == len(ids) + 7


def test_a_page_waits_for_shards_without_owner_and_leaves_none_out(store: SharedStore) -> None:
    ids = sorted(store.name_in(number, "t") for number in range(COUNT))
    result(store, "a", "timer.start_many", ids=ids, seconds=60)
    store.kill("c")
    store.follow()
    server: Server = store.servers["a"]
    server.call("timer.list")
    store.run()
    assert server.take_told() == []

    for number in (4, 5):
        store.give(number, "b")
    store.follow()
    store.run()

    (told,) = server.take_told()
    assert [timer["id"] for timer in told["result"]["timers"]] == ids


def test_a_server_tells_of_its_own_shards_whoever_else_there_is(store: SharedStore) -> None:
    store.start("d")
    store.kill("c")
    store.follow()
    found = {name: result(store, name, "server.info", own=True) for name in "abd"}
    assert {name: len(info["logs"]) for name, info in found.items()} == {"a": 2, "b": 2, "d": 0}
    assert (found["d"]["counts"]["running"], found["d"]["cursor"]) == (0, {})
    store.servers["a"].call("timer.list")  # it waits, and all of the connection in line behind it
    assert len(result(store, "a", "server.info", own=True)["logs"]) == 2


def test_a_page_that_waits_too_long_is_refused(store: SharedStore) -> None:
    store.kill("c")
    store.follow()
    store.servers["a"].call("timer.list")
    store.pass_time(4_000)
    store.run()

    (told,) = store.servers["a"].take_told()
    assert told["error"]["code"] in (ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FAILED)
    assert told["error"]["data"]["retryable"]


def test_events_that_are_waited_for_come_from_any_server(store: SharedStore) -> None:
    cursor = result(store, "a", "server.info")["cursor"]
    for number in range(COUNT):
        server = store.servers["a"]
        server.call("events.read", after=cursor, wait_ms=10_000)
        store.run()
        store.servers["c"].call("timer.start", id=store.name_in(number, "w"), seconds=60)
        store.run()
        store.servers["c"].take_told()
        (told,) = server.take_told()
        (event,) = told["result"]["events"]
        assert event["timer"]["id"] == store.name_in(number, "w")
        cursor = told["result"]["next"]
    assert all(len(server.parked) == 0 for server in store.servers.values())


def test_a_queue_is_made_everywhere_and_its_takes_go_to_all(store: SharedStore) -> None:
    name = store.name_in(3, "q")
    assert result(store, "a", "queue.put", queue=name, prefix="", lease_ms=10_000)["version"] == 1
    for server in store.servers.values():
        assert all(shard.queues.standing(name) is not None for shard in server.shards.owned)
    ids = end(store, *range(COUNT))

    taken = result(store, "c", "queue.take", queue=name, max=4, key="k")["deliveries"]
    again = result(store, "b", "queue.take", queue=name, max=4, key="k")["deliveries"]
    rest = result(store, "a", "queue.take", queue=name, max=4)["deliveries"]

    assert sorted(one["receipt"] for one in again) == sorted(one["receipt"] for one in taken)
    assert sorted(one["event"]["timer"]["id"] for one in taken + rest) == sorted(ids)
    receipts = [one["receipt"] for one in taken + rest]
    assert result(store, "b", "queue.ack", queue=name, receipts=receipts) == {"done": receipts, "lost": []}


def test_a_take_that_waits_gets_one_end_and_the_others_are_given_back(store: SharedStore) -> None:
    result(store, "a", "queue.put", queue="q", prefix="", lease_ms=10_000)
    server = store.servers["a"]
    server.call("queue.take", connection=b"w", queue="q", wait_ms=60_000)
    store.run()
    end(store, 2, 4)
    store.run()

    (told,) = server.take_told()
    assert len(told["result"]["deliveries"]) == 1
    queue = result(store, "b", "queue.get", queue="q")
    assert (queue["ready"], queue["leased"]) == (1, 1)
    (rest,) = result(store, "c", "queue.take", queue="q")["deliveries"]
    assert rest["attempt"] == 1
    assert all(len(server.parked) == 0 for server in store.servers.values())


def test_a_put_waits_for_a_shard_without_owner_which_hears_of_it_when_it_comes(store: SharedStore) -> None:
    store.kill("c")
    store.follow()
    name = store.name_in(0, "q")
    server = store.servers["b"]
    server.call("queue.put", queue=name, prefix="")
    store.run()
    assert server.take_told() == []

    for number in (4, 5):
        store.give(number, "a")
    store.follow()
    store.run(12)

    (told,) = server.take_told()
    assert told["result"]["version"] == 1
    for owner in store.servers.values():
        assert all(shard.queues.standing(name) is not None for shard in owner.shards.owned)


def test_a_server_tells_of_its_queues_again_once_it_has_room_for_that(
    store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_room, "FORWARDED_MAXIMUM", 4)
    full = store.servers["a"]
    del store.owners[4]
    store.follow()
    for connection in (b"1", b"1", b"2", b"2"):
        full.call("timer.start", connection=connection, id=store.name_in(4), seconds=60)
    name = store.name_in(0, "q")
    store.servers["b"].call("queue.put", queue=name, prefix="")
    store.run()
    store.pass_time(3_000)
    store.give(4, "c")
    store.follow()
    store.run()
    store.pass_time(1_000)
    store.run()
    store.servers["b"].take_told()

    assert result(store, "b", "queue.put", queue=name, prefix="")["version"] == 1


def test_a_reply_that_cannot_be_read_spoils_no_other(store: SharedStore) -> None:
    """As from a server of another release: what came with it is told, and the request itself is refused at once."""
    server, other = store.servers["a"], store.servers["b"]
    name = store.name_in(2)
    server.call("server.info", request_id=1)
    server.call("timer.start", request_id=2, id=name, seconds=60)
    server.turn()
    store.deliver_all()
    other.turn()
    for turn in other.in_flight:
        for answer in turn.answers:
            assert isinstance(answer, PeerAnswer)
            assert isinstance(answer.reply, PeerResult)
            if b'"counts"' in answer.reply.result:
                answer.reply = PeerResult(answer.number, b'["what is this?"]')
    store.run()

    told = {one["id"]: one for one in server.take_told()}
    assert told[2]["result"]["id"] == name
    assert told[1]["error"]["code"] == ErrorCode.INTERNAL_ERROR


def test_a_put_that_another_server_does_not_have_everywhere_in_time_is_refused(store: SharedStore) -> None:
    """Where the time of the home runs out before that of the server which asks it."""
    server, home = store.servers["b"], store.servers["a"]
    del store.owners[4]
    store.follow()
    server.call("queue.put", queue=store.name_in(0, "q"), prefix="")
    store.run()
    store.pass_time(4_000)
    home.turn()
    home.settle_all()
    store.deliver_all()
    server.receive()
    store.run()

    (told,) = server.take_told()
    assert told["error"]["code"] == ErrorCode.STORAGE_FAILED
    assert "not every log" in told["error"]["data"]["reason"]


def test_parts_that_wait_for_the_others_are_bounded(store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pages at a time, each of which waits for a shard without owner."""
    monkeypatch.setattr(forward_room, "FORWARDED_BYTES", 20_000)
    ids = [store.name_in(number, "t") for number in (0, 2)]
    result(store, "a", "timer.start_many", ids=ids, seconds=60, payloads=["x" * 1000] * 2)
    del store.owners[4]
    store.follow()
    server = store.servers["a"]
    for number in range(50):
        server.call("timer.list", connection=b"%d" % (number % 5), request_id=number)
    store.run()
    assert server.forwards.room.bytes <= 20_000

    store.give(4, "c")
    store.follow()
    store.run()
    told = server.take_told()
    assert len(told) == 50
    assert 0 < sum("result" in one for one in told) < 20
    assert {one["error"]["code"] for one in told if "error" in one} == {ErrorCode.STORAGE_FAILED}
    assert server.forwards.room.bytes == 0


def test_what_was_asked_of_nobody_in_time_is_refused_as_not_done(store: SharedStore) -> None:
    """And what was asked of some may be done."""
    del store.owners[4]
    store.follow()
    server = store.servers["a"]
    server.call("queue.put", request_id=1, queue=store.name_in(4), prefix="")
    server.call("timer.change_many", request_id=2, connection=b"2", prefix="", action="pause")
    server.call("timer.change_many", request_id=3, connection=b"3", ids=[store.name_in(4)], action="pause")
    store.run()
    store.pass_time(4_000)
    store.run()

    codes = {told["id"]: told["error"]["code"] for told in server.take_told()}
    assert codes == {1: ErrorCode.SHUTTING_DOWN, 2: ErrorCode.STORAGE_FAILED, 3: ErrorCode.SHUTTING_DOWN}


def test_a_take_whose_time_is_over_leaves_nothing_leased(store: SharedStore) -> None:
    """As where another server is slow: what that has leased by then is given back, and no attempt was made."""
    result(store, "a", "queue.put", queue="q", prefix="", lease_ms=60_000)
    server, slow = store.servers["a"], store.servers["b"]
    server.call("queue.take", connection=b"w", queue="q", wait_ms=5_000)
    store.run()
    slow.call("timer.start", id=store.name_in(2), seconds=1)
    store.run()
    slow.take_told()
    store.pass_time(1_000)
    slow.turn()
    slow.settle_all()  # its reply is on its way
    store.pass_time(4_300)
    server.turn()
    server.settle_all()
    (told,) = server.take_told()
    assert told["result"]["deliveries"] == []
    store.run()

    (taken,) = result(store, "c", "queue.take", queue="q")["deliveries"]
    assert taken["attempt"] == 1


def test_one_shard_that_has_moved_does_not_hold_up_the_others_of_its_server(store: SharedStore) -> None:
    """Until the next beat, half a second later."""
    server = store.servers["a"]
    store.give(3, "c")
    store.servers["b"].settle()  # has noticed
    server.call("server.info", connection=b"1", request_id=1)
    store.run()
    server.call("timer.start", connection=b"2", request_id=2, id=store.name_in(2), seconds=60)
    store.run()
    assert [told["id"] for told in server.take_told()] == [2]

    store.follow()
    store.run()
    assert [told["id"] for told in server.take_told()] == [1]


def test_no_server_remembers_whose_turn_it_is_in_queues_that_are_gone(store: SharedStore) -> None:
    for number in range(3):
        name = store.name_in(number, "q")
        result(store, "a", "queue.put", queue=name, prefix="")
        end(store, number)
        for at in "abc":
            result(store, at, "queue.take", queue=name)
            end(store, number)
        result(store, "b", "queue.delete", queue=name)
        store.run()
    assert [server.queues.deliveries.turn_of for server in store.servers.values()] == [{}] * 3
