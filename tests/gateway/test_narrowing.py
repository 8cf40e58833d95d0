"""The narrowing of all methods: what a token is good for, by its prefix and its rights."""

from typing import Any

import msgspec
import pytest

from timer_gateway.callers import ANYBODY, Caller
from timer_gateway.narrowing import narrowed, narrowed_prefix, needs_queue_prefix
from timer_gateway.requests import METHOD_BY_NAME, Request
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import GetParams, StartParams, Timer
from timer_protocol.methods import METHODS, Method
from timer_protocol.sender import ALL_RIGHTS

SHOP = Caller("till", "shop/", ALL_RIGHTS, "0" * 64)
READER = Caller("reader", "", frozenset({"read"}), "1" * 64)
every_method = pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])


def asked(method: Method, touched: str) -> Request:
    """A request that touches an id, or ids that begin so; its other params are the least that there may be."""
    least: dict[str, Any] = {
        field.encode_name: _LEAST.get(field.encode_name, 1)
        for field in msgspec.structs.fields(method.params)
        if field.required
    }
    match method.scope:
        case "id" | "plan" | "prefix":
            least[method.scope] = touched
        case "ids" | "prefix or ids":
            least["ids"] = [touched]
        case "queue":
            least["queue"] = "any"
            if method.name == "queue.put":
                least["prefix"] = touched
    return Request(method, msgspec.convert(least, method.params))


_LEAST: dict[str, Any] = {"action": "pause", "after": {}, "receipts": ["r"]}


def make_id(prefix: str) -> str:
    return f"{prefix}made"


class TestNarrowing:
    @every_method
    def test_bound_token_reaches_no_other_ids(self, method: Method) -> None:
        for touched in ("bank/1", "SHOP/1", "shop"):
            request = asked(method, touched)
            if method.scope == "none":
                assert narrowed(SHOP, request, make_id) is request
            elif method.scope == "prefix" and touched == "shop":
                assert narrowed(SHOP, request, make_id).params.prefix == "shop/"
            else:
                with pytest.raises(Refusal) as refused:
                    narrowed(SHOP, request, make_id, touched)
                assert refused.value.code == ErrorCode.NOT_PERMITTED
                assert refused.value.help == {"prefix": "shop/"}
                assert refused.value.reason.endswith("which is all that this token is good for")

    @every_method
    def test_bound_token_reaches_its_own(self, method: Method) -> None:
        request = asked(method, "shop/1")
        assert narrowed(SHOP, request, make_id, "shop/").params == request.params

    @every_method
    def test_right_that_a_token_lacks(self, method: Method) -> None:
        request = asked(method, "any")
        if method.right in ("read", None):
            assert narrowed(READER, request, make_id, "any") is request
        else:
            with pytest.raises(Refusal, match="which this token does not have") as refused:
                narrowed(READER, request, make_id, "any")
            assert refused.value.help == {"right": method.right}

    @every_method
    def test_anybody_may_do_all_that_is_declared(self, method: Method) -> None:
        request = asked(method, "any")
        assert narrowed(ANYBODY, request, make_id) is request
        assert not needs_queue_prefix(ANYBODY, request)

    def test_what_is_not_declared_is_refused(self) -> None:
        for name in ("timer.peek", "timer.get"):  # not even under the name of another
            method = Method(name, GetParams, None, "none", Timer, "")
            for caller in (ANYBODY, SHOP):
                with pytest.raises(Refusal, match="nothing is declared"):
                    narrowed(caller, Request(method, GetParams("shop/1")), make_id)

    def test_start_without_an_id_gets_one_below_the_prefix(self) -> None:
        start = Request(METHOD_BY_NAME["timer.start"], StartParams(seconds=1))

        assert narrowed(SHOP, start, make_id).params.id == "shop/made"
        assert narrowed(ANYBODY, start, make_id) is start

    def test_queue_is_judged_by_its_prefix_which_has_to_be_looked_up(self) -> None:
        take = asked(METHOD_BY_NAME["queue.take"], "")

        assert needs_queue_prefix(SHOP, take)
        for queue_prefix in ("", "s", "bank/"):
            with pytest.raises(Refusal) as refused:
                narrowed(SHOP, take, make_id, queue_prefix)
            assert "bank" not in refused.value.reason, "whose it is, is told to nobody else"
        with pytest.raises(Refusal):
            narrowed(SHOP, take, make_id)
        assert narrowed(SHOP, take, make_id, "shop/orders/") is take
        assert narrowed(SHOP, take, make_id, None) is take, "there is no such queue"

    def test_stream_gets_what_its_caller_may_read(self) -> None:
        assert [narrowed_prefix(SHOP, prefix) for prefix in ("", "sho", "shop/", "shop/1")] == [
            "shop/",
            "shop/",
            "shop/",
            "shop/1",
        ]
        assert narrowed_prefix(READER, "any") == "any"
        for caller, prefix in ((SHOP, "bank/"), (Caller("s", "", frozenset({"start"}), ""), "")):
            with pytest.raises(Refusal):
                narrowed_prefix(caller, prefix)
