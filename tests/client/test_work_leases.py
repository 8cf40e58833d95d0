"""Workers of a queue and their leases: they are renewed, lost, and settled over a connection that fails."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from client.fake_server import FakeServer, giving, refusing, unanswered
from client.workers import QUEUE, SHORTEST_LEASE_MS, delivery_of, end_timers, patient, queue_counts
from drivers.both_clients import LIMIT_S, Driver, quick
from local_server import LocalServer
from timer_client import AsyncTimerClient, LeaseLost, LimitReached, ServerUnreachable, TimerClient
from timer_protocol.errors import ErrorCode

Connect = Callable[..., Driver]


def test_acknowledgements_of_the_same_time_travel_together(fake: FakeServer) -> None:
    async def test() -> None:
        settings = quick(fake.commands)
        async with AsyncTimerClient(settings=settings) as client, client.work("q", concurrency=3) as deliveries:
            held = [await anext(deliveries) for _ in range(3)]
            await asyncio.gather(*(delivery.ack() for delivery in held))

    fake.faults += [giving(QUEUE), giving({"deliveries": [delivery_of(number) for number in range(3)]})]
    fake.faults.append(giving({"done": ["0", "1", "2"], "lost": []}))
    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    *_, (acked,) = (fake.next_message() for _ in range(3))
    assert (acked["method"], acked["params"]["receipts"]) == ("queue.ack", ["0", "1", "2"])


def test_leases_are_renewed_while_handlers_work(server: LocalServer, rest: TimerClient) -> None:
    """The shortest lease is a second. A client that may not see how long it is renews at once."""

    async def work_slowly() -> None:
        async with (
            AsyncTimerClient(settings=patient(server)) as client,
            client.work("q", "job/") as deliveries,
            await anext(deliveries) as delivery,
        ):
            handled.append(delivery.id)
            both.wait(LIMIT_S)
            await asyncio.sleep(1.2)

    handled: list[str] = []
    both = threading.Barrier(2)
    rest.put_queue("q", "job/", lease_ms=SHORTEST_LEASE_MS)
    task = threading.Thread(target=asyncio.run, args=(work_slowly(),))
    task.start()
    with rest.work("q") as work:
        end_timers(rest, "job/1", "job/2")
        with next(work) as delivery:
            handled.append(delivery.id)
            both.wait(LIMIT_S)
            task.join(LIMIT_S)
    assert sorted(handled) == ["job/1", "job/2"]
    assert queue_counts(rest) == (0, 0, 0, 0)


def test_a_lease_that_is_lost_ends_the_work_on_it(
    server: LocalServer,
    rest: TimerClient,
) -> None:
    async def lose_it() -> None:
        async with AsyncTimerClient(settings=patient(server)) as client, client.work("q") as deliveries:
            delivery = await anext(deliveries)
            _take_away(rest, delivery.receipt)
            with pytest.raises(LeaseLost, match="the lease of a from queue 'q' is over") as caught:
                async with delivery:
                    await asyncio.sleep(LIMIT_S)
            assert (caught.value.timer_id, caught.value.receipt) == ("a", delivery.receipt)
            assert not asyncio.current_task().cancelling()
            with pytest.raises(LeaseLost):
                await delivery.ack()

    rest.put_queue("q", "", lease_ms=SHORTEST_LEASE_MS)
    end_timers(rest, "a")
    asyncio.run(asyncio.wait_for(lose_it(), LIMIT_S))


def _take_away(rest: TimerClient, receipt: str) -> None:
    """Has somebody else lease the end of a receipt."""
    assert rest.nack("q", [receipt], "return").done == [receipt]
    assert len(rest.take("q", 100)) == 1


def test_to_settle_what_is_lost_says_so(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(patient(server)).work("q", "") as work:
        for number, settle in enumerate((lambda delivery: delivery.ack(), _leave)):
            end_timers(rest, f"a{number}")
            delivery = next(work)
            _take_away(rest, delivery.receipt)
            with pytest.raises(LeaseLost):
                settle(delivery)


def _leave(delivery: Any) -> None:
    with delivery:
        pass


def test_a_repeated_answer_loses_nothing(fake: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may have done the first and forgotten it since."""
    monkeypatch.setattr("timer_client.holding.TAKE_WAIT_MS", 50)
    fake.faults += [giving(QUEUE), unanswered, giving({"deliveries": [delivery_of(1)]})]
    fake.faults += [unanswered, giving({"done": [], "lost": ["1"]})]
    with connect(quick(fake.commands)).work("q") as work:
        next(work).ack()
    _, first, again, acked, acked_again = (fake.next_message()[0]["params"] for _ in range(5))
    assert first == again
    assert acked == acked_again


def test_an_ack_that_is_tried_again_later_loses_nothing(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [giving(QUEUE), giving({"deliveries": [delivery_of(1)]}), unanswered]
    with connect(quick(fake.commands, retry_deadline_s=0)).work("q") as work:
        delivery = next(work)
        with pytest.raises(ServerUnreachable):
            delivery.ack()
        fake.faults.append(giving({"done": [], "lost": ["1"]}))
        delivery.ack()


def test_a_server_that_has_no_place_is_asked_again(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [giving(QUEUE), refusing(ErrorCode.LIMIT_REACHED, limit="parked_requests", later=True)]
    fake.faults += [giving({"deliveries": [delivery_of(1)]}), giving({"done": ["1"], "lost": []})]
    fake.faults += [refusing(ErrorCode.LIMIT_REACHED, limit="parked_requests")] * 2
    with connect(quick(fake.commands)).work("q") as work:
        next(work).ack()
        with pytest.raises(LimitReached):
            next(work)
