"""Every method of the table is held to the right and the scope that it declares, whoever calls it."""

import json
import re
from typing import Any

import pytest

from drivers.builders import LOG_ID
from drivers.desk import ENVELOPE, Desk, batch, body, request
from timer_protocol.errors import ErrorCode
from timer_protocol.messages import GetParams, Timer
from timer_protocol.methods import METHODS, Method, Scope
from timer_protocol.sender import ALL_RIGHTS, NOBODY, Right, Sender

DECLARED: dict[str, tuple[Right | None, Scope]] = {
    "timer.start": ("start", "id"),
    "timer.get": ("read", "id"),
    "timer.list": ("read", "prefix"),
    "timer.pause": ("change", "id"),
    "timer.resume": ("change", "id"),
    "timer.cancel": ("change", "id"),
    "timer.extend": ("change", "id"),
    "timer.restart": ("change", "id"),
    "timer.start_many": ("start", "ids"),
    "timer.change_many": ("change", "prefix or ids"),
    "timer.wait": ("read", "id"),
    "events.read": ("read", "prefix"),
    "server.info": (None, "none"),
    "rpc.discover": (None, "none"),
    "queue.put": ("admin", "queue"),
    "queue.delete": ("admin", "queue"),
    "queue.get": ("read", "queue"),
    "queue.list": ("read", "prefix"),
    "queue.take": ("take", "queue"),
    "queue.ack": ("take", "queue"),
    "queue.nack": ("take", "queue"),
    "queue.renew": ("take", "queue"),
    "queue.dead": ("take", "queue"),
    "queue.revive": ("take", "queue"),
    "queue.drop": ("take", "queue"),
    "plan.put": ("admin", "plan"),
    "plan.delete": ("admin", "plan"),
    "plan.get": ("read", "plan"),
    "plan.list": ("read", "prefix"),
    "plan.preview": ("read", "none"),
    "plan.pause": ("change", "plan"),
    "plan.resume": ("change", "plan"),
    "plan.skip": ("change", "plan"),
    "plan.run": ("start", "plan"),
}
ASKED: dict[str, dict[str, Any]] = {
    "timer.start": {"minutes": 1},
    "timer.extend": {"seconds": 1},
    "timer.start_many": {"seconds": 60},
    "timer.change_many": {"action": "pause"},
    "timer.wait": {"wait_ms": 0},
    "events.read": {"after": {}},
    "plan.put": {"every": {"hours": 1}},
    "plan.preview": {"every": {"hours": 1}},
}
"""What a method needs besides the ids it is about."""

SHOP = Sender("shop", "shop/", ALL_RIGHTS)

every_method = pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])


@pytest.fixture
def desk() -> Desk:
    """A timer of the shop, and one of the bank. Each queue and plan is named after its prefix."""
    desk = Desk()
    for prefix in ("bank/1", "bank/2", "SHOP/1", "shop/1"):
        desk.result("queue.put", queue=prefix, prefix=prefix)
        desk.result("plan.put", plan=prefix, every={"hours": 1})
    desk.start("bank/1")
    desk.start("shop/1")
    desk.end_turn()
    return desk


def asked(method: Method, touched: str) -> dict[str, Any]:
    """Good params of a method that is to touch this id, or ids that begin so."""
    named: dict[Scope, dict[str, Any]] = {"none": {}, "ids": {"ids": [touched]}, "prefix or ids": {"ids": [touched]}}
    needed: dict[str, Any] = named.get(method.scope, {method.scope: touched})
    if method.name in ("queue.ack", "queue.nack", "queue.renew"):
        needed["receipts"] = [f"{LOG_ID}~{touched}~1"]
    elif method.name == "queue.put":
        needed["prefix"] = touched
    return {**ASKED.get(method.name, {}), **needed}


def ids_in(response: dict[str, Any]) -> list[str]:
    """The ids of timers and plans, and names of queues, in a response, which has to be a result, each once. A timer of
    a plan counts as that."""
    return list(dict.fromkeys(re.findall(r'"(?:id|queue|plan)": "([^"~]+)', json.dumps(response["result"]))))


def refusal(response: dict[str, Any]) -> dict[str, Any]:
    """The data of a response, which has to be `not_permitted`."""
    assert response["error"]["code"] == ErrorCode.NOT_PERMITTED, response
    data: dict[str, Any] = response["error"]["data"]
    return data


def test_declarations_are_those_of_the_list() -> None:
    assert {method.name: (method.right, method.scope) for method in METHODS} == DECLARED


def test_method_without_a_declaration_cannot_be_made() -> None:
    for declared in ({"right": "read"}, {"scope": "id"}):
        with pytest.raises(TypeError, match="Missing required argument"):
            Method(name="timer.peek", params=GetParams, result=Timer, summary="", **declared)  # type: ignore[call-arg, arg-type]


def test_handler_without_a_declaration_cannot_be_served(desk: Desk) -> None:
    with pytest.raises(KeyError, match=r"timer\.peek"):
        desk.dispatching({"timer.peek": desk.methods.timer})


@every_method
def test_who_lacks_the_right_is_refused_and_nobody_else(desk: Desk, method: Method) -> None:
    needed = frozenset[Right]() if method.right is None else frozenset({method.right})
    if needed:
        data = refusal(desk.call(method.name, Sender("most", "", ALL_RIGHTS - needed), **asked(method, "shop/1")))
        assert data["right"] == method.right
        assert "prefix" not in data
        assert desk.commit() == []

    assert "result" in desk.call(method.name, Sender("least", "", needed), **asked(method, "shop/1"))


@every_method
def test_who_is_bound_is_refused_outside_the_prefix(desk: Desk, method: Method) -> None:
    for touched in ("bank/1", "bank/2", "SHOP/1"):
        response = desk.call(method.name, SHOP, **asked(method, touched))
        if method.scope == "none":
            assert ids_in(response) == []
        else:
            data = refusal(response)
            assert data["prefix"] == "shop/"
            assert "right" not in data
    assert desk.commit() == []


@every_method
def test_who_is_bound_gets_what_lies_under_the_prefix(desk: Desk, method: Method) -> None:
    if method.scope == "prefix":
        for prefix in ("", "s", "shop/", "shop/1"):
            assert ids_in(desk.call(method.name, SHOP, **asked(method, prefix))) == ["shop/1"]
    else:
        assert set(ids_in(desk.call(method.name, SHOP, **asked(method, "shop/1")))) <= {"shop/1"}


def test_queue_is_nobodys_whose_prefix_lies_elsewhere_whatever_its_name(desk: Desk) -> None:
    desk.result("queue.put", queue="shop/ours", prefix="bank/")

    for method, params in (
        ("queue.get", {}),
        ("queue.take", {}),
        ("queue.delete", {}),
        ("queue.put", {"prefix": "shop/"}),
    ):
        refused = refusal(desk.call(method, SHOP, queue="shop/ours", **params))
        assert refused["prefix"] == "shop/"
        assert "bank" not in refused["reason"], "whose it is, is told to nobody else"
    assert refusal(desk.call("queue.put", SHOP, queue="shop/1", prefix="bank/"))["prefix"] == "shop/"
    assert desk.result("queue.get", queue="shop/ours")["prefix"] == "bank/"


def test_queue_that_is_not_there_is_not_found_by_who_is_bound(desk: Desk) -> None:
    assert desk.call("queue.take", SHOP, queue="none")["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND
    assert desk.call("queue.delete", SHOP, queue="none")["result"] == {"deleted": False}


def test_who_is_bound_changes_many_under_the_prefix_alone(desk: Desk) -> None:
    for prefix in ("", "s", "shop/"):
        changed = desk.call("timer.change_many", SHOP, action="pause", prefix=prefix, dry_run=True)
        assert changed["result"]["changed"] == 2, "its timer, and that of its plan"
    for elsewhere in ({"prefix": "bank/"}, {"ids": ["shop/1", "bank/1"]}):
        assert refusal(desk.call("timer.change_many", SHOP, action="pause", **elsewhere))["prefix"] == "shop/"
    for both in ({}, {"prefix": "shop/", "ids": ["bank/1"]}):
        error = desk.call("timer.change_many", SHOP, action="pause", **both)["error"]
        assert error["code"] == ErrorCode.INVALID_PARAMS
    assert desk.commit() == []


def test_one_id_outside_the_prefix_starts_none_of_many(desk: Desk) -> None:
    refusal(desk.call("timer.start_many", SHOP, ids=["shop/2", "bank/2"], seconds=60))

    assert desk.commit() == []


def test_timer_without_an_id_gets_one_under_the_prefix(desk: Desk) -> None:
    (timer_id,) = ids_in(desk.call("timer.start", SHOP, minutes=1))

    assert timer_id.startswith("shop/")


def test_so_does_one_of_the_dialogue(desk: Desk) -> None:
    desk.send(b"0", b"1", b"0", sender=SHOP)

    assert len(desk.call("timer.list", SHOP)["result"]["timers"]) == 3, "with that of the plan"


def test_dialogue_needs_the_right_to_start(desk: Desk) -> None:
    answer = desk.send(b"0", b"1", b"0", sender=Sender("reader", "", frozenset({"read"})))

    assert answer is not None
    assert answer.frames()[2].startswith(b"error: timer.start needs the right 'start'")
    assert desk.commit() == []


def test_notification_that_is_not_permitted_has_no_effect(desk: Desk) -> None:
    cancel = b'{"jsonrpc":"2.0","method":"timer.cancel","params":{"id":"bank/1"}}'

    assert desk.send(cancel, sender=SHOP) is None
    assert desk.send(cancel, sender=Sender("reader", "", frozenset({"read"}))) is None
    assert desk.commit() == []


def test_nobody_is_refused_everything(desk: Desk) -> None:
    answer = desk.send(batch(*(request(method.name, **asked(method, "a")) for method in METHODS)), sender=NOBODY)
    for response in body(answer):
        refusal(response)

    text = desk.send(b"0", b"1", b"0", sender=NOBODY)
    assert text is not None
    assert text.frames()[: len(ENVELOPE)] == ENVELOPE
    assert text.frames()[2].startswith(b"error: ")
    assert desk.commit() == []
