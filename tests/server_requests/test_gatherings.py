"""Dialogues about the shards of several servers: `a` owns 0 and 3, `b` owns 1, `c` owns 2."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from msgspec import Raw, Struct

from drivers.several_servers import Server, SharedStore
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import NULL, Event, EventPage, ListParams, ReadEventsParams, Timer, TimerPage
from timer_server.requests.gathering import Ask, Dialogue, Gather, PartHandler, Told
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import WaitForEvent

ALL = frozenset(range(4))
SECOND_NS = 1_000_000_000

MakeDialogue = Callable[[Any], Dialogue]


class RawTimer(Timer, frozen=True):
    payload: Raw = NULL


class TimersWithRaw(Struct):
    timers: list[RawTimer]
    next: str | None


class Events(Struct):
    """A page that is true where it has something."""

    found: list[Event]

    def __bool__(self) -> bool:
        return bool(self.found)


class Kind(NamedTuple):
    """A question: the types of its params and results, and what answers it."""

    asked: type
    answered: type
    answer: PartHandler

    def handler(self) -> PartHandler:
        return self.answer


def timers_of(shards: Sequence[Shard], params: ListParams, _: int, __: ReplyRoom) -> TimerPage:
    """The events of some shards, as timers. One prefix is refused."""
    if params.prefix == "refuse":
        raise Refusal(ErrorCode.WRONG_STATE, "not like this", state="fired")
    events = [event for shard in shards for event in shard.log.page(0, params.prefix, 99, 99).events]
    return TimerPage([event.view(0) for event in events], None)


def events_of(shards: Sequence[Shard], params: ReadEventsParams, now_ns: int, _: ReplyRoom) -> Events | WaitForEvent:
    """The same as events; the wait for one where there is none."""

    def page() -> Events:
        found = [(shard, event) for shard in shards for event in shard.log.page(0, params.prefix, 99, 99).events]
        return Events([event.event_view(shard.log.id) for shard, event in found])

    if page():
        return page()
    return WaitForEvent(
        until_ns=now_ns + params.wait_ms * 1_000_000,
        woken=lambda *_: page(),
        timed_out=lambda *_: page(),
        prefix=params.prefix,
    )


class Gathered:
    """A store whose `timer.list` and `events.read` run a dialogue that the test gives."""

    def __init__(self) -> None:
        self.make: MakeDialogue = all_timers
        self.store = SharedStore(
            4,
            lambda _: {"timer.list": self.gather, "events.read": self.gather},
            {
                "timer.list": Kind(ListParams, TimersWithRaw, timers_of),
                "events.read": Kind(ReadEventsParams, Events, events_of),
            },
        )
        for incarnation in ("a", "b", "c"):
            self.store.start(incarnation)
        for number, incarnation in enumerate("abca"):
            self.store.give(number, incarnation)
        self.store.follow()
        for number in range(4):
            self.server("a").call("timer.start", id=self.store.name_in(number), seconds=60, payload={"n": 1.0})
        self.store.run()
        self.server("a").take_told()

    def gather(self, params: Any, now_ns: int, _: ReplyRoom) -> Gather:
        return Gather(
            dialogue=self.make(params), until_ns=now_ns + 10 * SECOND_NS, timed_out=lambda *_: TimerPage([], "late")
        )

    def server(self, name: str) -> Server:
        return self.store.servers[name]

    def ask(self, make: MakeDialogue, method: str = "timer.list", **params: Any) -> None:
        self.make = make
        self.server("a").call(method, **params)

    def told(self) -> Any:
        self.store.run()
        (told,) = self.server("a").take_told()
        return told

    def names(self) -> list[str]:
        """The ids of the timers of the shards 0 to 3."""
        return [self.store.name_in(number) for number in range(4)]


@pytest.fixture
def gathered() -> Gathered:
    return Gathered()


def asking(shards: frozenset[int] = ALL, prefix: str = "", **options: Any) -> Ask:
    return Ask(shards, "timer.list", lambda _: ListParams(prefix=prefix), **options)


def page(told: Sequence[Told]) -> TimerPage:
    timers = [timer for one in told for timer in one.value.timers]  # type: ignore[union-attr]
    return TimerPage(sorted(timers, key=lambda timer: timer.id), None)


def all_timers(_: Any) -> Dialogue:
    told = yield asking()
    return page(told)


def ids(told: Any) -> list[str]:
    return [timer["id"] for timer in told["result"]["timers"]]


def test_each_owner_is_asked_once_for_all_its_shards(gathered: Gathered) -> None:
    parts: list[frozenset[int]] = []

    def dialogue(_: Any) -> Dialogue:
        told = yield asking()
        parts.extend(one.shards for one in told)
        return page(told)

    gathered.ask(dialogue)
    told = gathered.told()

    assert ids(told) == sorted(gathered.names())
    assert sorted(map(sorted, parts)) == [[0, 3], [1], [2]]
    assert {str(timer["payload"]) for timer in told["result"]["timers"]} == {"{'n': 1.0}"}


def test_several_questions_are_asked_at_the_same_time_and_one_after_the_other(gathered: Gathered) -> None:
    def dialogue(_: Any) -> Dialogue:
        both = yield [asking(frozenset({0})), asking(frozenset({1}))]
        more = yield asking(frozenset({2, 3}))
        return page([*both, *more])

    gathered.ask(dialogue)
    assert ids(gathered.told()) == sorted(gathered.names())


def test_params_are_made_for_the_shards_of_each_owner(gathered: Gathered) -> None:
    made: list[frozenset[int]] = []

    def params_for(shards: frozenset[int]) -> ListParams:
        made.append(shards)
        return ListParams(prefix="")

    def dialogue(_: Any) -> Dialogue:
        return page((yield Ask(ALL, "timer.list", params_for)))

    gathered.ask(dialogue)
    gathered.told()
    assert sorted(map(sorted, made)) == [[0, 3], [1], [2]]


def test_a_refusal_of_one_part_is_told_to_the_dialogue(gathered: Gathered) -> None:
    def dialogue(_: Any) -> Dialogue:
        told = yield asking(frozenset({0, 1}), prefix="refuse")
        refusals = [one.value for one in told if isinstance(one.value, Refusal)]
        assert [(refusal.code, refusal.reason, refusal.help) for refusal in refusals] == [
            (ErrorCode.WRONG_STATE, "not like this", {"state": "fired"})
        ] * 2
        raise refusals[0]

    gathered.ask(dialogue)
    assert gathered.told()["error"]["code"] == ErrorCode.WRONG_STATE


def test_shards_without_owner_are_waited_for(gathered: Gathered) -> None:
    gathered.store.owners.pop(2)
    gathered.server("c").settle()
    gathered.store.follow()
    gathered.ask(all_timers)
    gathered.store.run()
    assert gathered.server("a").take_told() == []

    gathered.store.give(2, "a")
    assert ids(gathered.told()) == sorted(gathered.names())


def test_what_has_moved_is_asked_of_the_next_owner(gathered: Gathered) -> None:
    gathered.store.give(1, "c")
    gathered.server("b").settle()
    gathered.ask(all_timers)
    gathered.store.run()
    assert gathered.server("a").take_told() == []

    gathered.store.follow()
    assert ids(gathered.told()) == sorted(gathered.names())


def test_where_time_runs_out_the_request_says_what_is_told(gathered: Gathered) -> None:
    closed: list[bool] = []

    def dialogue(_: Any) -> Dialogue:
        try:
            return page((yield asking()))
        finally:
            closed.append(True)

    gathered.ask(dialogue)
    gathered.server("a").turn()
    gathered.store.pass_time(10_000)
    gathered.server("a").turn()
    gathered.server("a").settle_all()
    (told,) = gathered.server("a").take_told()

    assert (told["result"]["next"], closed) == ("late", [True])
    gathered.store.run()
    assert gathered.server("a").take_told() == []
    assert (gathered.server("a").forwards.room.requests, len(gathered.server("a").forwards.lines)) == (0, 0)


def test_it_stands_in_line_behind_what_was_asked_before(gathered: Gathered) -> None:
    name = gathered.names()[1]
    server = gathered.server("a")
    server.call("timer.cancel", id=name)
    gathered.ask(all_timers)
    server.call("timer.restart", id=name)
    gathered.store.run()

    assert [event.kind for event in gathered.store.events(1)] == ["started", "cancelled", "restarted"]


def first_of_all(shards: frozenset[int] = ALL) -> MakeDialogue:
    def dialogue(params: Any) -> Dialogue:
        told = yield Ask(shards, "events.read", lambda _: params, is_first_enough=True)
        return EventPage([event for one in told for event in one.value.found], {}, False, False)

    return dialogue


def test_the_first_that_comes_to_something_is_enough(gathered: Gathered) -> None:
    """The others that wait are given up, here and at the other servers."""
    gathered.ask(first_of_all(), "events.read", after={}, prefix="new", wait_ms=9_000)
    gathered.store.run()
    servers = [gathered.server(name) for name in "abc"]
    assert [len(server.parked) for server in servers] == [1, 1, 1]

    gathered.server("b").call("timer.start", id=gathered.store.name_in(2, "new"), seconds=60)
    assert [event["kind"] for event in gathered.told()["result"]["events"]] == ["started"]
    assert [len(server.parked) for server in servers] == [0, 0, 0]
    assert [server.forwards.room.requests for server in servers] == [0, 0, 0]


def test_parts_that_wait_here_go_on_elsewhere_where_their_shard_is_lost(gathered: Gathered) -> None:
    gathered.ask(first_of_all(frozenset({0})), "events.read", after={}, prefix="new", wait_ms=9_000)
    gathered.store.run()
    gathered.store.give(0, "c")
    gathered.store.run()
    gathered.store.follow()
    gathered.store.run()
    assert [len(gathered.server(name).parked) for name in "abc"] == [0, 0, 1]

    gathered.server("c").call("timer.start", id=gathered.store.name_in(0, "new"), seconds=60)
    assert [event["kind"] for event in gathered.told()["result"]["events"]] == ["started"]


def test_a_fault_in_a_dialogue_fails_its_request_alone(gathered: Gathered) -> None:
    def dialogue(_: Any) -> Dialogue:
        yield asking()
        raise AssertionError("a fault")

    gathered.ask(dialogue)
    assert gathered.told()["error"]["code"] == ErrorCode.INTERNAL_ERROR


def test_one_that_asks_nothing_is_answered_at_once(gathered: Gathered) -> None:
    def dialogue(_: Any) -> Dialogue:
        told = yield []
        return page(told)

    gathered.ask(dialogue)
    assert ids(gathered.told()) == []
