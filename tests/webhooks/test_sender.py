"""A sender on a real server: what is delivered is acknowledged, what fails comes again, and what is wrong is said."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from drivers.peers import Requester, requester
from drivers.webhook_receiver import Receiver
from keys import KeyRing, client
from local_server import LocalServer
from timer_client import AsyncTimerClient
from timer_client.settings import Settings
from timer_protocol.sender import ALL_RIGHTS
from timer_webhooks import sender as sending
from timer_webhooks.counts import Counts
from timer_webhooks.database import Database
from timer_webhooks.exporter import Exporter
from timer_webhooks.logs import log
from timer_webhooks.resend import NothingToSend, resend
from timer_webhooks.sender import Sender
from timer_webhooks.standing import Standing
from webhooks.conftest import endpoint_at

LIMIT_S = 10


@pytest.fixture
def queue(rpc: Requester) -> Requester:
    """The queue of the endpoint, on a server."""
    put(rpc)
    return rpc


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "webhooks.db")) as opened:
        yield opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every few seconds is looked at every few hundredths."""
    for name in ("LOOK_S", "AGAIN_S", "ASK_AGAIN_S", "WATCH_S"):
        monkeypatch.setattr(sending, name, 0.02)


def put(rpc: Requester, **changes: Any) -> None:
    settings = {"queue": "hooks", "prefix": "hook/", "lease_ms": 60_000, "max_deliveries": 0}
    rpc.call("queue.put", **settings | changes)


def end(rpc: Requester, *timer_ids: str) -> None:
    """Has timers fire."""
    for timer_id in timer_ids:
        rpc.call("timer.start", id=timer_id, seconds=0.001, payload={"to": timer_id})
        rpc.call("timer.wait", id=timer_id, wait_ms=10_000)


@asynccontextmanager
async def running(server: LocalServer, receiver: Receiver, database: Database) -> AsyncIterator[Counts]:
    """A sender that runs for the length of a block."""
    counts = Counts()
    async with AsyncTimerClient(settings=settings_of(server)) as client:
        sender = Sender(endpoint_at(receiver.url), client, database, counts)
        task = asyncio.create_task(sender.run())
        try:
            yield counts
        finally:
            sender.stop()
            async with asyncio.timeout(LIMIT_S):
                await task


def settings_of(server: LocalServer) -> Settings:
    return Settings(server=server.commands, events=server.events)


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110 - what it waits for is a state of the server
            await asyncio.sleep(0.01)


def counts_of(rpc: Requester) -> tuple[int, ...]:
    queue = rpc.call("queue.get", queue="hooks")
    return tuple(queue[state] for state in ("ready", "leased", "delayed", "dead"))


def test_ends_are_sent_and_acknowledged(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database
) -> None:
    async def send() -> None:
        async with running(server, receiver, database) as counts:
            end(queue, "hook/1", "other/1", "hook/2")
            await until(lambda: counts.outcomes["delivered"] == 2)
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))

    asyncio.run(send())
    told = {one.timer_id: one for one in database.tries(10)}
    assert told.keys() == {"hook/1", "hook/2"}
    for received in receiver.received:
        assert received.target == "POST /hook HTTP/1.1"
        assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert received.headers["content-type"] == "application/json"
        assert received.headers["webhook-id"] in {one.webhook_id for one in told.values()}


def test_an_attempt_has_the_trace_in_which_its_timer_was_started(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "delay_ms", lambda *_: 1)
    trace = {"traceparent": f"00-{'a1' * 16}-{'b2' * 8}-01", "tracestate": "shop=1,bank=2"}
    receiver.mood = "busy"

    async def send() -> None:
        async with running(server, receiver, database):
            for number, told in enumerate((trace, {"traceparent": trace["traceparent"]}, None)):
                queue.call("timer.start", id=f"hook/{number}", seconds=0.001, **({"trace": told} if told else {}))
            await until(lambda: len(receiver.received) >= 6)
            receiver.mood = "ok"
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))

    asyncio.run(send())
    told = {
        (json.loads(one.body)["data"]["id"], one.headers.get("traceparent"), one.headers.get("tracestate"))
        for one in receiver.received
    }
    assert told == {
        ("hook/0", trace["traceparent"], trace["tracestate"]),
        ("hook/1", trace["traceparent"], None),
        ("hook/2", None, None),
    }


def test_what_fails_is_given_back_and_comes_again_under_the_same_id(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[tuple[int, float]] = []
    monkeypatch.setattr(sending, "delay_ms", lambda attempt, asked_s, _: delays.append((attempt, asked_s)) or 1)
    receiver.mood = "busy"

    async def send() -> None:
        async with running(server, receiver, database) as counts:
            end(queue, "hook/1")
            await until(lambda: len(receiver.received) >= 2)
            assert counts.standing.failing_since_ms is not None
            receiver.mood = "ok"
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))
            assert counts.standing == Standing()

    asyncio.run(send())
    assert delays[:2] == [(1, 7.0), (2, 7.0)]
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1
    assert [one.outcome for one in database.tries(10)][-1] == "delivered"
    assert [one.attempt for one in database.tries(10, only_failed=True)][:2] == [1, 2]


def test_what_fails_waits_as_scheduled(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database
) -> None:
    receiver.mood = "failing"

    async def send() -> None:
        async with running(server, receiver, database):
            end(queue, "hook/1")
            await until(lambda: counts_of(queue) == (0, 0, 1, 0))

    asyncio.run(send())
    assert len(receiver.received) == 1


def test_410_disables_until_it_is_enabled(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database, quick: None
) -> None:
    receiver.mood = "gone"

    async def send() -> None:
        async with running(server, receiver, database) as counts:
            end(queue, "hook/1")
            await until(lambda: counts.standing.is_disabled and not counts.is_working)
            end(queue, "hook/2")
            await until(lambda: counts_of(queue) == (2, 0, 0, 0))
            assert database.standing("it") == counts.standing
            receiver.mood = "ok"
            with closing(Database(database._path)) as commands:
                commands.note_standing("it", Standing())
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))

    asyncio.run(send())
    assert [one.mood for one in receiver.received] == ["gone", "ok", "ok"]


def test_what_is_disabled_stays_so_over_a_restart(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database, quick: None
) -> None:
    database.note_standing("it", Standing(1, 2, "gone"))
    end(queue, "hook/1")

    async def send() -> None:
        async with running(server, receiver, database) as counts:
            await asyncio.sleep(0.1)  # nothing is to happen
            assert counts.standing.is_disabled

    asyncio.run(send())
    assert receiver.connections == 0
    assert counts_of(queue) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prefix": "hook/other/"}, "reads the ends below 'hook/other/'"),
        ({"max_deliveries": 5}, "gives an end up after 5 attempts"),
        ({"lease_ms": 30_000}, "leases for 30 s"),
        (None, "is not there"),
    ],
)
def test_a_queue_that_is_not_fit_is_told_and_looked_at_again(
    server: LocalServer,
    rpc: Requester,
    receiver: Receiver,
    database: Database,
    quick: None,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, Any] | None,
    said: str,
) -> None:
    if wrong is not None:
        put(rpc, **wrong)

    def reasons() -> list[str]:
        return [record.fields["reason"] for record in caplog.records if record.getMessage() == "not working"]

    async def send() -> None:
        async with running(server, receiver, database) as counts:
            await until(lambda: bool(reasons()))
            put(rpc)
            await until(lambda: counts.is_working)
            put(rpc, max_deliveries=3)
            await until(lambda: len(reasons()) == 2)

    caplog.set_level(logging.INFO, log.name)
    asyncio.run(send())
    assert said in reasons()[0]
    assert "timer queue put hooks --prefix 'hook/' --retries forever --lease 60s" in reasons()[1]
    assert receiver.connections == 0


def test_attempts_that_are_cut_off_are_returned(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STOP_S", 0.05)
    receiver.mood = "hanging"

    async def send() -> None:
        async with running(server, receiver, database):
            end(queue, "hook/1")
            await until(lambda: len(receiver.received) == 1)

    asyncio.run(send())
    assert counts_of(queue) == (1, 0, 0, 0)
    (delivery,) = queue.call("queue.take", queue="hooks")["deliveries"]
    assert delivery["attempt"] == 1


def test_attempts_that_are_cut_off_hold_nothing_up_where_the_server_is_away(
    receiver: Receiver, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STOP_S", 0.05)
    monkeypatch.setattr(sending, "GIVE_BACK_S", 0.05)
    receiver.mood = "hanging"

    async def send(server: LocalServer) -> None:
        with requester(server.commands) as rpc:
            put(rpc)
            end(rpc, "hook/1")
        async with running(server, receiver, database):
            await until(lambda: len(receiver.received) == 1)
            server.stop()

    with LocalServer() as server:
        asyncio.run(send(server))


def test_what_a_sender_that_was_killed_had_taken_is_sent_at_once(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database
) -> None:
    """Its last take may have waited at the server, which gives the next end to it: nobody reads that."""
    database.note_take("it", "of the killed one")
    end(queue, "hook/1")
    assert len(queue.call("queue.take", queue="hooks", key="of the killed one")["deliveries"]) == 1

    async def send() -> None:
        async with running(server, receiver, database):
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))

    asyncio.run(send())
    assert [(one.timer_id, one.attempt) for one in database.tries(10)] == [("hook/1", 1)]
    assert database.last_take("it") != "of the killed one"


def test_a_queue_that_is_deleted_is_told_and_waited_for(
    server: LocalServer,
    queue: Requester,
    receiver: Receiver,
    database: Database,
    quick: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def send() -> None:
        async with running(server, receiver, database) as counts:
            await until(lambda: counts.is_working)
            queue.call("queue.delete", queue="hooks")
            await until(lambda: "not working" in caplog.messages)
            await asyncio.sleep(0.1)  # it looks at it some times
            put(queue)
            await until(lambda: counts.is_working)
            end(queue, "hook/1")
            await until(lambda: counts.outcomes["delivered"] == 1)

    caplog.set_level(logging.INFO, log.name)
    asyncio.run(send())
    reasons = [record.fields["reason"] for record in caplog.records if record.getMessage() == "not working"]
    assert len(set(reasons)) == len(reasons)
    assert "timer queue put hooks" in reasons[-1]


def test_a_key_without_the_right_to_take_is_told_once(
    receiver: Receiver, database: Database, tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(tmp_path)
    ring.add("owner", rights=ALL_RIGHTS)
    ring.add("sender", rights=frozenset({"read"}))

    async def send(locked: LocalServer, key: Settings) -> None:
        async with AsyncTimerClient(settings=key) as client:
            sender = Sender(endpoint_at(receiver.url), client, database, Counts())
            task = asyncio.create_task(sender.run())
            await until(lambda: "not working" in caplog.messages)
            await asyncio.sleep(0.1)  # it tries some times
            ring.bind("sender", rights=frozenset({"read", "take"}))
            locked.reload()
            await until(lambda: caplog.messages[-1] == "working")
            sender.stop()
            await task

    caplog.set_level(logging.INFO, log.name)
    with LocalServer(curve=ring.files) as locked:
        with client(locked, ring, "owner") as owner:
            owner.put_queue("hooks", "hook/", lease_ms=60_000, max_deliveries=0)
        asyncio.run(send(locked, ring.settings("sender", server=locked.commands, events=locked.events)))
    assert [message for message in caplog.messages if "working" in message] == ["working", "not working", "working"]


def test_it_stops_at_once_where_the_server_is_away(receiver: Receiver, database: Database, tmp_path: Path) -> None:
    async def send() -> None:
        nobody = Settings(server=f"ipc://{tmp_path}/nobody", events=f"ipc://{tmp_path}/nobody")
        async with AsyncTimerClient(settings=nobody) as client:
            sender = Sender(endpoint_at(receiver.url), client, database, Counts())
            task = asyncio.create_task(sender.run())
            await asyncio.sleep(0.05)  # it has asked by then
            sender.stop()
            async with asyncio.timeout(2):
                await task

    asyncio.run(send())


def test_a_database_that_fails_holds_nothing_up(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database
) -> None:
    async def send() -> None:
        async with running(server, receiver, database) as counts:
            database._connection.execute("DROP TABLE try")
            end(queue, "hook/1")
            await until(lambda: counts_of(queue) == (0, 0, 0, 0))
            assert counts.outcomes["delivered"] == 1

    asyncio.run(send())


def test_resent_ends_have_the_same_id_and_body(
    server: LocalServer, queue: Requester, receiver: Receiver, database: Database
) -> None:
    async def send() -> None:
        async with running(server, receiver, database) as counts:
            end(queue, "hook/1")
            await until(lambda: counts.outcomes["delivered"] == 1)

    asyncio.run(send())
    endpoints = [endpoint_at(receiver.url)]
    (attempt,) = asyncio.run(resend(["hook/1"], endpoints, settings_of(server), database))
    assert (attempt.outcome, attempt.attempt) == ("delivered", 0)
    first, again = receiver.received
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    queue.call("timer.start", id="hook/2", seconds=60)
    end(queue, "other/1", "hook/3")
    queue.call("timer.cancel", id="hook/2")
    queue.call("timer.start", id="hook/4", seconds=60)
    for timer_id, said in (("hook/2", "was cancelled"), ("other/1", "begin with 'hook/'"), ("hook/4", "is running")):
        with pytest.raises(NothingToSend, match=said):
            asyncio.run(resend(["hook/3", timer_id], endpoints, settings_of(server), database))
    assert len(receiver.received) == 2


def test_the_metrics_tell_how_endpoints_stand() -> None:
    counts = Counts()
    counts.tried("delivered", 0.25)
    counts.tried("timeout", 15)
    counts.standing = Standing(1, 2, "gone")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in Exporter({"it": counts}).collect()
        for sample in metric.samples
    }
    assert samples["timer_webhooks_tries_total", "it", "delivered"] == 1
    assert samples["timer_webhooks_tries_total", "it", "refused"] == 0
    assert samples["timer_webhooks_exchange_seconds_sum", "it"] == 15.25
    assert samples["timer_webhooks_disabled", "it"] == 1
    assert samples["timer_webhooks_failing_seconds", "it"] > 1e9
    assert samples["timer_webhooks_working", "it"] == 0
