"""Following events: over reconnects, restarts and silence, with both clients."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from client.fake_server import LOG, FakeServer, answered, page_of, timer, unanswered
from drivers.both_clients import LIMIT_S, Driver, quick
from drivers.server_process import ServerProcess
from fake_time import FakeTime
from local_server import LocalServer
from timer_client import (
    AsyncTimerClient,
    ClientClosed,
    Cursor,
    Event,
    EventsTruncated,
    ServerUnreachable,
    Settings,
    TimerClient,
    TimerSpec,
)
from timer_protocol.limits import Limits

Connect = Callable[..., Driver]


def _settings(server: LocalServer | ServerProcess) -> Settings:
    return quick(server.commands, server.events, timeout_s=2)


def _take(events: Iterator[Event], count: int) -> list[tuple[str, str]]:
    return [(event.timer.id, event.kind) for event in itertools.islice(events, count)]


def test_what_was_before_is_read_and_what_follows_is_heard(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    client.start(60, id="a")
    events = client.events(after="start")
    assert _take(events, 1) == [("a", "started")]
    client.pause("a")
    client.cancel("a")
    assert _take(events, 2) == [("a", "paused"), ("a", "cancelled")]


def test_from_now_on_is_the_default(server: LocalServer, connect: Connect) -> None:
    client, other = connect(_settings(server)), connect(_settings(server))
    client.start(60, id="before")
    events = client.events()
    other.start(60, id="trigger", seconds=0.05)
    other.wait("trigger", 0)
    first = _first_after(events, lambda number: other.start(60, id=f"after{number}"))
    assert first.timer.id.startswith("after")


def _first_after(events: Iterator[Event], act: Callable[[int], object]) -> Event:
    """The first event of an iteration that begins while things happen."""
    done = threading.Event()

    def keep_acting() -> None:
        for number in itertools.count():
            act(number)
            if done.wait(0.02):
                return

    acting = threading.Thread(target=keep_acting)
    acting.start()
    try:
        return next(events)
    finally:
        done.set()
        acting.join(LIMIT_S)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("order/", [("order/4", "started"), ("order/42", "started"), ("order/42", "cancelled")]),
        ("order/42 ", [("order/42", "started"), ("order/42", "cancelled")]),
        ("order/42 cancelled", [("order/42", "cancelled")]),
    ],
)
def test_a_prefix_selects(server: LocalServer, connect: Connect, prefix: str, expected: list[tuple[str, str]]) -> None:
    client = connect(_settings(server))
    for name in ("tea", "order/4", "order/42"):
        client.start(60, id=name)
    client.cancel("order/42")
    assert _take(client.events(prefix, "start"), len(expected)) == expected


def test_many_events_are_read_page_by_page(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    client.start_many(TimerSpec(id=f"t{number}", hours=1) for number in range(2500))
    assert [event.seq for event in itertools.islice(client.events(after="start"), 2500)] == list(range(1, 2501))


def test_nothing_is_missed_or_repeated_over_a_crash(server_process: ServerProcess, connect: Connect) -> None:
    client, other = connect(_settings(server_process)), connect(_settings(server_process))
    events = client.events(after="start")
    seen: list[int] = []
    for number in range(3):
        for name in ("a", "b", "c"):
            other.start(60, id=f"{name}{number}")
        seen += [event.seq for event in itertools.islice(events, 2)]
        server_process.kill()
        server_process.start()
        other.start(60, id=f"d{number}")
        seen += [event.seq for event in itertools.islice(events, 2)]
    assert seen == list(range(1, 13))


def test_an_iteration_can_be_resumed_by_its_cursor(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    for number in range(6):
        client.start(60, id=f"t{number}")
    seen: list[int] = []
    cursor = Cursor()
    for count in (1, 2, 3):
        events = client.events(after=str(cursor))
        seen += [event.seq for event in itertools.islice(events, count)]
        cursor = events.cursor
    assert seen == [1, 2, 3, 4, 5, 6]
    assert cursor == client.info().cursor


def test_a_log_that_is_another_one_is_told(connect: Connect) -> None:
    with LocalServer() as server:
        client = connect(_settings(server))
        client.start(60, id="a")
        with pytest.raises(EventsTruncated) as caught:
            next(client.events(after="another:99"))
        assert (caught.value.asked_after, caught.value.resume_after) == (Cursor({"another": 99}), client.info().cursor)


def test_what_retention_left_comes_first_and_the_rest_follows(connect: Connect) -> None:
    with LocalServer(limits=Limits(retention_s=1)) as server:
        client = connect(_settings(server))
        client.start(60, id="kept")
        client.cancel(client.start(60, id="forgotten"))
        seen, truncated = _until_truncated(client)
        assert seen[0] == ("kept", "started")
        client.start(60, id="later")
        assert _take(client.events(after=truncated.resume_after), 1) == [("later", "started")]


def _until_truncated(client: Driver) -> tuple[list[tuple[str, str]], EventsTruncated]:
    """Reads anew until retention, which counts from the cancelling, has removed what there is to remove."""
    _until(lambda: client.read_events("start").truncated)
    seen: list[tuple[str, str]] = []
    with pytest.raises(EventsTruncated) as truncated:
        seen.extend((event.timer.id, event.kind) for event in client.events(after="start"))
    return seen, truncated.value


def test_a_watcher_of_a_quiet_prefix_that_comes_back_within_retention_has_lost_nothing(connect: Connect) -> None:
    """Its cursor moves with what others do: their events go, and none of its own was among them."""
    clocks = FakeTime()
    limits = Limits(retention_s=100)
    with LocalServer(sources=clocks.sources(), limits=limits) as server:
        client, watching = connect(_settings(server)), TimerClient(settings=_settings(server))
        quiet = watching.events("quiet/")
        with ThreadPoolExecutor(1) as threads, closing(watching):
            nothing = threads.submit(next, quiet)
            _until(lambda: quiet.cursor is not None)
            client.cancel(client.start(60, id="busy/1"))
            _until(lambda: quiet.cursor == client.info().cursor)  # the beat comes once a second
            watching.close()
            assert isinstance(nothing.exception(LIMIT_S), ClientClosed)
        clocks.pass_s(101)
        _until(lambda: not client.list("busy/").timers)
        assert client.read_events("start").truncated

        client.start(60, id="quiet/1")

        assert _take(client.events("quiet/", after=quiet.cursor), 1) == [("quiet/1", "started")]


def _until(condition: Callable[[], bool]) -> None:
    """Asks again and again."""
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)  # it is asked for a second at a time, and may take the processor from what it waits for


def test_a_silent_events_socket_is_replaced(
    fake: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No beat comes: after each silence the log is read, so events arrive all the same."""
    monkeypatch.setattr("timer_client.vigil.SILENCE_S", 0.05)
    client = connect(quick(fake.commands, fake.events))
    reads = 0

    def count_reads(body: bytes) -> bytes | None:
        nonlocal reads
        reads += b"events.read" in body
        if reads < 5:
            return answered(body)
        event = {"log": LOG, "seq": 8, "kind": "fired", "at_ms": 0, "timer": timer()}
        return page_of(body, [event], {LOG: 8})

    fake.faults += [count_reads] * 9
    assert next(client.events(after={LOG: 7})).seq == 8


def test_a_page_with_more_is_followed_at_once_and_empty_ones_move_the_cursor(
    fake: FakeServer, connect: Connect
) -> None:
    client = connect(quick(fake.commands, fake.events))
    event = {"log": "b", "seq": 3, "kind": "fired", "at_ms": 0, "timer": timer()}
    fake.faults += [
        answered,
        lambda body: page_of(body, [], {LOG: 4, "b": 0}, more=True),
        lambda body: page_of(body, [], {LOG: 4, "b": 2}, more=True),
        lambda body: page_of(body, [event, {**event, "seq": 4}], {LOG: 9, "b": 5}, truncated=True),
    ]
    events = client.events()
    assert events.cursor is None
    assert [next(events).seq, str(events.cursor)] == [3, f"b:3,{LOG}:4"]
    assert [next(events).seq, str(events.cursor)] == [4, f"b:4,{LOG}:4"]
    with pytest.raises(EventsTruncated) as caught:
        next(events)
    assert caught.value.resume_after == events.cursor == Cursor({"b": 5, LOG: 9})
    assert [request["params"].get("after") for _ in range(4) for request in fake.next_message()] == [
        None,
        {LOG: 0},
        {LOG: 4, "b": 0},
        {LOG: 4, "b": 2},
    ]
    assert list(events) == []


def test_a_number_is_refused_before_anything_is_asked(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands, fake.events))
    for wrong in (0, None):
        with pytest.raises(TypeError, match="says nothing of the log"):
            client.events(after=wrong)
    with pytest.raises(ValueError, match="info"):
        client.read_events("now")


def test_an_iteration_that_is_left_closes_its_socket(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    client.start(60, id="a")
    for _ in range(50):
        assert len(list(itertools.islice(client.events(after="start"), 1))) == 1
    assert not client._client._transport._subscriptions


@pytest.mark.alone
def test_closing_ends_an_iteration_in_another_thread(server: LocalServer) -> None:
    client = TimerClient(settings=_settings(server))
    client.start(60, id="a")
    events = client.events(after="start")
    assert next(events).timer.id == "a"
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(next, events)
        started_s = time.monotonic()
        client.close()
        assert time.monotonic() - started_s < 1.5
        with pytest.raises(ClientClosed):
            following.result(LIMIT_S)


def test_closing_ends_an_iteration_in_another_task(server: LocalServer) -> None:
    async def test() -> None:
        client = AsyncTimerClient(settings=_settings(server))
        await client.start(60, id="a")
        events = client.events(after="start")
        assert (await anext(events)).timer.id == "a"
        following = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(following, LIMIT_S)

    asyncio.run(test())


def test_a_server_out_of_reach_for_too_long_ends_the_iteration(connect: Connect) -> None:
    with FakeServer() as fake:
        fake.faults += [unanswered] * 100
        client = connect(quick(fake.commands, fake.events, timeout_s=0.1, retry_deadline_s=0.3))
        with pytest.raises(ServerUnreachable):
            next(client.events())
