"""Plans through both clients: over days, on a clock that the test moves, and what the server refuses."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from client.fake_server import FakeServer, refusing, unanswered
from drivers.both_clients import Driver, quick
from timer_client import Every, InvalidRequest, LimitReached, PlanNotFound, Step, WrongState
from timer_protocol.errors import ErrorCode
from timer_testing import TimerServer

Connect = Callable[..., Driver]

BEGIN = datetime(2027, 3, 26, 12, tzinfo=UTC)  # a Friday; the clocks of Rome are set forward in the night to Sunday


@pytest.fixture
def server() -> Iterator[TimerServer]:
    with TimerServer(BEGIN, {"TIMER_MAX_TIMERS": "20", "TIMER_RETENTION_S": "604800"}) as running:
        yield running


@pytest.fixture
def client(server: TimerServer, connect: Connect) -> Driver:
    return connect(quick(server.server, server.events, timeout_s=5))


def local(plan: Any) -> list[str]:
    return [each.local for each in plan.next]


def test_a_rule_across_a_change_of_the_clocks(server: TimerServer, client: Driver) -> None:
    put = client.put_plan("standup", cron="30 2 * * *", zone="Europe/Rome", label="up", payload={"a": [1]})
    expected = ["2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    assert local(put)[:3] == expected
    assert local(client.preview_plan(cron="30 2 * * *", zone="Europe/Rome", count=3)) == expected
    assert (put.pending.id, put.pending.payload) == ("standup~20270327T013000Z", {"a": [1]})
    server.advance_to(datetime(2027, 3, 29, 12, tzinfo=UTC))
    plan = client.get_plan("standup")
    assert plan.counts.fired == 3
    assert [timer.id for timer in client.timers("standup~", "fired")] == [
        "standup~20270327T013000Z",
        "standup~20270328T010000Z",
        "standup~20270329T003000Z",
    ]


def test_the_same_put_again_is_one_plan_and_another_begins_anew(server: TimerServer, client: Driver) -> None:
    first = client.put_plan("drink", every=Every(hours=1))
    server.advance(minutes=50)
    again = client.put_plan("drink", every={"hours": 1})
    assert (again.version, again.pending.id) == (1, first.pending.id)
    changed = client.put_plan("drink", every={"minutes": 30}, count=2)
    assert (changed.version, changed.pending.remaining_ms) == (2, 30 * 60_000)
    server.advance(hours=3)
    plan = client.get_plan("drink")
    assert (plan.state, plan.counts.fired, plan.next, plan.pending) == ("finished", 2, [], None)
    assert client.delete_plan("drink").deleted
    assert not client.delete_plan("drink").deleted
    with pytest.raises(PlanNotFound, match="plan 'drink' is not there"):
        client.get_plan("drink")


def test_steps_one_after_the_other(server: TimerServer, client: Driver) -> None:
    plan = client.put_plan("pomodoro", steps=[Step(minutes=25, label="work"), {"minutes": 5}], count=2, label="rest")
    labels = []
    while plan.pending:
        labels.append((plan.round, plan.step, plan.pending.label))
        server.advance(seconds=plan.pending.remaining_ms / 1000)
        plan = client.get_plan("pomodoro")
    assert labels == [(1, 1, "work"), (1, 2, "rest"), (2, 1, "work"), (2, 2, "rest")]
    assert plan.state == "finished"


def test_pause_resume_skip_and_run(server: TimerServer, client: Driver) -> None:
    client.put_plan("drink", every={"hours": 1})
    assert client.pause_plan("drink").pending is None
    with pytest.raises(WrongState, match="paused"):
        client.skip_plan("drink")
    server.advance(hours=1, minutes=30)
    assert client.resume_plan("drink").pending.remaining_ms == 30 * 60_000
    skipped = client.skip_plan("drink", key="k")
    assert skipped.pending.remaining_ms == 90 * 60_000
    assert client.skip_plan("drink", key="k").pending.id == skipped.pending.id
    ran = client.run_plan("drink").ran
    assert (ran.due_at_ms, ran.id) == (round(server.now().timestamp() * 1000), "drink~20270326T133000Z")
    assert client.get_plan("drink").pending.id == skipped.pending.id


def test_all_plans_come_page_by_page_in_their_order(client: Driver) -> None:
    for number in (2, 0, 1):
        client.put_plan(f"a/{number}", every={"hours": 1})
    client.put_plan("b", every={"hours": 1})
    assert [plan.plan for plan in client.plans("a/")] == ["a/0", "a/1", "a/2"]
    assert [plan.plan for plan in client.plans()] == ["a/0", "a/1", "a/2", "b"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"cron": "0 9 31 2 *", "zone": "UTC"}, "never comes: no month that it names has such a day"),
        ({"cron": "0 9 * *", "zone": "UTC"}, "it has 4 fields where 5 are expected"),
        ({"cron": "0 9 * * *", "zone": "Europe/Rom"}, "did you mean Europe/Rome"),
        ({"cron": "0 9 * * *"}, "zone"),
        ({"every": {"seconds": 0.5}}, "at least"),
        ({"steps": [{"label": "work"}]}, "at least"),
        ({"steps": []}, "steps"),
        ({"every": {"hours": 1}, "cron": "0 9 * * *", "zone": "UTC"}, "one of"),
        ({}, "one of"),
        ({"every": {"hours": 1}, "until_ms": 5}, "never comes"),
    ],
)
def test_what_is_no_rule_is_refused_and_nothing_put(client: Driver, rule: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        client.put_plan("a", **rule)
    if "until_ms" not in rule:
        with pytest.raises(InvalidRequest, match=told):
            client.preview_plan(**rule)
    assert client.plans() == []


def test_each_plan_takes_one_place(client: Driver) -> None:
    for number in range(20):
        client.put_plan(f"a/{number}", every={"hours": 1})
    with pytest.raises(LimitReached):
        client.put_plan("b", every={"hours": 1})


@pytest.mark.parametrize("name", ["skip_plan", "run_plan"])
def test_a_repeated_try_is_the_same_request(fake: FakeServer, connect: Connect, name: str) -> None:
    fake.faults += [unanswered, refusing(ErrorCode.PLAN_NOT_FOUND, plan="drink")]
    with pytest.raises(PlanNotFound) as caught:
        getattr(connect(quick(fake.commands)), name)("drink")
    assert caught.value.data["plan"] == "drink"
    (first,), (second,) = fake.next_message(), fake.next_message()
    assert first["params"] == second["params"]
    assert first["params"]["key"]
