"""Starts of several messages are applied together, and come to what the messages come to one after the other."""

import json
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import NS_PER_MS
from drivers.desk import Desk, batch, request
from server_requests.test_plain_starts import (
    any_start,
    desk_with,
    limits,
    new_ids,
    numbered,
    places_below_a,
    senders,
    some_bytes,
    sound_amounts,
    started_together,
    starts,
)
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import Message
from timer_protocol.sender import ALL_RIGHTS, EVERYBODY, NOBODY, Sender
from timer_server.requests.answers import Answer, JointAnswer
from timer_server.requests.joint_starts import HELD_BYTES, HELD_MOST
from timer_server.requests.plain_starts import FEW_APART
from timer_server.requests.tally import Tally

AWAY = Refusal(ErrorCode.STORAGE_FAILED, "not stored")
OF_A = Sender("of a", "a/", ALL_RIGHTS)

plain = starts(new_ids, sound_amounts, st.just({}))
others = st.sampled_from(
    [
        request("timer.get", 7, id="a/1"),
        request("timer.cancel", 8, id="a/1"),
        request("timer.wait", 9, id="a/2", wait_ms=1_000),
        request("nonsense", 10, text='"timer.start"'),
        request("timer.get", 11, id='a/1 "timer.start"'),
        batch(*numbered(3)),
        b'{"jsonrpc":"2.0","method":"timer.start","params":{"id":"n","seconds":60}}',
        b'{"jsonrpc":"2.0","id":1,"method":"timer.start","params":["q",0,1]}',
        b'{"jsonrpc":"2.0","id":2,"method":"timer.\\u0073tart","params":{"id":"escaped","seconds":60}}',
        b' {"jsonrpc":"2.0","id":3,"method":"timer.start","params":{"id":"behind a space","seconds":60}}',
        b'{"jsonrpc":"2.0","id":5,"method":"timer.start"},{"jsonrpc":"2.0"}',
        b'{"method":"timer.start"',
        b'{"method":"timer.start\xff"}',
        b"0",
        b"",
    ]
)
envelopes = st.sampled_from([[], [], [b""], [b"\0\0\0\1", b""], [b"", b""], [b"x"] * 20])


class Came(NamedTuple):
    """A message that has come in, so long after the one before it."""

    message: Message
    later_ns: int


def came(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Came]:
    message = st.builds(
        lambda connection, envelope, text, sender: Message([connection, *envelope, text], sender),
        st.sampled_from([b"one", b"two"]),
        envelopes,
        bodies,
        senders | st.just(NOBODY),
    )
    return st.builds(Came, message, st.sampled_from([0, 1, 1_000, NS_PER_MS]))


def run_of(parts: tuple[int, list[dict[str, Any]], Sender, int]) -> list[Came]:
    """Plain starts of new timers, one message each, from senders who may start them."""
    first, asked, sender, later_ns = parts
    return [
        Came(Message([b"one", request("timer.start", number, id=f"a/{number}", **amounts)], sender), later_ns)
        for number, amounts in enumerate(asked, first)
    ]


runs = st.tuples(
    st.sampled_from([0, 100, 200]),
    st.lists(sound_amounts, min_size=FEW_APART, max_size=FEW_APART + 4),
    st.sampled_from([EVERYBODY, OF_A]),
    st.sampled_from([0, 1_000]),
).map(run_of)
sequences = st.lists(runs | came(plain | any_start | others).map(lambda one: [one]), min_size=1, max_size=8).map(
    lambda parts: [one for part in parts for one in part]
)
"""Some runs of plain starts, which may be known by then, and other messages between them."""


def replies(answers: list[Answer]) -> list[list[bytes]]:
    """All messages that go out for some answers, in order."""
    told: list[list[bytes]] = []
    for answer in answers:
        told += answer.all_frames() if isinstance(answer, JointAnswer) else [answer.frames()]  # type: ignore[union-attr]
    return told


def counted(answers: list[Answer]) -> list[tuple[str, str, int]]:
    tally = Tally()
    for answer in answers:
        answer.count(tally)  # type: ignore[union-attr]
    return [line for line in tally.by_method_and_error() if line[2]]


@given(sequences, limits, some_bytes, places_below_a)
def test_messages_come_to_what_they_come_to_one_after_the_other(
    messages: list[Came], asked: dict[str, int], left_bytes: int | None, below_a: int | None
) -> None:
    """Each at the moment at which it is applied, which is not before it has come in."""
    together, single = desk_with(asked, left_bytes, below_a), desk_with(asked, left_bytes, below_a)
    answers: list[Answer] = []
    expected: list[Answer] = []
    waiting: list[Message] = []
    now_ns = together.now_ns
    for message, later_ns in messages:
        now_ns += later_ns
        together.dispatcher.take_in(message, now_ns, answers)
        waiting.append(message)
        if not holds(together):
            expected += one_after_the_other(single, waiting, now_ns)
            waiting.clear()
    together.dispatcher.finish(now_ns, answers)
    expected += one_after_the_other(single, waiting, now_ns)

    assert not holds(together)
    assert replies(answers) == replies(expected)
    assert counted(answers) == counted(expected)
    assert len(together.parked) == len(single.parked)
    assert together.engine.counts() == single.engine.counts()
    assert together.engine.take_changes() == single.engine.take_changes()


def holds(desk: Desk) -> bool:
    """Whether a start is held."""
    held = desk.dispatcher._held_starts
    assert held is not None
    return bool(held.calls)


def one_after_the_other(desk: Desk, messages: list[Message], now_ns: int) -> list[Answer]:
    answers = [desk.dispatcher.handle(message, now_ns) for message in messages]
    return [answer for answer in answers if answer is not None and not answer.missing]


def taken_in(desk: Desk, messages: list[Message], is_finished: bool = True) -> list[Answer]:
    answers: list[Answer] = []
    for message in messages:
        desk.dispatcher.take_in(message, desk.now_ns, answers)
    if is_finished:
        desk.dispatcher.finish(desk.now_ns, answers)
    return answers


def several(count: int = FEW_APART, sender: Sender = EVERYBODY, **asked: Any) -> list[Message]:
    return [Message([b"peer", b"", text], sender) for text in numbered(count, **asked)]


def test_plain_starts_of_several_messages_are_started_together() -> None:
    desk = Desk()

    answers = taken_in(desk, several(hours=1, label="tea", payload={"a": 1}))

    assert started_together(desk) == FEW_APART
    assert len(answers) == 1
    told = replies(answers)
    assert [frames[:2] for frames in told] == [[b"peer", b""]] * FEW_APART
    assert [json.loads(frames[2])["result"]["id"] for frames in told] == [f"a/{n}" for n in range(FEW_APART)]
    assert counted(answers) == [("timer.start", "", FEW_APART)]


def test_starts_of_clients_with_keys_are_started_together_too() -> None:
    desk = Desk()
    starter = Sender("starter", "", frozenset({"start"}))
    messages = [
        Message([b"peer", request("timer.start", number, seconds=5)], sender)
        for number, sender in enumerate([OF_A, starter, EVERYBODY] * FEW_APART)
    ]

    ids = [json.loads(frames[-1])["result"]["id"] for frames in replies(taken_in(desk, messages))]

    assert len({*ids}) == len(messages)
    assert all(timer_id.startswith("a/") for timer_id in ids[::3])
    assert started_together(desk) == len(messages)


def test_few_starts_are_started_one_after_the_other() -> None:
    desk = Desk()
    assert len(taken_in(desk, several(FEW_APART - 1))) == FEW_APART - 1
    assert started_together(desk) == 0


def test_only_so_many_starts_are_held() -> None:
    desk = Desk()
    messages = several(2 * HELD_MOST - 1)
    assert len(taken_in(desk, messages[: HELD_MOST - 1], is_finished=False)) == 0
    assert len(replies(taken_in(desk, messages[HELD_MOST - 1 :], is_finished=False))) == HELD_MOST
    assert holds(desk)


def test_long_requests_are_not_held() -> None:
    desk = Desk()
    (long,) = several(1, payload="x" * HELD_BYTES)
    assert len(taken_in(desk, [long], is_finished=False)) == 1
    assert not holds(desk)


def test_a_request_that_comes_behind_starts_finds_them_applied() -> None:
    desk = Desk()
    last = Message([b"peer", b"", request("timer.get", 9, id="a/1")], EVERYBODY)

    told = replies(taken_in(desk, [*several(), last], is_finished=False))

    assert [json.loads(frames[-1])["id"] for frames in told] == [*range(FEW_APART), 9]
    assert json.loads(told[-1][-1])["result"]["state"] == "running"


def test_one_id_in_several_messages_is_one_timer() -> None:
    desk = Desk()
    same = several(1) * 3
    other = Message([b"peer", request("timer.start", 99, id="a/0", seconds=6)], EVERYBODY)

    told = [json.loads(frames[-1]) for frames in replies(taken_in(desk, [*several(), *same, other]))]

    assert [response["result"] for response in told[FEW_APART:-1]] == [told[0]["result"]] * 3
    assert told[-1]["error"]["code"] == ErrorCode.ID_CONFLICT
    assert desk.engine.counts().running == FEW_APART


def test_a_start_that_is_too_long_is_refused_and_the_others_are_not() -> None:
    desk = Desk(max_message_bytes=1_000)
    long = Message([b"peer", request("timer.start", 99, id="long", seconds=5, payload="x" * 1_000)], EVERYBODY)

    told = [json.loads(frames[-1]) for frames in replies(taken_in(desk, [*several(), long, *several(14)[13:]]))]

    assert told[FEW_APART]["error"]["data"]["limit"] == "max_message_bytes"
    assert all("result" in response for response in [*told[:FEW_APART], told[-1]])


def test_where_nothing_could_be_stored_each_of_them_is_told_so() -> None:
    (answer,) = taken_in(Desk(), several())
    answer.fail(AWAY)

    told = [json.loads(frames[-1]) for frames in replies([answer])]

    assert [response["id"] for response in told] == [*range(FEW_APART)]
    assert {response["error"]["code"] for response in told} == {ErrorCode.STORAGE_FAILED}
    assert counted([answer]) == [("timer.start", "storage_failed", FEW_APART)]
