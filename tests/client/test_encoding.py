"""What calls send: an equal value comes back, or it is refused with the place where it stands."""

import datetime
import decimal
import enum
import math
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import pytest

from client.fake_server import FakeServer
from drivers.both_clients import Driver, quick
from timer_client import InvalidArgument, TimerError, TimerSpec, calls

Connect = Callable[..., Driver]


class _Shelf(enum.Enum):
    TOP = "top"


@dataclass
class _Order:
    number: int


class _Text(str):
    pass


class _Count(int):
    pass


class _Price(float):
    pass


class _Grade(enum.IntEnum):
    TOP = 1


class _Colour(enum.StrEnum):
    RED = "red"


class _Place(NamedTuple):
    shelf: Any
    row: Any


class _Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __eq__ = __repr__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def _loop() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


REFUSED = [
    (math.nan, "payload is nan, but numbers must be finite"),
    (-math.inf, "payload is -inf"),
    ([1.5, {"a b": [math.nan]}], r"payload\[1\]\['a b'\]\[0\] is nan"),
    (({"x": None}, math.inf), r"payload\[1\] is inf"),
    ({"when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}, "payload.when is a datetime, which JSON has not"),
    (datetime.timedelta(seconds=1), "payload is a timedelta"),
    (b"abc", "payload is a bytes"),
    ({1, 2}, "payload is a set"),
    (decimal.Decimal("1.5"), "payload is a Decimal"),
    (uuid.UUID(int=0), "payload is an UUID"),
    (_Shelf.TOP, "payload is a _Shelf"),
    (_Order(7), "payload is a _Order"),
    (TimerSpec(id="a"), "payload is a TimerSpec"),
    (msgspec.Raw(b"{"), "payload is a Raw"),
    (object(), "payload is an object"),
    ([_Hostile()], r"payload\[0\] is a _Hostile"),
    ({"a": {1: "x"}}, r"payload\.a has an int as a key, but keys must be text: 1"),
    ({None: 1}, "payload has a NoneType as a key"),
    ("\ud800", "payload has half of a surrogate pair in it"),
    ({"\udcff": 1}, "payload has a key with half of a surrogate pair"),
    (_loop(), "is nested more than 100 deep, or contains itself"),
    ({"a": [_Price("nan")]}, r"payload\.a\[0\] is nan, but numbers must be finite"),
    ([_Text("\ud800")], r"payload\[0\] has half of a surrogate pair in it"),
    ({"a": [1, 10**5000]}, r"payload\.a\[1\] is a whole number of more than 4300 digits"),
    (_Place(1, {2}), r"payload\[1\] is a set"),
]


@pytest.mark.parametrize(("payload", "sentence"), REFUSED, ids=lambda value: type(value).__name__)
def test_a_payload_that_json_cannot_hold_is_refused(payload: object, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        calls.start(1, payload=payload)
    with pytest.raises(TimerError, match=sentence):
        calls.start_spec(TimerSpec(hours=1, payload=payload))


@pytest.mark.parametrize(
    "payload", [None, True, 0, -(2**63) - 1, 2**70 + 1, 1.5e300, "naïve ☕ \0", [], {}, {"a": [1, {"b": None}]}, "null"]
)
def test_any_other_is_read_as_it_was_given(payload: object) -> None:
    params = msgspec.json.decode(calls.start(1, payload=payload).params)
    assert params.get("payload") == payload


def test_tuples_are_lists() -> None:
    assert msgspec.json.decode(calls.start(1, payload=(1, ("a",))).params)["payload"] == [1, ["a"]]


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (_Text("tea"), "tea"),
        ([_Count(7), _Grade.TOP, _Price(1.5)], [7, 1, 1.5]),
        ({_Colour.RED: _Colour.RED, _Text("a"): True}, {"red": "red", "a": True}),
        (OrderedDict(a=_Place(1, _Place("x", None))), {"a": [1, ["x", None]]}),
    ],
)
def test_what_is_a_kind_of_text_number_list_or_dict_is_sent_as_a_plain_one(payload: object, sent: object) -> None:
    assert msgspec.json.decode(calls.start(1, payload=payload).params)["payload"] == sent


def test_arguments_are_sent_as_plain_ones_too() -> None:
    params = msgspec.json.decode(calls.start(_Price(1.5), _Count(2), id=_Text("a"), label=_Colour.RED).params)
    assert params == {"id": "a", "hours": 1.5, "minutes": 2, "label": "red"}


@pytest.mark.parametrize("nowhere", [math.nan, math.inf, -math.inf])
def test_every_number_is_finite(nowhere: float) -> None:
    tried: list[Callable[[], object]] = [
        lambda: calls.start(nowhere),
        lambda: calls.start(1, seconds=nowhere),
        lambda: calls.start_spec(TimerSpec(minutes=nowhere)),
        lambda: calls.extend("a", minutes=nowhere),
        lambda: calls.list(limit=nowhere),  # type: ignore[arg-type]
        lambda: calls.read_events("start", limit=nowhere),  # type: ignore[arg-type]
        lambda: calls.read_events("start", wait_ms=nowhere),  # type: ignore[arg-type]
        lambda: calls.wait_once("a", nowhere),  # type: ignore[arg-type]
    ]
    for call in tried:
        with pytest.raises(InvalidArgument, match=r"finite|whole number"):
            call()


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf, 10**400, "5", True, datetime.timedelta(seconds=5)])
def test_a_time_out_is_a_finite_number(fake: FakeServer, connect: Connect, timeout_s: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"timeout_s is .* but must be a finite number of seconds"):
        connect(quick(fake.commands)).wait("a", timeout_s)
    assert fake.peers == []


def test_texts_are_unicode(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands))
    for refused in (
        lambda: client.start(1, label="\ud800"),
        lambda: client.get("\ud800"),
        lambda: client.events("\ud800"),
        lambda: client.events(7),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidArgument):
            refused()


def test_of_many_timers_the_wrong_one_is_refused_before_its_message_is_sent(fake: FakeServer, connect: Connect) -> None:
    with pytest.raises(InvalidArgument, match="payload is an object"):
        connect(quick(fake.commands)).start_many([TimerSpec(seconds=1, payload=object())])
    assert fake.peers == []


def test_a_prefix_leaves_the_payload_as_it_was_sent() -> None:
    call = calls.start(1, payload={"number": 18446744073709551615, "real": 1.0})
    below = calls.below(call, "shop/")
    assert bytes(call.params).partition(b'"payload"')[2] == bytes(below.params).partition(b'"payload"')[2]
    assert msgspec.json.decode(below.params)["id"].startswith("shop/")
