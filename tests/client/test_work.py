"""Workers of a queue, with both clients: each end is handled, and none is lost between two of them."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from client.command import environment
from client.fake_server import LOG, FakeServer, giving, refusing, timer, unanswered
from drivers.both_clients import LIMIT_S, Driver, quick
from drivers.server_process import ServerProcess
from keys import KeyRing, client
from local_server import LocalServer
from timer_client import (
    AsyncHeldDelivery,
    AsyncTimerClient,
    InvalidArgument,
    LeaseLost,
    LimitReached,
    QueueNotFound,
    ServerUnreachable,
    Settings,
    TimerClient,
)
from timer_client.holding import Holding, log
from timer_protocol.errors import ErrorCode
from timer_protocol.messages import Event
from timer_protocol.queue_messages import Delivery, Queue
from timer_protocol.sender import ALL_RIGHTS

Connect = Callable[..., Driver]

SHORTEST_LEASE_MS = 1000


QUEUE = Queue(
    queue="q",
    version=1,
    prefix="",
    states=("fired",),
    lease_ms=30_000,
    max_deliveries=5,
    backoff_ms=(1000,),
    max_backlog=1,
    max_dead=1,
    max_bytes=1,
    keep_ms=1000,
    ready=0,
    leased=0,
    delayed=0,
    dead=0,
    dropped=0,
    oldest_ready_ms=None,
    filling=False,
)


def _delivery(number: int) -> Delivery:
    """A delivery whose receipt is a number."""
    return Delivery(str(number), 1, 5, 0, Event(LOG, number, "fired", 0, timer(id=f"t{number}", state="fired")))


def _settings(server: LocalServer | ServerProcess) -> Settings:
    return quick(server.commands, server.events, timeout_s=5, retry_deadline_s=20)


@pytest.fixture
def rest(server: LocalServer) -> Any:
    """Everybody else who uses the queue."""
    with TimerClient(settings=_settings(server)) as others:
        yield others


def _end(rest: TimerClient, *ids: str, seconds: float = 0.01) -> None:
    assert rest.start_columns(ids, seconds).started == len(ids)


def _held(rest: TimerClient) -> tuple[int, int, int, int]:
    queue = rest.get_queue("q")
    return queue.ready, queue.leased, queue.delayed, queue.dead


def test_it_makes_the_queue_and_hands_out_each_end(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(_settings(server)).work("q", "job/", lease_ms=5000, max_deliveries=2, backoff_ms=[10]) as work:
        assert (rest.get_queue("q").lease_ms, rest.get_queue("q").max_deliveries) == (5000, 2)
        rest.start(seconds=0.01, id="job/1", payload={"to": "ada"})
        rest.start(seconds=0.03, id="job/2")
        first = next(work)
        assert (first.id, first.payload, first.attempt, first.max_deliveries) == ("job/1", {"to": "ada"}, 1, 2)
        assert first.timer.state == first.event.kind == "fired"
        first.ack()
        first.ack()
        next(work).ack()
        assert _held(rest) == (0, 0, 0, 0)


def test_two_workers_share_the_ends(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    one, other = (connect(_settings(server)).work("q", "job/", concurrency=5) for _ in range(2))
    with one, other:
        _end(rest, *(f"job/{number}" for number in range(10)))
        while rest.get_queue("q").ready < 10:
            pass
        handled = Counter[str]()
        for work in (one, other, one, other):
            for delivery in islice(work, 5 if len(handled) < 10 else 0):
                handled[delivery.id] += 1
                delivery.ack()
        assert handled == Counter(f"job/{number}" for number in range(10))


def test_leaving_its_block_settles_a_delivery(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(_settings(server)).work("q", "", max_deliveries=1) as work:
        _end(rest, "works", "fails")
        with next(work):
            pass
        with pytest.raises(ZeroDivisionError), next(work):
            print(1 / 0)
        (letter,) = rest.dead("q").dead
        assert (letter.attempts, letter.reason) == (1, "ZeroDivisionError: division by zero")
        assert _held(rest) == (0, 0, 0, 1)


def test_an_interrupt_uses_up_no_attempt(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(_settings(server)).work("q", "") as work:
        _end(rest, "a")
        with pytest.raises(KeyboardInterrupt), next(work):
            raise KeyboardInterrupt
        assert next(work).attempt == 1


def test_it_can_be_given_back_or_up(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(_settings(server)).work("q", "") as work:
        _end(rest, "a")
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
        _end(rest, "a", "b")
        next(work)
        next(work).ack()
        assert _held(rest) == (0, 0, 1, 0)
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
        async with AsyncTimerClient(settings=_settings(server)) as client, client.work("q", "") as deliveries:
            _end(rest, "a", "b", "c")
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
    _end(rest, *(f"job/{number}" for number in range(5)))
    while rest.get_queue("q").ready < 5:
        pass
    with connect(_settings(server)).work("q", concurrency=10) as work:
        begun = next(work)
        next(work).ack()
        assert _held(rest) == (0, 4, 0, 0)
    assert _held(rest) == (3, 0, 1, 0)
    assert {delivery.attempt for delivery in rest.take("q", 3)} == {1}
    with pytest.raises(LeaseLost):
        begun.ack()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_worker_gives_back_all_of_it(
    server: LocalServer, rest: TimerClient, connect: Connect, interrupt: type[BaseException]
) -> None:
    rest.put_queue("q", "")
    _end(rest, "a")
    with pytest.raises(interrupt), connect(_settings(server)).work("q") as work:
        raise interrupt(next(work).id)
    assert [delivery.attempt for delivery in rest.take("q")] == [1]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_loop_that_is_left_gives_back(server: LocalServer, rest: TimerClient, is_kept: bool) -> None:
    """Also where the last delivery is still there, as a loop's variable is."""
    rest.put_queue("q", "", backoff_ms=[60_000])
    _end(rest, "a", "b")
    while rest.get_queue("q").ready < 2:
        pass
    for delivery in rest.work("q", concurrency=2):
        kept = delivery if is_kept else None
        break
    while _held(rest) != (1, 0, 1, 0):
        pass
    assert (kept is not None) == is_kept


def test_closing_the_client_gives_back_first(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    rest.put_queue("q", "", backoff_ms=[60_000])
    _end(rest, "a", "b")
    while rest.get_queue("q").ready < 2:
        pass
    client = connect(_settings(server))
    work = client.work("q", concurrency=2)
    next(work)
    client.close()
    assert _held(rest) == (1, 0, 1, 0)


def test_a_worker_that_is_dropped_at_any_instant_makes_no_call_there(server: LocalServer, rest: TimerClient) -> None:
    """A destructor may run within another call of the same client, whose sockets it must not use then."""
    rest.put_queue("q", "")
    _end(rest, "a")
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
    _end(rest, "a")
    work = connect(_settings(server)).work("q")
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
        _end(rest, *map(str, range(8)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert sorted(handled) == sorted(map(str, range(8)))
    assert _held(rest) == (0, 0, 0, 0)


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
            AsyncTimerClient(settings=_settings(server)) as client,
            client.work("q", "", concurrency=8) as deliveries,
            asyncio.TaskGroup() as group,
        ):
            _end(rest, *map(str, range(20)))
            async for delivery in deliveries:
                group.create_task(handle(delivery))
        assert most == 8

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    assert _held(rest) == (0, 0, 0, 0)


def test_acknowledgements_of_the_same_time_travel_together(fake: FakeServer) -> None:
    async def test() -> None:
        settings = quick(fake.commands)
        async with AsyncTimerClient(settings=settings) as client, client.work("q", concurrency=3) as deliveries:
            held = [await anext(deliveries) for _ in range(3)]
            await asyncio.gather(*(delivery.ack() for delivery in held))

    fake.faults += [giving(QUEUE), giving({"deliveries": [_delivery(number) for number in range(3)]})]
    fake.faults.append(giving({"done": ["0", "1", "2"], "lost": []}))
    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    *_, (acked,) = (fake.next_message() for _ in range(3))
    assert (acked["method"], acked["params"]["receipts"]) == ("queue.ack", ["0", "1", "2"])


def test_a_cancelled_worker_withdraws_its_take(server: LocalServer, rest: TimerClient) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=_settings(server)) as client, client.work("q", "") as deliveries:
            waiting = asyncio.ensure_future(anext(deliveries))
            await client.info()  # which is answered after the take has come in
            waiting.cancel()

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
    _end(rest, "a")
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
    _end(rest, "a")
    assert [delivery.attempt for delivery in rest.take("q", wait_ms=2000)] == [1]


def test_leases_are_renewed_while_handlers_work(server: LocalServer, rest: TimerClient) -> None:
    """The shortest lease is a second. A client that may not see how long it is renews at once."""

    async def work_slowly() -> None:
        async with (
            AsyncTimerClient(settings=_settings(server)) as client,
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
        _end(rest, "job/1", "job/2")
        with next(work) as delivery:
            handled.append(delivery.id)
            both.wait(LIMIT_S)
            task.join(LIMIT_S)
    assert sorted(handled) == ["job/1", "job/2"]
    assert _held(rest) == (0, 0, 0, 0)


def test_a_lease_that_is_lost_ends_the_work_on_it(
    server: LocalServer,
    rest: TimerClient,
) -> None:
    async def lose_it() -> None:
        async with AsyncTimerClient(settings=_settings(server)) as client, client.work("q") as deliveries:
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
    _end(rest, "a")
    asyncio.run(asyncio.wait_for(lose_it(), LIMIT_S))


def _take_away(rest: TimerClient, receipt: str) -> None:
    """Has somebody else lease the end of a receipt."""
    assert rest.nack("q", [receipt], "return").done == [receipt]
    assert len(rest.take("q", 100)) == 1


def test_to_settle_what_is_lost_says_so(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with connect(_settings(server)).work("q", "") as work:
        for number, settle in enumerate((lambda delivery: delivery.ack(), _leave)):
            _end(rest, f"a{number}")
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
    fake.faults += [giving(QUEUE), unanswered, giving({"deliveries": [_delivery(1)]})]
    fake.faults += [unanswered, giving({"done": [], "lost": ["1"]})]
    with connect(quick(fake.commands)).work("q") as work:
        next(work).ack()
    _, first, again, acked, acked_again = (fake.next_message()[0]["params"] for _ in range(5))
    assert first == again
    assert acked == acked_again


def test_an_ack_that_is_tried_again_later_loses_nothing(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [giving(QUEUE), giving({"deliveries": [_delivery(1)]}), unanswered]
    with connect(quick(fake.commands, retry_deadline_s=0)).work("q") as work:
        delivery = next(work)
        with pytest.raises(ServerUnreachable):
            delivery.ack()
        fake.faults.append(giving({"done": [], "lost": ["1"]}))
        delivery.ack()


def test_a_server_that_has_no_place_is_asked_again(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [giving(QUEUE), refusing(ErrorCode.LIMIT_REACHED, limit="parked_requests", later=True)]
    fake.faults += [giving({"deliveries": [_delivery(1)]}), giving({"done": ["1"], "lost": []})]
    fake.faults += [refusing(ErrorCode.LIMIT_REACHED, limit="parked_requests")] * 2
    with connect(quick(fake.commands)).work("q") as work:
        next(work).ack()
        with pytest.raises(LimitReached):
            next(work)


def test_a_queue_that_is_there_is_never_changed(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    before = rest.put_queue("q", "job/", lease_ms=5000)
    with connect(_settings(server)).work("q", "job/", lease_ms=9000, max_deliveries=1):
        assert rest.get_queue("q") == before
    with pytest.raises(InvalidArgument, match="queue 'q' reads the ends below 'job/', not below 'mail/': leave"):
        next(connect(_settings(server)).work("q", "mail/"))
    assert rest.get_queue("q") == before


def test_a_queue_that_is_not_there_is_told(server: LocalServer, rest: TimerClient, connect: Connect) -> None:
    with pytest.raises(QueueNotFound, match="queue 'q' is not there"):
        next(connect(_settings(server)).work("q"))
    with connect(_settings(server)).work("q", "", concurrency=2) as work:
        _end(rest, "a")
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
        _end(owner, "job/1")
        with worker.work("q", "job/") as work, next(work) as delivery:
            until_ms = delivery.delivery.leased_until_ms
            assert worker.renew("q", [delivery.receipt]).leased_until_ms >= until_ms
        assert owner.get_queue("q").leased == 0


def test_it_survives_a_restart_of_the_server(server_process: ServerProcess, connect: Connect) -> None:
    with TimerClient(settings=_settings(server_process)) as rest:
        with connect(_settings(server_process)).work("q", "", concurrency=2) as work:
            _end(rest, "before")
            delivery = next(work)
            rest.start(seconds=0.1, id="after")
            server_process.kill()
            restarted = threading.Thread(target=server_process.start)
            restarted.start()
            delivery.ack()
            with next(work) as delivery:
                assert delivery.id == "after"
            restarted.join(LIMIT_S)
        assert _held(rest) == (0, 0, 0, 0)


FORKED = """
import os
from timer_client import TimerClient
client = TimerClient()
work = client.work("q")
delivery = next(work)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    print(client.get_queue("q").leased)
    delivery.ack()
    work.close()
else:
    work.close()
    os._exit(0 if list(work) == [] else 1)
"""


def test_a_fork_does_not_give_back_what_the_parent_holds(
    server: LocalServer, rest: TimerClient, tmp_path: Path
) -> None:
    rest.put_queue("q", "")
    _end(rest, "a")
    assert _printed(FORKED, server, tmp_path) == "1\n"
    assert _held(rest) == (0, 0, 0, 0)


LEFT_OPEN = """
import threading
from timer_client import TimerClient
client = TimerClient()
work = client.work("q", concurrency=2)
held = next(work)
def handle():
    for delivery in client.work("q"):
        pass
threading.Thread(target=handle, daemon=True).start()
print(held.id)
"""


def test_a_worker_that_is_left_open_does_not_hold_up_the_end_of_the_process(
    server: LocalServer, rest: TimerClient, tmp_path: Path
) -> None:
    rest.put_queue("q", "")
    _end(rest, "a")
    assert _printed(LEFT_OPEN, server, tmp_path) == "a\n"


def _printed(program: str, server: LocalServer, folder: Path) -> str:
    """What a program prints that ends well and complains of nothing but that it forks with threads."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        check=False,
        env=environment(server),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout
