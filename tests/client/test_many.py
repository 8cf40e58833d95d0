"""Both clients and many timers at once: any number of them, in messages that the server takes."""

from collections.abc import Callable

import pytest

from client.fake_server import timer
from drivers.both_clients import Driver, quick
from local_server import LocalServer
from timer_client import InvalidArgument, InvalidRequest, StartedMany
from timer_protocol.limits import Limits

Connect = Callable[..., Driver]


@pytest.fixture
def client(server: LocalServer, connect: Connect) -> Driver:
    return connect(quick(server.commands, server.events, timeout_s=5, retry_deadline_s=20))


def test_any_number_is_started_and_changed(client: Driver) -> None:
    ids = [f"order/{number}" for number in range(2500)]

    assert client.start_columns(ids, 60) == StartedMany(2500, [], [])
    assert client.start_columns([*ids[1500:], "new"], 60) == StartedMany(1, list(range(1000)), [])
    assert client.change_many("pause", prefix="order/", dry_run=True).changed == 2500
    assert client.change_many("pause", ids=ids[1:]).changed == 2499
    changed = client.change_many("pause", prefix="")
    assert (changed.changed, changed.unchanged, changed.refused, changed.next) == (2, 2499, [], None)
    assert client.info().counts.paused == 2501


def test_columns_belong_together_across_messages(connect: Connect) -> None:
    with LocalServer(limits=Limits(max_batch=3)) as server:
        client = connect(quick(server.commands, server.events, timeout_s=5))
        numbers = range(8)
        result = client.start_columns(
            [f"a/{n}" if n % 3 else "no id" for n in numbers],
            [60 + n for n in numbers],
            labels=[str(n) for n in numbers],
            payloads=[{"n": n} for n in numbers],
        )

        assert (result.started, [start.index for start in result.refused]) == (5, [0, 3, 6])
        assert result.refused[0].error.data["name"] == "invalid_params"
        timers = [client.get(f"a/{n}") for n in (1, 2, 4, 5, 7)]
        assert [(one.duration_ms // 1000 - 60, one.label, one.payload["n"]) for one in timers] == [
            (n, str(n), n) for n in (1, 2, 4, 5, 7)
        ]


def test_large_payloads_take_several_messages(client: Driver) -> None:
    ids = [f"a/{number}" for number in range(30)]
    assert client.start_columns(ids, 60, payloads=30 * ["x" * 65_000]).started == 30


def test_key_that_is_passed_again_extends_nothing_twice(client: Driver) -> None:
    client.start_columns(["a", "b"], 60)
    for extended in (2, 0):
        assert client.change_many("extend", prefix="", seconds=30, key="k").changed == extended
    assert client.change_many("extend", ids=[client.get("a")], seconds=30).changed == 1
    assert [client.get(timer_id).duration_ms for timer_id in ("a", "b")] == [120_000, 90_000]


def test_those_that_cannot_be_changed_are_told(client: Driver) -> None:
    client.start_columns(["a", "b"], 60)
    client.cancel("b")
    changed = client.change_many("pause", ids=["a", "b", "c"])
    assert changed.changed == 1
    assert [(one.id, one.error.data["name"]) for one in changed.refused] == [
        ("b", "wrong_state"),
        ("c", "timer_not_found"),
    ]


def test_list_by_deadline_and_without_payloads(client: Driver) -> None:
    client.start_columns(["a", "b", "c"], [30, 10, 20], payloads=[1, 2, 3])
    client.pause("c")
    page = client.list(order="due", limit=1, omit=["payload"])
    assert ([one.id for one in page.timers], page.timers[0].payload, page.complete) == (["b"], None, False)
    assert [one.id for one in client.list(states=["paused", "running"]).timers] == ["a", "b", "c"]
    assert [one.id for one in client.list(due_before_ms=page.timers[0].due_at_ms + 1).timers] == ["b"]


def test_what_makes_no_sense_is_said(client: Driver) -> None:
    for wrong in ({}, {"prefix": "", "ids": []}, {"ids": "order/1"}, {"ids": timer()}):
        with pytest.raises(InvalidArgument, match="ids"):
            client.change_many("cancel", **wrong)
    for columns in ({"seconds": [1]}, {"labels": []}, {"payloads": [1, 2, 3]}):
        with pytest.raises(InvalidArgument, match="one for each of 2 ids"):
            client.start_columns(["a", "b"], **{"seconds": 60, **columns})
    with pytest.raises(InvalidArgument, match=r"payloads\[1\]"):
        client.start_columns(["a", "b"], 60, payloads=[1, {1, 2}])
    with pytest.raises(InvalidRequest, match="extend needs seconds"):
        client.change_many("extend", prefix="")
