"""How much a turn takes in: enough to share a commit, and so little that clients and server work side by side."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from drivers.builders import LOG_ID, NS_PER_MS
from drivers.desk import batch, request
from loop.hall import Hall
from timer_server.loop.turn import CHORE_BUDGET, END_NS, RECEIVE_ENOUGH, RECEIVE_NS
from timer_server.store.log import Log, Page
from timer_server.wire.intake import Intake

ASK = b'{"jsonrpc":"2.0","id":1,"method":"server.info"}'
MANY = 10 * RECEIVE_ENOUGH


@pytest.fixture
def hall() -> Iterator[Hall]:
    with closing(Hall()) as hall:
        hall.slow.commit_ns = 0
        hall.wire.requests = [ASK] * MANY
        yield hall


def taken_in(hall: Hall) -> int:
    """By one turn."""
    before = len(hall.wire.requests)
    hall.turn(hall.wire.socket)
    return before - len(hall.wire.requests)


def test_it_stops_at_enough_messages(hall: Hall) -> None:
    assert [taken_in(hall) for _ in range(11)] == [RECEIVE_ENOUGH] * 10 + [0]
    assert len(hall.wire.replied_ns) == MANY


def test_where_commits_take_long_it_takes_in_for_longer(hall: Hall) -> None:
    hall.slow.commit_ns = 10 * NS_PER_MS
    hall.begin("another", 60)

    assert taken_in(hall) == MANY


def test_it_takes_in_all_there_is_until_the_queue_was_seen_empty_once_a_beat(hall: Hall) -> None:
    """Otherwise a loop that keeps up would look like one that is flooded (see `intake`)."""
    hall.machine.ns += 1_100 * NS_PER_MS
    hall.turn()  # which beats

    assert taken_in(hall) == MANY

    hall.wire.requests = [ASK] * MANY
    assert taken_in(hall) == RECEIVE_ENOUGH


def test_connections_are_cut_once_what_came_in_with_them_is_durable(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits may hold a part of a reply that the same turn makes durable."""
    monkeypatch.setattr(Intake, "is_too_much", lambda *_: True)
    hall.slow.commit_ns = NS_PER_MS
    hall.slow.done_ns.clear()
    start, wait = request("timer.start", 1, id="b", hours=1), request("timer.wait", 2, id="b", wait_ms=60_000)
    hall.wire.requests = [batch(start, wait)]
    hall.machine.ns += 1_100 * NS_PER_MS

    hall.turn(hall.wire.socket)

    assert len(hall.wire.cut_ns) == 2
    assert hall.slow.done_ns[0] <= hall.wire.replied_ns[0] <= hall.wire.cut_ns[0]


def test_starts_of_several_clients_share_a_turn_and_are_told_once_they_are_durable(hall: Hall) -> None:
    hall.slow.commit_ns = NS_PER_MS
    hall.slow.done_ns.clear()
    together = range(RECEIVE_ENOUGH - 2)
    asked = [request("timer.start", number, id=f"a/{number}", hours=1) for number in together]
    hall.wire.requests = [ASK, *reversed(asked), ASK]

    hall.turn(hall.wire.socket)

    (done_ns,) = hall.slow.done_ns
    assert len(hall.wire.replied_ns) == RECEIVE_ENOUGH
    assert min(hall.wire.replied_ns) >= done_ns
    assert [event.id for _, event in hall.wire.told] == [f"a/{number}" for number in together]
    told = hall.parts.metrics.requests.by_method_and_error()
    assert {("timer.start", "", len(together)), ("server.info", "", 2)} <= {*told}


def test_it_never_takes_in_for_longer_than_its_time(hall: Hall) -> None:
    hall.slow.commit_ns = 1_000 * NS_PER_MS
    hall.begin("another", 60)
    hall.wire.requests = [ASK] * 100_000
    begun_ns = hall.machine.ns

    taken_in(hall)

    assert len(hall.wire.requests) > 0
    assert hall.machine.ns - begun_ns < RECEIVE_NS + NS_PER_MS


def test_events_are_published_before_pages_of_them_are_read(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited for some reads the log, which takes longer than to publish them."""
    wait = request("events.read", after={LOG_ID: hall.engine.last_seq}, wait_ms=60_000)
    hall.wire.requests = [wait]
    hall.turn(hall.wire.socket)
    assert hall.wire.replied_ns == []
    read = Log.page

    def page(*asked: Any) -> Page:
        hall.machine.ns += NS_PER_MS
        return read(*asked)

    monkeypatch.setattr(Log, "page", page)
    hall.start("b", hall.clock.now_ns())
    hall.turn()

    ((published_ns, event),) = hall.wire.told
    (replied_ns,) = hall.wire.replied_ns
    assert event.id == "b"
    assert replied_ns - published_ns >= NS_PER_MS


def test_connections_that_cannot_be_cut_are_cut_a_second_later(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = iter([True])
    monkeypatch.setattr(Intake, "is_too_much", lambda *_: next(verdicts, False))
    hall.wire.refusals = 1
    hall.machine.ns += 1_100 * NS_PER_MS
    hall.turn()
    assert hall.wire.cut_ns == []

    hall.turn()
    assert hall.wire.cut_ns == []

    hall.machine.ns += 1_100 * NS_PER_MS
    hall.turn()
    assert len(hall.wire.cut_ns) == 2


STEP_NS = NS_PER_MS // 2


@pytest.mark.parametrize(
    ("commit_ns", "turn_ns"), [(0, END_NS), (3 * NS_PER_MS, 3 * NS_PER_MS), (1_000 * NS_PER_MS, RECEIVE_NS)]
)
def test_a_herd_ends_for_as_long_as_a_commit_takes_within_bounds(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, commit_ns: int, turn_ns: int
) -> None:
    expire, steps = hall.engine.expire, 0

    def slowly(now_ns: int, most: int) -> int:
        nonlocal steps
        steps += 1
        hall.machine.ns += STEP_NS
        return expire(now_ns, most)

    for number in range(9 * CHORE_BUDGET):
        hall.start(f"herd/{number}", hall.clock.now_ns(), seconds=1)
    hall.slow.commit_ns = commit_ns
    hall.turn()
    hall.machine.ns += 60_000 * NS_PER_MS
    monkeypatch.setattr(hall.engine, "expire", slowly)
    hall.wire.requests = []
    hall.wire.told.clear()
    hall.turn()

    assert steps == turn_ns // STEP_NS
    assert len(hall.wire.told) == steps * CHORE_BUDGET


def test_a_turn_without_more_to_end_makes_one_step(hall: Hall) -> None:
    hall.machine.ns += 60_000 * NS_PER_MS
    hall.turn()
    assert [event.id for _, event in hall.wire.told] == ["first"]
    told = len(hall.wire.told)
    hall.turn()
    assert len(hall.wire.told) == told
