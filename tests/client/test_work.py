"""Workers of a queue, with both clients: each end is handled, and none is lost between two of them."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from client.workers import end_timers, patient, queue_counts
from drivers.both_clients import LIMIT_S, Driver
from keys import KeyRing, client
from local_server import LocalServer
from timer_client import AsyncHeldDelivery, AsyncTimerClient, InvalidArgument, LeaseLost, QueueNotFound, TimerClient
from timer_client.holding import Holding, log
from timer_protocol.sender import ALL_RIGHTS

Connect = Callable[..., Driver]


def test_it_makes_the_queue_and_hands_out_each_end(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(patient(server)).work("q", "job/", lease_ms=5000, max_deliveries=2, backoff_ms=[10]) as work:
        assert (rest.get_queue("q").lease_ms, rest.get_queue("q").max_deliveries) == (5000, 2)
        rest.start(seconds=0.01, id="job/1", payload={"to": "ada"})
        rest.start(seconds=0.03, id="job/2")
        first = next(work)
        assert (first.id, first.payload, first.attempt, first.max_deliveries) == ("job/1", {"to": "ada"}, 1, 2)
        assert first.timer.state == first.event.kind == "fired"
        first.ack()
        first.ack()
        next(work).ack()
        assert queue_counts(rest) == (0, 0, 0, 0)


def test_two_workers_share_the_ends(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    one, other = (connect(patient(server)).work("q", "job/", concurrency=5) for _ in range(2))
    with one, other:
        end_timers(rest, *(f"job/{number}" for number in range(10)))
        while rest.get_queue("q").ready < 10:
            pass
        handled = Counter[str]()
        for work in (one, other, one, other):
            for delivery in islice(work, 5 if len(handled) < 10 else 0):
                handled[delivery.id] += 1
                delivery.ack()
        assert handled == Counter(f"job/{number}" for number in range(10))


def test_leaving_its_block_settles_a_delivery(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(patient(server)).work("q", "", max_deliveries=1) as work:
        end_timers(rest, "works", "fails")
        with next(work):
            pass
        with pytest.raises(ZeroDivisionError), next(work):
            print(1 / 0)
        (letter,) = rest.dead("q").dead
        assert (letter.attempts, letter.reason) == (1, "ZeroDivisionError: division by zero")
        assert queue_counts(rest) == (0, 0, 0, 1)


def test_an_interrupt_uses_up_no_attempt(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(patient(server)).work("q", "") as work:
        end_timers(rest, "a")
        with pytest.raises(KeyboardInterrupt), next(work):
            raise KeyboardInterrupt
        assert next(work).attempt == 1


def test_it_can_be_given_back_or_up(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(patient(server)).work("q", "") as work:
        end_timers(rest, "a")
        for attempt, then in ((1, "return"), (1, "retry"), (2, "dead")):
            taken = next(work)
            assert taken.attempt == attempt
            taken.nack("why", then=then, delay_ms=0 if then == "retry" else None)
            taken.ack()  # it is settled already
    (letter,) = rest.dead("q").dead
    assert (letter.attempts, letter.reason) == (2, "why")


def test_a_loop_that_leaves_its_only_delivery_unsettled_gives_it_back(
    server: LocalServer, rest: TimerClient, caplog: pytest.LogCaptureFixture
) -> None:
    with rest.work("q", "", backoff_ms=[60_000]) as work:
        end_timers(rest, "a", "b")
        next(work)
        next(work).ack()
        assert queue_counts(rest) == (0, 0, 1, 0)
    assert "a was left without an ack or a nack" in caplog.text


def test_where_tasks_settle_the_loop_waits_for_them(
    server: LocalServer, rest: TimerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is no room for long is told, unless a block is going to settle what is held."""
    monkeypatch.setattr("timer_client.async_work.STUCK_S", 0.01)

    async def test() -> None:
        told = asyncio.Event()
        sentences: list[str] = []
        monkeypatch.setattr(log, "warning", lambda text, *values: (sentences.append(text % values), told.set()))
        async with AsyncTimerClient(settings=patient(server)) as client, client.work("q", "") as deliveries:
            end_timers(rest, "a", "b", "c")
            first = await anext(deliveries)
            following = asyncio.ensure_future(anext(deliveries))
            await told.wait()
            await first.ack()
            async with await following as second:
                assert second.attempt == 1
                last = asyncio.ensure_future(anext(deliveries))
                await asyncio.wait((last,), timeout=0.05)
            await (await last).ack()
        assert sentences == ["queue q: 1 delivery is out for long; each needs its ack or nack before the next"]

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))


def test_closing_gives_back_what_nobody_has_begun(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    rest.put_queue("q", "", max_deliveries=3, backoff_ms=[60_000])
    end_timers(rest, *(f"job/{number}" for number in range(5)))
    while rest.get_queue("q").ready < 5:
        pass
    with connect(patient(server)).work("q", concurrency=10) as work:
        begun = next(work)
        next(work).ack()
        assert queue_counts(rest) == (0, 4, 0, 0)
    assert queue_counts(rest) == (3, 0, 1, 0)
    assert {delivery.attempt for delivery in rest.take("q", 3)} == {1}
    with pytest.raises(LeaseLost):
        begun.ack()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_worker_gives_back_all_of_it(
    server: LocalServer, rest: TimerClient, connect: Connect, interrupt: type[BaseException]
) -> None:
    rest.put_queue("q", "")
    end_timers(rest, "a")
    with pytest.raises(interrupt), connect(patient(server)).work("q") as work:
        raise interrupt(next(work).id)
    assert [delivery.attempt for delivery in rest.take("q")] == [1]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_loop_that_is_left_gives_back(server: LocalServer, rest: TimerClient, is_kept: bool) -> None:
    """Also where the last delivery is still there, as a loop's variable is."""
    rest.put_queue("q", "", backoff_ms=[60_000])
    end_timers(rest, "a", "b")
    while rest.get_queue("q").ready < 2:
        pass
    for delivery in rest.work("q", concurrency=2):
        kept = delivery if is_kept else None
        break
    while queue_counts(rest) != (1, 0, 1, 0):
        pass
    assert (kept is not None) == is_kept


def test_closing_the_client_gives_back_first(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    rest.put_queue("q", "", backoff_ms=[60_000])
    end_timers(rest, "a", "b")
    while rest.get_queue("q").ready < 2:
        pass
    client = connect(patient(server))
    work = client.work("q", concurrency=2)
    next(work)
    client.close()
    assert queue_counts(rest) == (1, 0, 1, 0)


def test_a_worker_that_is_dropped_at_any_instant_makes_no_call_there(server: LocalServer, rest: TimerClient) -> None:
    """A destructor may run within another call of the same client, whose sockets it must not use then."""
    rest.put_queue("q", "")
    end_timers(rest, "a")
    work = rest.work("q")
    next(work)
    calls: list[int] = []
    tried = work.desk._carrier.tried
    carrier = replace(work.desk._carrier, tried=lambda *call: (calls.append(threading.get_ident()), tried(*call))[1])
    work.desk._carrier = carrier
    del work
    while rest.get_queue("q").leased:
        pass
    assert threading.get_ident() not in calls != []


def test_it_ends_when_it_is_told_to(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    rest.put_queue("q", "")
    end_timers(rest, "a")
    work = connect(patient(server)).work("q")
    for delivery in work:
        delivery.ack()
        work.stop()
    assert list(work) == []


def test_threads_may_share_one(server: LocalServer, rest: TimerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is stopped, each finishes what it is about."""
    monkeypatch.setattr("timer_client.holding.TAKE_WAIT_MS", 50)
    work = rest.work("q", "", concurrency=4)
    handled: list[str] = []
    all_at_once, last = threading.Barrier(4), threading.Event()

    def handle() -> None:
        for delivery in work:
            with delivery:
                place = all_at_once.wait(LIMIT_S)
                if delivery.id >= "4":
                    work.stop()
                    assert place or last.wait(LIMIT_S)
                handled.append(delivery.id)
        last.set()

    threads = [threading.Thread(target=handle) for _ in range(4)]
    with work:
        end_timers(rest, *map(str, range(8)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert sorted(handled) == sorted(map(str, range(8)))
    assert queue_counts(rest) == (0, 0, 0, 0)


def test_tasks_handle_several_at_once(server: LocalServer, rest: TimerClient) -> None:
    async def test() -> None:
        handling: set[str] = set()
        handled: list[str] = []
        most = 0

        async def handle(delivery: AsyncHeldDelivery) -> None:
            nonlocal most
            async with delivery:
                handling.add(delivery.id)
                most = max(most, len(handling))
                await asyncio.sleep(0.02)
                handling.remove(delivery.id)
            handled.append(delivery.id)
            if len(handled) == 20:
                deliveries.stop()

        async with (
            AsyncTimerClient(settings=patient(server)) as client,
            client.work("q", "", concurrency=8) as deliveries,
            asyncio.TaskGroup() as group,
        ):
            end_timers(rest, *map(str, range(20)))
            async for delivery in deliveries:
                group.create_task(handle(delivery))
        assert most == 8

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    assert queue_counts(rest) == (0, 0, 0, 0)


def test_a_cancelled_worker_withdraws_its_take(server: LocalServer, rest: TimerClient) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=patient(server)) as client, client.work("q", "") as deliveries:
            waiting = asyncio.ensure_future(anext(deliveries))
            await client.info()  # which is answered after the take has come in
            waiting.cancel()

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    end_timers(rest, "a")
    assert [delivery.attempt for delivery in rest.take("q", wait_ms=2000)] == [1]


def test_an_interrupted_loop_withdraws_its_take(
    server: LocalServer, rest: TimerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its client is closed, whoever still holds it: a traceback does."""
    monkeypatch.setattr("timer_client.holding.TAKE_WAIT_MS", 1000)
    asked = threading.Event()
    monkeypatch.setattr(Holding, "take", lambda holding, take=Holding.take: (take(holding), asked.set())[0])

    def interrupt() -> None:
        asked.wait(LIMIT_S)
        rest.info()  # which is answered after the take has come in
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.get_ident()
    work = rest.work("q", "")
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        next(work)
    interrupting.join(LIMIT_S)
    end_timers(rest, "a")
    assert [delivery.attempt for delivery in rest.take("q", wait_ms=2000)] == [1]


def test_the_key_of_each_take_is_told_before_it_is_made(
    server: LocalServer, rest: TimerClient, connect: Connect
) -> None:
    """So that what a worker that was killed has got can be given back at once."""
    keys: list[str] = []
    with connect(patient(server)).work("q", "", lease_ms=60_000) as work:
        work.on_take(keys.append)
        end_timers(rest, "a", "b")
        next(work).ack()
        killed = next(work)
        assert len(set(keys)) == len(keys) == 2
        assert [delivery.receipt for delivery in rest.take("q", key=keys[-1])] == [killed.receipt]
        rest.nack("q", [killed.receipt], then="return")
        assert [(delivery.event.timer.id, delivery.attempt) for delivery in rest.take("q")] == [("b", 1)]


def test_a_queue_that_is_there_is_never_changed(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    before = rest.put_queue("q", "job/", lease_ms=5000)
    with connect(patient(server)).work("q", "job/", lease_ms=9000, max_deliveries=1):
        assert rest.get_queue("q") == before
    with pytest.raises(InvalidArgument, match="queue 'q' reads the ends below 'job/', not below 'mail/': leave"):
        next(connect(patient(server)).work("q", "mail/"))
    assert rest.get_queue("q") == before


def test_a_queue_that_is_not_there_is_told(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with pytest.raises(QueueNotFound, match="queue 'q' is not there"):
        next(connect(patient(server)).work("q"))
    with connect(patient(server)).work("q", "", concurrency=2) as work:
        end_timers(rest, "a")
        delivery = next(work)
        rest.delete_queue("q")
        with pytest.raises(QueueNotFound):
            delivery.ack()
        with pytest.raises(QueueNotFound):
            next(work)


def test_a_worker_may_have_no_more_than_the_right_to_take(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    ring.add("owner", rights=ALL_RIGHTS)
    ring.add("worker", "job/", rights=frozenset({"take"}))
    with (
        LocalServer(curve=ring.files) as locked,
        client(locked, ring, "owner") as owner,
        client(locked, ring, "worker") as worker,
    ):
        with pytest.raises(QueueNotFound):
            next(worker.work("q", "job/"))
        owner.put_queue("q", "job/")
        end_timers(owner, "job/1")
        with worker.work("q", "job/") as work, next(work) as delivery:
            until_ms = delivery.delivery.leased_until_ms
            assert worker.renew("q", [delivery.receipt]).leased_until_ms >= until_ms
        assert owner.get_queue("q").leased == 0
