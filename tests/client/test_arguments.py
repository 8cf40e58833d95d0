"""Arguments of the wrong kind: every public method of both clients refuses them with one error, and sends nothing."""

import inspect
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import zmq

from client.fake_server import FakeServer
from drivers.both_clients import Driver, quick
from timer_client import (
    AsyncTimerClient,
    Cursor,
    Every,
    InvalidArgument,
    Step,
    TimerClient,
    TimerError,
    TimerSpec,
    calls,
    plan_calls,
)

Connect = Callable[..., Driver]

VALUES: list[Any] = [None, True, 0, 5, 5.5, "text", b"bytes", [], [5], {}, {"a": -1}, object(), TimerSpec(id="a")]

TEXT = (str,)
NUMBER = (int, float)
KINDS: dict[str, tuple[type, ...]] = {
    "timer": TEXT,
    "id": (str, type(None)),
    "key": (str, type(None)),
    "label": TEXT,
    "prefix": TEXT,
    "state": (str, type(None)),
    "hours": NUMBER,
    "minutes": NUMBER,
    "seconds": NUMBER,
    "limit": (int,),
    "wait_ms": (int,),
    "timeout_s": (int, float, type(None)),
    "at": (str, type(None)),
    "zone": (str, type(None)),
    "past": TEXT,
    "due_before_ms": (int, type(None)),
    "order": TEXT,
    "action": TEXT,
    "plan": TEXT,
    "cron": (str, type(None)),
    "from_ms": (int, type(None)),
    "until_ms": (int, type(None)),
    "missed": TEXT,
    "missed_window_ms": (int,),
    "overlap": TEXT,
    "queue": TEXT,
    "max": (int,),
    "then": TEXT,
    "begin": TEXT,
    "reason": (str, type(None)),
    **dict.fromkeys(("lease_ms", "delay_ms", "keep_ms"), (int, type(None))),
    **dict.fromkeys(("max_deliveries", "max_backlog", "max_dead", "max_bytes"), (int, type(None))),
}
"""What a parameter takes, by its name, in every method that has one of that name."""

TAKEN: dict[tuple[str, str], list[Any]] = {
    ("start", "payload"): [*VALUES[:6], *VALUES[7:11]],
    ("list", "after"): ["text", None],
    ("read_events", "after"): [{}],
    ("events", "after"): [{}],
    ("start_many", "specs"): [[], {}],
    ("call", "call"): [],
    ("talk", "talk"): [],
    ("start_columns", "ids"): [[]],
    ("start_columns", "seconds"): [0, 5, 5.5, [], [5]],
    ("start_columns", "labels"): [None, []],
    ("start_columns", "payloads"): [None, [], [5]],
    ("start_columns", "traces"): [None, []],
    ("start", "trace"): [None],
    ("change_many", "prefix"): [None, "text"],
    ("change_many", "ids"): [None, []],
    ("change_many", "seconds"): [None, 0, 5, 5.5],
    ("change_many", "dry_run"): [True],
    ("change_many", "states"): [[]],
    ("put_plan", "payload"): [*VALUES[:6], *VALUES[7:11]],
    ("put_plan", "count"): [None, 0, 5],
    ("put_plan", "paused"): [None, True],
    ("preview_plan", "count"): [0, 5],
    ("put_plan", "every"): [None, {}],
    ("put_plan", "steps"): [None, []],
    ("preview_plan", "every"): [None, {}],
    ("preview_plan", "steps"): [None, []],
    ("list", "states"): [None, []],
    ("list", "omit"): [[]],
    ("put_queue", "states"): [None, []],
    ("put_queue", "backoff_ms"): [None, [], [5]],
    ("work", "backoff_ms"): [None, [], [5]],
    ("work", "prefix"): [None, "text"],
    ("work", "concurrency"): [5],
    ("dead", "after"): [None, "text"],
    **{(method, "receipts"): [[]] for method in ("ack", "nack", "renew")},
    **{(method, "receipts"): [None, []] for method in ("revive", "drop")},
    **{("timers", parameter): taken for parameter, taken in {"states": [None, []], "omit": [[]]}.items()},
}
"""What a parameter takes that is of its method alone."""

NEEDED: dict[str, dict[str, Any]] = {
    **{name: {"timer": "a"} for name in ("get", "pause", "resume", "cancel", "extend", "restart", "wait")},
    "read_events": {"after": "start"},
    "start_columns": {"ids": ["a"], "seconds": 5},
    "change_many": {"action": "pause", "ids": ["a"]},
    **{f"{name}_plan": {"plan": "a"} for name in ("put", "delete", "get", "pause", "resume", "skip", "run")},
    "put_queue": {"queue": "mail", "prefix": ""},
    **{name: {"queue": "mail"} for name in ("delete_queue", "get_queue", "take", "dead", "work")},
    **{name: {"queue": "mail", "receipts": ["r"]} for name in ("ack", "nack", "renew", "revive", "drop")},
}
"""Arguments without which a method cannot be called."""

METHODS = sorted(name for name in vars(TimerClient) if not name.startswith("_") and name not in ("close", "settings"))


def _is_taken(method: str, parameter: str, value: Any) -> bool:
    if (method, parameter) in TAKEN:
        return any(value is one or (value == one and type(value) is type(one)) for one in TAKEN[method, parameter])
    return isinstance(value, KINDS[parameter]) and not isinstance(value, bool)


def _called(client: Driver, method: str, arguments: dict[str, Any]) -> None:
    """Calls a method, and takes the first step of what it returns where that is an iterator."""
    returned = getattr(client, method)(**arguments)
    if method in ("timers", "events"):
        next(returned)


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_kind_is_refused_by_name_before_anything_is_sent(
    fake: FakeServer, connect: Connect, method: str
) -> None:
    client = connect(quick(fake.commands, retry_deadline_s=0))
    for parameter in list(inspect.signature(getattr(TimerClient, method)).parameters)[1:]:
        for value in VALUES:
            if not _is_taken(method, parameter, value):
                with pytest.raises(
                    InvalidArgument, match=rf"^{parameter}( is | has |\[)|cursor|the seq of|either prefix"
                ) as caught:
                    _called(client, method, {**NEEDED.get(method, {}), parameter: value})
                assert "\n" not in str(caught.value)
    assert fake.peers == []


@pytest.mark.parametrize("client", [TimerClient, AsyncTimerClient])
@pytest.mark.parametrize("parameter", ["server", "events", "settings", "context", "on_pause"])
def test_a_client_is_not_made_of_the_wrong_kind(client: type, parameter: str) -> None:
    none_is_wrong = parameter == "on_pause"
    for value in VALUES[not none_is_wrong :]:
        if value != "text" or parameter not in ("server", "events"):
            with pytest.raises(TimerError, match=rf"^{parameter}(\[0\])? is .*, but must be "):
                client(**{parameter: value})


def test_the_error_is_the_one_of_pythons_own_functions_too() -> None:
    for wrong in (lambda: calls.get(5), lambda: calls.read_events(5)):  # type: ignore[arg-type]
        for kind in (TypeError, ValueError, TimerError):
            with pytest.raises(kind):
                wrong()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"every": {"hour": 1}}, "every has 'hour', but may have hours, minutes, seconds"),
        ({"every": {"hours": "1"}}, "every.hours is '1', but must be a number"),
        ({"every": Every(hours=math.inf)}, "every.hours is inf, but numbers must be finite"),
        ({"every": Step(hours=1)}, "must be an Every, or a mapping of its members"),
        ({"steps": [{"minutes": 25}, Step(minutes=5, label=5)]}, "steps[1].label is 5, but must be text"),  # type: ignore[arg-type]
        ({"steps": "25m"}, "steps is '25m', but must be a list of Step"),
    ],
)
def test_a_wrong_rule_is_told_with_its_place(rule: dict[str, Any], told: str) -> None:
    for make in (partial(plan_calls.put_plan, "drink"), plan_calls.preview_plan):
        with pytest.raises(InvalidArgument, match=re.escape(told)):
            make(**rule)


def test_a_wrong_spec_is_told_with_its_place(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands))
    specs: list[Any] = [TimerSpec(seconds=1), TimerSpec(seconds=1, payload={"a": {1}}), "tea"]
    with pytest.raises(InvalidArgument, match=r"^specs\[1\]: payload\.a is a set, which JSON has not"):
        client.start_many(specs)
    with pytest.raises(InvalidArgument, match=r"^specs\[0\]: spec is 'tea', but must be a TimerSpec"):
        client.start_many(spec for spec in reversed(specs))
    assert fake.peers == []


def test_what_the_specs_raise_themselves_is_left_as_it_is(fake: FakeServer, connect: Connect) -> None:
    def specs() -> Any:
        raise InvalidArgument("of the caller's own")
        yield

    with pytest.raises(InvalidArgument, match="of the caller's own"):
        connect(quick(fake.commands)).start_many(specs())


def test_an_empty_key_is_not_replaced() -> None:
    """It is wrong, and the server says so: with one made here the change would not be the one that was meant."""
    assert bytes(calls.restart("a", key="").params) == b'{"id":"a","key":""}'


@pytest.mark.parametrize("wrong", [5, "a:1", [("a", 1)], b"a:1"])
def test_a_cursor_is_made_of_a_mapping_or_read_from_text(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="a cursor is made of a mapping from logs to seq"):
        Cursor(wrong)
    if not isinstance(wrong, str):
        with pytest.raises(InvalidArgument, match="the text of a cursor is text"):
            Cursor.parse(wrong)


def test_a_context_of_another_kind_of_zeromq_is_one() -> None:
    class Ours(zmq.Context[Any]):
        pass

    context = Ours()
    TimerClient("inproc://nowhere", context=context).close()
    context.term()
