"""The rule that narrows a request: scopes that no method has yet, what is not declared, and topics."""

import pytest
from msgspec import Struct

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import GetParams
from timer_protocol.methods import METHODS
from timer_protocol.plan_messages import PlanParams
from timer_protocol.rights import narrow, narrow_topic, with_prefix
from timer_protocol.sender import ALL_RIGHTS, EVERYBODY, NOBODY, Sender

SHOP = Sender("shop", "shop/", ALL_RIGHTS)
READER = Sender("reader", "", frozenset({"read"}))
STARTER = Sender("starter", "shop/", frozenset({"start"}))


class Several(Struct):
    ids: list[str]


class OfQueue(Struct):
    queue: str


def make_id(_: str) -> str:
    raise AssertionError("no id is needed")


@pytest.mark.parametrize("sender", [EVERYBODY, SHOP, NOBODY])
def test_what_is_not_declared_is_refused_to_everybody(sender: Sender) -> None:
    with pytest.raises(Refusal) as refused:
        narrow(None, GetParams("shop/1"), sender, make_id)

    assert refused.value.code == ErrorCode.NOT_PERMITTED


def test_the_unrestricted_sender_may_call_every_method_with_its_params_as_they_are() -> None:
    assert not EVERYBODY.is_restricted
    for method in METHODS:
        assert narrow(method, params := GetParams("a"), EVERYBODY, make_id) is params


@pytest.mark.parametrize("ids", [[], ["shop/1"], ["shop/1", "shop/2"]])
def test_many_ids_that_all_lie_under_the_prefix(ids: list[str]) -> None:
    assert with_prefix("ids", params := Several(ids), SHOP, make_id) is params


@pytest.mark.parametrize("ids", [["bank/1"], ["shop/1", "bank/1"], ["shop/1", "shop"]])
def test_one_of_many_ids_that_does_not_is_enough(ids: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        with_prefix("ids", Several(ids), SHOP, make_id)

    assert refused.value.help == {"prefix": "shop/"}


def test_a_queue_is_touched_by_who_may_touch_its_prefix() -> None:
    params = OfQueue("orders")

    assert with_prefix("queue", params, SHOP, make_id, "shop/orders/") is params
    for queue_prefix in ("bank/", "s", "", None):
        with pytest.raises(Refusal):
            with_prefix("queue", params, SHOP, make_id, queue_prefix)


@pytest.mark.parametrize(
    ("sender", "topic", "heard"),
    [
        (EVERYBODY, b"", [b""]),
        (READER, b"bank/", [b"bank/"]),
        (SHOP, b"", [b"~beat", b"shop/", b"~plan/shop/"]),
        (SHOP, b"sho", [b"shop/"]),
        (SHOP, b"shop/1 ", [b"shop/1 "]),
        (SHOP, b"bank/", []),
        (SHOP, b"~", [b"~beat", b"~plan/shop/"]),
        (SHOP, b"~plan/", [b"~plan/shop/"]),
        (SHOP, b"~plan/shop/daily", [b"~plan/shop/daily"]),
        (SHOP, b"~plan/bank/", []),
        (STARTER, b"", [b"~beat"]),
        (STARTER, b"shop/", []),
        (NOBODY, b"", []),
    ],
)
def test_a_subscription_hears_what_its_sender_may_read(sender: Sender, topic: bytes, heard: list[bytes]) -> None:
    assert narrow_topic(topic, sender) == heard


def test_a_plan_is_touched_by_who_may_touch_its_id() -> None:
    assert with_prefix("plan", params := PlanParams("shop/daily"), SHOP, make_id) is params
    for plan in ("bank/daily", "shop"):
        with pytest.raises(Refusal):
            with_prefix("plan", PlanParams(plan), SHOP, make_id)
