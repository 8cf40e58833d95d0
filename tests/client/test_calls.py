"""The calls: what goes over the wire, and what is made before the first try."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from client.fake_server import timer
from timer_client import (
    AsyncTimerClient,
    Every,
    InvalidArgument,
    Plan,
    Step,
    TimerClient,
    TimerSpec,
    calls,
    many,
    new_id,
    plan_calls,
    queue_calls,
)
from timer_client.calls import Call
from timer_protocol.ids import is_valid_id
from timer_protocol.messages import StartParams, Timer
from timer_protocol.methods import METHODS

CALLS: list[Call[Any]] = [
    calls.start(1, 2, 3.5, id="a", label="tea", payload={"x": [1, None]}),
    calls.get("a"),
    calls.list("order/", "fired", "order/7", 5),
    calls.list(states=["running"], due_before_ms=7, order="due", omit=["payload"]),
    calls.pause("a"),
    calls.resume("a"),
    calls.cancel("a"),
    calls.extend("a", seconds=-30),
    calls.restart("a"),
    next(many.start_columns(["a", "b"], [1, 2.5], labels=["tea", ""], payloads=[{"x": [1]}, None])),
    next(many.change_many("extend", prefix="order/", states=["paused"], seconds=-5, dry_run=True)),
    calls.wait_once("a", 100),
    calls.read_events("hfBTrOFTY0c:7", "order/", 10, 50),
    calls.info(),
    calls.discover(),
    plan_calls.put_plan("drink", every=Every(hours=1), from_ms=5, until_ms=9, count=3, payload={"x": [1]}),
    plan_calls.put_plan("pomodoro", steps=[Step(minutes=25, label="work"), {"minutes": 5}], paused=True),
    plan_calls.delete_plan("drink"),
    plan_calls.get_plan("drink"),
    next(plan_calls.plans("d")),
    plan_calls.pause_plan("drink"),
    plan_calls.resume_plan("drink"),
    plan_calls.skip_plan("drink"),
    plan_calls.run_plan("drink"),
    plan_calls.preview_plan(cron="0 9 * * 1-5", zone="Europe/Rome", count=3),
    queue_calls.put_queue("mail", "mail/", states=["fired"], begin="start", lease_ms=5000, backoff_ms=[10, 20]),
    queue_calls.delete_queue("mail"),
    queue_calls.get_queue("mail"),
    next(queue_calls.queues("ma")),
    next(queue_calls.take("mail", 100, 50)),
    next(queue_calls.ack("mail", ["r"])),
    next(queue_calls.nack("mail", ["r"], "return", delay_ms=5, reason="busy")),
    next(queue_calls.renew("mail", ["r"], lease_ms=5000)),
    queue_calls.dead("mail", "c", 5),
    next(queue_calls.revive("mail", ["r"])),
    next(queue_calls.drop("mail", ["r"])),
]


def _params(call: Call[Any]) -> Any:
    return msgspec.json.decode(call.params)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.method)
def test_params_and_result_are_those_of_the_protocol(call: Call[Any]) -> None:
    (method,) = [method for method in METHODS if method.name == call.method]
    msgspec.json.decode(call.params, type=method.params)
    assert call.result == method.result


def test_there_is_a_call_for_every_method() -> None:
    assert {call.method for call in CALLS} == {method.name for method in METHODS}


def test_a_spec_has_the_members_of_the_request() -> None:
    assert set(TimerSpec.__struct_fields__) == set(StartParams.__struct_fields__)
    assert _params(calls.start_spec(TimerSpec(id="a", minutes=5))) == {"id": "a", "minutes": 5}


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        ("at nine", "Mars", "at nine"),  # for the server to refuse
        (datetime(2026, 12, 1, 9, tzinfo=ZoneInfo("Europe/Rome")), None, "2026-12-01T09:00:00+01:00"),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Rome")), None, "2026-10-25T02:30:00+01:00"),
        (datetime(2026, 12, 1, 9, 0, 0, 500_000, UTC), None, "2026-12-01T09:00:00.500000+00:00"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=90))), None, "2025-12-31T23:58:30+00:00"),
        (datetime(2026, 12, 1, 9), "Europe/Rome", "2026-12-01T09:00:00"),
    ],
)
def test_a_moment_goes_over_as_text(at: str | datetime, zone: str | None, text: str) -> None:
    expected = {"id": "a", "at": text} | ({} if zone is None else {"zone": zone})
    assert _params(calls.start(id="a", at=at, zone=zone)) == expected
    assert _params(calls.start_spec(TimerSpec(id="a", at=at, zone=zone, past="fire"))) == {**expected, "past": "fire"}


@pytest.mark.parametrize(
    ("at", "zone", "reason"),
    [
        (datetime(2026, 12, 1, 9), None, "which has no time zone: give its `zone`"),
        (datetime(2026, 12, 1, 9, tzinfo=UTC), "UTC", "no `zone` may be given beside it"),
        (datetime(2026, 10, 25, 2, 30, fold=1), "Europe/Rome", "the second time that its clocks show this"),
        (5, None, "at is 5, but must be text, a datetime or None"),
        (datetime(2026, 12, 1).date(), None, "must be text, a datetime or None"),
        ("2026-12-01T09:00", 5, "zone is 5, but must be text or None"),
    ],
)
def test_what_is_no_moment_is_refused_where_it_is_passed(at: Any, zone: Any, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        calls.start(at=at, zone=zone)


def test_start_makes_an_id_where_none_is_given() -> None:
    one, other = _params(calls.start(1))["id"], _params(calls.start(1))["id"]
    assert one != other
    assert is_valid_id(one)
    assert _params(calls.start(1, id="mine"))["id"] == "mine"


def test_an_empty_id_is_not_replaced() -> None:
    """It is wrong, and the server says so; a timer under another id would be found by nobody."""
    assert _params(calls.start(1, id=""))["id"] == ""


def test_changes_that_are_not_idempotent_carry_a_key() -> None:
    keys = {_params(call)["key"] for call in (calls.extend("a", 1), calls.extend("a", 1), calls.restart("a"))}
    assert len(keys) == 3
    assert _params(calls.extend("a", 1, key="k"))["key"] == "k"
    assert _params(calls.restart("a", key="k"))["key"] == "k"


def test_a_timer_can_be_named_by_itself() -> None:
    assert _params(calls.get(timer(id="order/42"))) == {"id": "order/42"}


@pytest.mark.parametrize("change", [plan_calls.skip_plan, plan_calls.run_plan])
def test_what_a_plan_is_to_do_once_has_a_key(change: Callable[..., Call[Plan]]) -> None:
    first, second = (_params(change("drink"))["key"] for _ in range(2))
    assert first != second
    assert _params(change("drink", key="k")) == {"plan": "drink", "key": "k"}


def test_a_rule_goes_over_as_it_was_given() -> None:
    given: dict[str, Any] = {"hours": 1.5, "minutes": 0}
    assert _params(plan_calls.put_plan("drink", every=given)) == {"plan": "drink", "every": given}
    assert _params(plan_calls.put_plan("drink", every=Every(hours=1.5))) == {"plan": "drink", "every": {"hours": 1.5}}
    steps: Any = _params(plan_calls.preview_plan(steps=(Step(minutes=25, label="work"), {"minutes": 5})))["steps"]
    assert steps == [{"minutes": 25, "label": "work"}, {"minutes": 5}]


@pytest.mark.parametrize("change", [calls.pause, calls.resume, calls.cancel, calls.restart])
def test_a_change_has_a_key_of_its_own_or_the_one_it_is_given(change: Callable[..., Call[Timer]]) -> None:
    first, second = (_params(change("order/42"))["key"] for _ in range(2))
    assert first != second
    assert _params(change("order/42", key="k")) == {"id": "order/42", "key": "k"}


def test_ids_are_unique_and_in_the_order_of_time() -> None:
    ids = [new_id() for _ in range(5000)]
    assert len(set(ids)) == len(ids)
    assert sorted(text[:13] for text in ids) == [text[:13] for text in ids]


def test_ids_are_unique_across_threads() -> None:
    ids: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ids.append([new_id() for _ in range(1000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for made in ids for text in made}) == 4000


NAMES = ["start", "get", "list", "pause", "resume", "cancel", "extend", "restart", "read_events", "info", "discover"]
MANY = ["start_columns", "change_many"]
PLANS = [name for name in vars(TimerClient) if "plan" in name]
QUEUES = ["put_queue", "delete_queue", "get_queue", "queues", "take", "ack", "nack", "renew", "dead", "revive", "drop"]
MODULES = {
    **dict.fromkeys(NAMES, calls),
    **dict.fromkeys(MANY, many),
    **dict.fromkeys(PLANS, plan_calls),
    **dict.fromkeys(QUEUES, queue_calls),
}


@pytest.mark.parametrize("client", [TimerClient, AsyncTimerClient])
def test_methods_show_their_signature_and_docstring(client: Any) -> None:
    for name, module in MODULES.items():
        method, made = getattr(client, name), getattr(module, name)
        assert method.__doc__ == made.__doc__, name
        shown, original = inspect.signature(method), inspect.signature(made)
        assert list(shown.parameters)[1:] == list(original.parameters), name
        assert "Call" not in str(shown.return_annotation), name


def test_both_clients_have_the_same_public_methods() -> None:
    def public(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert public(TimerClient) == public(AsyncTimerClient)
    for name in ("start_many", "timers", "wait", "events", "work"):
        one, other = getattr(TimerClient, name), getattr(AsyncTimerClient, name)
        assert list(inspect.signature(one).parameters) == list(inspect.signature(other).parameters)
        assert one.__doc__ == other.__doc__


def test_coroutines_are_recognized() -> None:
    assert asyncio.iscoroutinefunction(AsyncTimerClient.start)
    assert inspect.signature(TimerClient.get).return_annotation is Timer
