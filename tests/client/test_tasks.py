"""The asynchronous client's tasks: what travels together, what is cancelled, what is closed."""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from client.fake_server import FakeServer, refusing_some, unanswered
from drivers.both_clients import LIMIT_S, Driver, quick
from timer_client import (
    AsyncTimerClient,
    ClientClosed,
    TimerError,
)
from timer_protocol.errors import ErrorCode

Connect = Callable[..., Driver]

NOWHERE = "tcp://127.0.0.1:1"


def _run(test: Any) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test, LIMIT_S)

    asyncio.run(limited())


def test_concurrent_calls_travel_in_one_message(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            info, *timers = await asyncio.gather(client.info(), *(client.get(f"t{number}") for number in range(20)))
            assert info.protocol == "timer/1"
            assert [timer.id for timer in timers] == [f"t{number}" for number in range(20)]

    _run(test())
    assert len(fake.next_message()) == 21
    assert len(fake.peers) == 1


def test_an_error_of_one_call_is_not_that_of_the_others(fake: FakeServer) -> None:
    async def test() -> None:
        fake.faults.append(refusing_some({1}, ErrorCode.ID_CONFLICT))
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            outcomes = await asyncio.gather(*(client.get(name) for name in "abc"), return_exceptions=True)
            assert [type(outcome).__name__ for outcome in outcomes] == ["Timer", "IdConflict", "Timer"]

    _run(test())


def test_a_call_that_waits_travels_alone(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            await asyncio.gather(client.get("a"), client.wait("b", 5), client.get("c"))

    _run(test())
    assert sorted(len(fake.next_message()) for _ in range(2)) == [1, 2]


def test_a_cancelled_call_leaves_the_others_alone(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            fake.faults.append(unanswered)
            first, second = (asyncio.create_task(client.get(name)) for name in "ab")
            await asyncio.to_thread(fake.next_message)
            first.cancel()
            assert (await second).id == "b"
            with pytest.raises(asyncio.CancelledError):
                await first

    _run(test())


def test_once_all_calls_of_a_message_are_cancelled_nothing_of_them_is_under_way(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            fake.faults.append(unanswered)
            before = asyncio.all_tasks()
            asking = [asyncio.create_task(client.get(name)) for name in "ab"]
            await asyncio.to_thread(fake.next_message)
            for one in asking:
                one.cancel()
            under_way = asyncio.all_tasks() - before
            assert under_way > set(asking)
            await asyncio.wait(under_way, timeout=LIMIT_S)
            assert all(task.cancelled() for task in under_way)

    _run(test())


def test_closing_right_after_a_cancelled_call_is_no_fault(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            fake.faults.append(unanswered)
            asking = asyncio.create_task(client.get("a"))
            await asyncio.to_thread(fake.next_message)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    _run(test())


def test_closing_before_a_cancelled_call_has_ended_leaves_no_failure_that_nobody_looks_at(fake: FakeServer) -> None:
    unseen: list[dict[str, Any]] = []

    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            fake.faults += [unanswered] * 2
            for call in (client.get("a"), client.wait("b")):
                asking = asyncio.create_task(call)
                await asyncio.to_thread(fake.next_message)
                asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    _run(test())
    gc.collect()
    assert not unseen


def test_a_client_may_be_closed_after_its_event_loop_has_stopped(fake: FakeServer) -> None:
    async def begin() -> None:
        fake.faults.append(unanswered)
        asking.append(asyncio.create_task(client.get("a")))
        await asyncio.to_thread(fake.next_message)

    asking: list[asyncio.Task[Any]] = []
    stopped = asyncio.new_event_loop()
    try:
        client = AsyncTimerClient(settings=quick(fake.commands))
        stopped.run_until_complete(begin())

        _run(client.close())

        with pytest.raises(ClientClosed):
            stopped.run_until_complete(asking[0])
    finally:
        stopped.run_until_complete(stopped.shutdown_default_executor())
        stopped.close()


def test_a_cancelled_wait_leaves_the_connection_alone(fake: FakeServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            fake.faults.append(unanswered)
            waiting = asyncio.create_task(client.wait("a"))
            await asyncio.to_thread(fake.next_message)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await client.get("b")).id == "b"
            assert len(set(fake.peers)) == 1

    _run(test())


@pytest.mark.alone
def test_closing_ends_the_calls_of_other_tasks(fake: FakeServer) -> None:
    async def test() -> None:
        fake.faults += [unanswered] * 100
        client = AsyncTimerClient(settings=quick(fake.commands, timeout_s=60))
        getting, waiting = asyncio.create_task(client.get("a")), asyncio.create_task(client.wait("b"))
        for _ in range(2):
            await asyncio.to_thread(fake.next_message)
        started_s = time.monotonic()
        await client.close()
        assert time.monotonic() - started_s < 1
        for task in (getting, waiting):
            with pytest.raises(ClientClosed):
                await task
        with pytest.raises(ClientClosed):
            await client.get("a")

    _run(test())


@pytest.mark.alone
def test_closing_ends_pauses_between_tries() -> None:
    async def test() -> None:
        paused = asyncio.Event()
        settings = quick(NOWHERE, retry_min_s=60, retry_max_s=60, retry_deadline_s=600)
        client = AsyncTimerClient(settings=settings, on_pause=lambda _: paused.set())
        getting = asyncio.create_task(client.get("a"))
        await paused.wait()
        started_s = time.monotonic()
        await client.close()
        assert time.monotonic() - started_s < 1
        with pytest.raises(ClientClosed):
            await getting

    _run(test())


def test_more_calls_than_may_be_in_flight_wait_their_turn(fake: FakeServer) -> None:
    async def test() -> None:
        fake.faults += [unanswered] * 3
        async with AsyncTimerClient(settings=quick(fake.commands)) as client:
            timers = await asyncio.gather(*(client.get(f"t{number}") for number in range(3000)))
            assert [timer.id for timer in timers] == [f"t{number}" for number in range(3000)]

    _run(test())


def test_a_client_belongs_to_one_event_loop(fake: FakeServer) -> None:
    client = AsyncTimerClient(settings=quick(fake.commands))
    with asyncio.Runner() as one, asyncio.Runner() as other:
        one.run(client.info())
        with pytest.raises(TimerError, match="belongs to the event loop of its first call"):
            other.run(client.info())
        one.run(client.close())
