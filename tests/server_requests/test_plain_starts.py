"""Starts of a batch are started together, and come to what as many single messages come to at the same moment."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.desk import CODEC, Desk, batch, body, request
from timer_protocol.frames import Message
from timer_protocol.sender import ALL_RIGHTS, EVERYBODY, Sender
from timer_server.requests import room
from timer_server.requests.answers import JsonAnswer
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.plain_starts import FEW

PART = 12_345
"""Nanoseconds of a millisecond that has begun: a start is rounded up to the next."""

ids = st.sampled_from(["a", "a/1", "a/2", "b", "c", "d", "e" * 128, "no id", "p~1", ""])
new_ids = st.integers(0, 10**6).map("a/{}".format)
sound_amounts = st.fixed_dictionaries(
    {"seconds": st.sampled_from([60, 60, 60.0, 1.5, 0.0006, 900])},
    optional={"hours": st.sampled_from([0, 0.0, 0.25]), "minutes": st.sampled_from([0, 1, 29.5])},
)
faulty_amounts = st.sampled_from([0, 0.0001, 10_000_000, 1e308]).map(lambda seconds: {"seconds": seconds})
payloads = st.sampled_from([None, "x", {"a": [1]}, "x" * 300, [[[]]], "ü"])
extras = st.fixed_dictionaries({}, optional={"label": st.sampled_from(["", "tea", "ü" * 256]), "payload": payloads})
rare = st.sampled_from(
    [
        {},
        {},
        {},
        {"at": "2030-01-01T00:00:00Z"},
        {"past": "fire"},
        {"zone": "UTC"},
        {"trace": {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}},
        {"trace": None},
        {"colour": "red"},
        {"label": "x" * 257},
    ]
)
request_ids = st.integers() | st.sampled_from(["one", 1.5, None])


def starts(
    some_ids: st.SearchStrategy[str], amounts: st.SearchStrategy[Any], others: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda number, timer_id, *parts: request(
            "timer.start", number, id=timer_id, **{name: value for part in parts for name, value in part.items()}
        ),
        request_ids,
        some_ids,
        amounts,
        extras,
        others,
    )


plain = st.lists(starts(new_ids, sound_amounts, st.just({})), min_size=FEW, max_size=FEW + 4)
"""Mostly none of them is refused."""

any_start = starts(new_ids | ids, sound_amounts | faulty_amounts, rare)
doubtful = st.tuples(plain, any_start, st.integers(0, FEW)).map(
    lambda drawn: [*drawn[0][: drawn[2]], drawn[1], *drawn[0][drawn[2] :]]
)
"""Mostly one of them is refused, known, or not plain."""

mixed = st.lists(
    any_start
    | st.sampled_from(
        [
            request("timer.get", 7, id="a"),
            request("timer.cancel", 8, id="a"),
            request("nonsense", 9),
            b'{"jsonrpc":"2.0","method":"timer.start","params":{"id":"n","seconds":60}}',
            b'{"jsonrpc":"2.0","id":1,"method":"timer.start","params":["q",0,1]}',
            b'{"id":3}',
        ]
    ),
    min_size=1,
    max_size=FEW + 4,
)
senders = st.sampled_from(
    [
        EVERYBODY,
        EVERYBODY,
        Sender("of a", "a/", ALL_RIGHTS),
        Sender("all but admin", "", ALL_RIGHTS - {"admin"}),
        Sender("reader", "", frozenset({"read"})),
    ]
)
limits = st.sampled_from([{}, {}, {}, {"max_timers": 3}, {"max_payload_bytes": 100}])
some_bytes = st.sampled_from([None, None, None, 3_000])
places_below_a = st.sampled_from([None, None, None, 3])


def desk_with(asked: dict[str, int], left_bytes: int | None, below_a: int | None) -> Desk:
    desk = Desk(max_duration_s=3600, **asked)
    desk.engine.limit_growth(left_bytes)
    desk.engine.places.share_out({} if below_a is None else {"a/": below_a})
    desk.call("timer.start", id="a", seconds=60)
    desk.end_turn()
    desk.call("timer.cancel", id="a")
    desk.call("timer.start", id="b", seconds=60)
    desk.end_turn()
    desk.now_ns += PART
    return desk


@given(plain | doubtful | mixed, senders, limits, some_bytes, places_below_a)
def test_a_batch_is_as_many_single_messages(
    requests: list[bytes], sender: Sender, asked: dict[str, int], left_bytes: int | None, below_a: int | None
) -> None:
    check_the_same(desk_with(asked, left_bytes, below_a), desk_with(asked, left_bytes, below_a), requests, sender)


@pytest.mark.parametrize(
    "among_them",
    [
        {"id": "b", "seconds": 60},
        {"id": "b", "seconds": 61},
        {"id": "a/0", "seconds": 5},
        {"id": "no id", "seconds": 60},
        {"seconds": 0},
        {"seconds": 5, "at": "2030-01-01T00:00:00Z"},
        {"at": "2030-01-01T00:00:00Z"},
        {"seconds": 5, "zone": "UTC"},
        {"seconds": 5, "past": "fire"},
        {"seconds": 5, "trace": {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}},
        {"seconds": 5, "trace": None},
        {"seconds": 5, "label": "x" * 257},
        {"seconds": 5, "payload": "x" * 101},
    ],
)
def test_one_that_is_unlike_the_others_is_treated_as_by_itself(among_them: dict[str, Any]) -> None:
    unlike = request("timer.start", 7, **{"id": "a/new", **among_them})
    several = numbered(2 * FEW)
    desks = [desk_with({"max_payload_bytes": 100}, None, None) for _ in range(2)]
    check_the_same(*desks, [*several[:FEW], unlike, *several[FEW:]])


def test_a_notification_among_them_is_not_answered() -> None:
    notification = b'{"jsonrpc":"2.0","method":"timer.start","params":{"id":"n","seconds":60}}'
    several = numbered(2 * FEW)
    check_the_same(Desk(), Desk(), [*several[:FEW], notification, *several[FEW:]])


@pytest.mark.parametrize(
    "sender",
    [
        Sender("reader", "", frozenset({"read"})),
        Sender("of a/1", "a/1", ALL_RIGHTS),
        Sender("reader of a", "a/", frozenset({"read"})),
    ],
)
def test_nobody_may_start_more_than_one_by_one(sender: Sender) -> None:
    check_the_same(Desk(), Desk(), numbered(2 * FEW), sender)


@pytest.mark.parametrize("left_bytes", [0, FEW * 1_000, 2 * FEW * 1_000])
def test_the_disk_has_no_more_room_for_a_batch(left_bytes: int) -> None:
    check_the_same(desk_with({}, left_bytes, None), desk_with({}, left_bytes, None), numbered(2 * FEW))


def check_the_same(one: Desk, many: Desk, requests: list[bytes], sender: Sender = EVERYBODY) -> None:
    """Sends requests to one server each by itself, to the other as a batch. Both have to do and tell the same."""
    answers = [one.send(text, sender=sender) for text in requests]

    answer = many.send(batch(*requests), sender=sender)

    assert (body(answer) if answer else []) == [body(answer) for answer in answers if answer is not None]
    assert answer is None or kinds_of(answer) == [kind for answer in answers for kind in kinds_of(answer)]
    assert many.engine.counts() == one.engine.counts()
    assert many.engine.take_changes() == one.engine.take_changes()


def kinds_of(answer: Any) -> list[Any]:
    assert answer is None or isinstance(answer, JsonAnswer)
    return [] if answer is None else answer.kinds


def packed_of(*requests: bytes, sender: Sender = EVERYBODY) -> int:
    """How many timers of a batch are started together."""
    desk = Desk()
    body(desk.send(batch(*requests), sender=sender))
    return started_together(desk)


def numbered(count: int, **asked: Any) -> list[bytes]:
    return [request("timer.start", number, id=f"a/{number}", **{"seconds": 5, **asked}) for number in range(count)]


@pytest.mark.parametrize(
    "sender", [EVERYBODY, Sender("of a", "a/", ALL_RIGHTS), Sender("starter", "", frozenset({"start"}))]
)
def test_plain_starts_are_started_together(sender: Sender) -> None:
    assert packed_of(*numbered(10, hours=1, label="tea", payload={"a": 1}), sender=sender) == 10


def test_starts_on_both_sides_of_another_request_are_started_together() -> None:
    several = numbered(2 * FEW)
    assert packed_of(*several[:FEW], request("timer.get", id="a/0"), *several[FEW:]) == 2 * FEW


def test_few_starts_and_those_that_are_not_plain_are_started_one_after_the_other() -> None:
    assert packed_of(*numbered(FEW - 1)) == 0
    assert packed_of(*numbered(10), request("timer.start", id="b", at="2100-01-01T00:00:00Z", past="fire")) == 0


def test_timers_without_an_id_get_one_each() -> None:
    desk = Desk()

    responses = body(desk.send(batch(*[request("timer.start", number, seconds=5) for number in range(FEW)])))

    made = [response["result"]["id"] for response in responses]
    assert len({*made}) == FEW
    assert started_together(desk) == FEW
    below = desk.send(
        batch(*[request("timer.start", seconds=5) for _ in range(FEW)]), sender=Sender("of a", "a/", ALL_RIGHTS)
    )
    assert all(response["result"]["id"].startswith("a/") for response in body(below))
    assert started_together(desk) == FEW


@given(plain, st.integers(0, 700) | st.just(100_000))
def test_a_batch_has_the_same_room_for_its_reply(requests: list[bytes], left_bytes: int) -> None:
    desk, single = Desk(), Desk()
    by_itself = Dispatcher(
        CODEC,
        single.methods.handlers(),
        single.parked,
        single.limits,
        single.shards.new_id,
        single.queue_methods.prefix_of,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "REPLY_BYTES", left_bytes)
        answer = desk.send(batch(*requests))
        expected = by_itself.handle(Message([b"peer", b"", batch(*requests)], EVERYBODY), single.now_ns)
    assert isinstance(answer, JsonAnswer)
    assert isinstance(expected, JsonAnswer)
    assert json.loads(answer.frames()[-1]) == json.loads(expected.frames()[-1])
    assert answer.room.left_bytes == expected.room.left_bytes
    assert desk.engine.take_changes() == single.engine.take_changes()


def started_together(desk: Desk) -> int:
    """How many timers were started in steps of several since the last call."""
    return sum(together.number for together in desk.engine.take_changes().entries.packed)
