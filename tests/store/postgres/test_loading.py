"""Loading a shard's log in steps comes to what loading it at once does, also where it was read ahead."""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Raw
from psycopg.pq.abc import PGconn

from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from postgres_store import fresh_shards
from timer_protocol.messages import CancelParams, ListParams, RestartParams, StartParams
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.engine import Engine
from timer_server.core.model import Countdown
from timer_server.core.queues.queues import Queues
from timer_server.core.restoring import HolderAt, Restoring
from timer_server.store.integrity import Damage
from timer_server.store.log import Log
from timer_server.store.postgres import loading as module
from timer_server.store.postgres.exchange import Answer, Steps, Wait, asking, finish, preparing
from timer_server.store.postgres.line import Ended, Line
from timer_server.store.postgres.loading import Ahead, loading, reading_ahead
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.session import opening
from timer_server.store.postgres.statements import OF_LOADS, Statement
from timer_server.store.postgres.store import PostgresStore, stored_blocks
from timer_server.store.state import LogState

LIMIT_MS = 10_000
LARGE = Raw(b'"' + 400 * b"x" + b'"')
ANY_BYTES = 10**9


@pytest.fixture(scope="module")
def connection() -> Iterator[PGconn]:
    """A session that reads logs, of all tests."""
    shards = fresh_shards()
    shards.make()
    session = finish(opening(shards.database.url), LIMIT_MS)
    finish(preparing(session.connection, OF_LOADS), LIMIT_MS)
    yield session.connection
    session.connection.finish()


@pytest.fixture
def store() -> PostgresStore:
    return fresh_shards().make()()


class Lived(Bench):
    """A shard of which each kind of entry is in the log, some behind the horizon."""

    store: PostgresStore

    def __init__(self, store: PostgresStore) -> None:
        super().__init__(store)
        self.now_ns = BEGIN_NS
        self.shard.queues.put(PutQueueParams("q", "t/"), 0, 0, self.now_ns)
        self.live(0)

    def live(self, begin: int) -> None:
        """Some timers with large and small specs: many end, and of those some run again, under the same spec."""
        for number in range(begin, begin + 40):
            payload = LARGE if number % 3 == 0 else Raw(b"%d" % number)
            self.ask(StartParams(f"t/{number}", seconds=1 + number % 2 * 3600, payload=payload), self.now_ns)
        self.commit()
        self.now_ns += NS_PER_S
        self.engine.expire(self.now_ns, 1_000)
        for number in range(begin + 5, begin + 40, 10):
            self.ask(CancelParams(f"t/{number}"), self.now_ns)
        self.commit()
        for number in range(begin, begin + 40, 6):
            self.ask(RestartParams(f"t/{number}"), self.now_ns)
            self.commit()
        self.shard.queues.take("q", 5, ANY_BYTES, None, self.now_ns)
        self.commit()

    def forget_some(self) -> None:
        """Retention passes the older half of what there is."""
        self.now_ns += 2 * self.limits.retention_s * NS_PER_S
        half = self.log.oldest(self.engine.horizon, (self.engine.last_place - self.engine.horizon) // 2)
        self.engine.forget(half, self.now_ns)
        self.commit()


class Taker:
    """Another server, which loads the shard over a line."""

    def __init__(self, store: PostgresStore, connection: PGconn) -> None:
        self.store = PostgresStore(store.database, store.number, uuid4(), RecentBlocks())
        self.epoch = store.epoch
        self.connection = connection
        self.engine, self.queues = _engine()
        self.pauses = 0

    def load(self, ahead: Ahead | None = None) -> Any:
        """What loading comes to. Raises what it has failed with."""
        ended = self._through(loading(self.connection, self.store.number, self.epoch, self._begin, ahead))
        if ended.fault is not None:
            raise ended.fault
        return ended.value

    def _begin(self, state: LogState, holder_at: HolderAt) -> Restoring:
        header = self.store.opened(self.epoch, state)
        self.log = Log(self.store, header)
        return self.engine.restoring(header.ends, holder_at)

    def _through(self, steps: Steps[Any]) -> Ended:
        line = Line(LIMIT_MS * 1_000_000)
        line.begin(steps, 0)
        while (ended := line.advance(0)) is None:
            if line.wait is None:
                self.pauses += 1
                assert line.next_due_ns() == 0
                continue
            poll = select.poll()
            poll.register(*line.wait)
            assert poll.poll(LIMIT_MS)
        return ended


def _engine() -> tuple[Engine, Queues]:
    queues = Queues(lambda: 0.0)
    return Engine(Bench().limits, str, readers=queues), queues


def content(engine: Engine, queues: Queues, event_at: Callable[[int], Countdown]) -> Any:
    """All that can be seen of a shard."""
    bench = Bench()
    bench.engine = engine
    entries = bench.list_page(ListParams(limit=1000)).entries
    timers = [entry if isinstance(entry, Countdown) else event_at(entry.place) for entry in entries]
    (state,) = (queue.state for queue in queues.page("", None, 9)[0])
    return (
        timers,
        engine.counts(),
        engine.next_due_ns(),
        (engine.horizon, engine.horizon_seq, engine.last_place, engine.last_seq),
        (state.ready_count, len(state.leases), state.waiting.delayed_count, len(state.dead)),
        engine.places.pending,
    )


def at_once(store: PostgresStore) -> Any:
    """The same, of a server that loads the log at once."""
    engine, queues = _engine()
    log = Log(store, store.state.header())
    engine.restore(store.load(), store.state.ends, log.holder)
    return content(engine, queues, log.event)


def loaded(taker: Taker, ahead: Ahead | None = None) -> Any:
    taker.load(ahead)
    return content(taker.engine, taker.queues, taker.log.event)


@pytest.fixture(params=[(256, 1024 * 1024, 512), (3, 1024 * 1024, 2), (256, 500, 512)])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is read at once: blocks, bytes and keys."""
    for name, size in zip(("_BLOCKS", "_BYTES", "_KEYS"), request.param, strict=True):
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(module, "_RESTORED", 2)
    monkeypatch.setattr(module, "_SPECS", 2)


def read_ahead(store: PostgresStore, connection: PGconn) -> Ahead:
    ahead = finish(reading_ahead(connection, store.number, lambda: True), LIMIT_MS)
    assert ahead is not None
    return ahead


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("is_read_ahead", [False, True])
def test_a_log_is_loaded_in_steps(store: PostgresStore, connection: PGconn, is_read_ahead: bool) -> None:
    lived = Lived(store)
    lived.forget_some()
    ahead = read_ahead(store, connection) if is_read_ahead else None
    lived.live(100)
    lived.forget_some()
    lived.live(200)
    taker = Taker(store, connection)

    assert loaded(taker, ahead) == at_once(store)
    assert taker.pauses >= len(list(stored_blocks(store.database, store.number))) // 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The names of the statements with which PostgreSQL was asked, and how many rows came."""
    asked: list[tuple[str, int]] = []

    def noting(connection: PGconn, statement: Statement, parameters: Any = ()) -> Steps[Answer]:
        answer = yield from asking(connection, statement, parameters)
        asked.append((statement.name, len(answer.rows)))
        return answer

    monkeypatch.setattr(module, "asking", noting)
    return asked


def test_what_was_read_ahead_and_is_still_so_is_not_read_again(
    store: PostgresStore, connection: PGconn, asked: list[tuple[str, int]]
) -> None:
    lived = Lived(store)
    ahead = read_ahead(store, connection)
    asked.clear()
    lived.start("another")
    lived.commit()
    assert loaded(Taker(store, connection), ahead) == at_once(store)

    of_blocks = [(name, rows) for name, rows in asked if name == "timer_some_blocks"]
    assert of_blocks == [("timer_some_blocks", 1), ("timer_some_blocks", 0)]


def test_large_specs_that_many_short_turns_refer_to_are_read_together(
    store: PostgresStore, connection: PGconn, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RESTORED", 2)
    bench, now_ns = Lived(store), BEGIN_NS + 2 * NS_PER_S
    for number in range(20):
        timer_id = f"large/{number}"
        for request in (
            StartParams(timer_id, minutes=1, payload=LARGE),
            CancelParams(timer_id),
            RestartParams(timer_id),
        ):
            bench.ask(request, now_ns)
            bench.commit()
    assert loaded(Taker(store, connection)) == at_once(store)

    assert [name for name, _ in asked].count("timer_blocks_with") == 1


@pytest.mark.usefixtures("sizes")
def test_reading_ahead_ends_though_the_owner_never_pauses(
    store: PostgresStore, connection: PGconn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = Lived(store)
    read = 0

    def read_while_another_is_written(*arguments: Any) -> Steps[Any]:
        nonlocal read
        read += 1
        assert read < 200
        lived.start(f"another-{read}")
        lived.commit()
        return (yield from blocks_after(*arguments))

    blocks_after = module._blocks_after
    monkeypatch.setattr(module, "_blocks_after", read_while_another_is_written)
    ahead = read_ahead(store, connection)
    monkeypatch.undo()

    assert ahead.last_place == lived.engine.last_place
    assert loaded(Taker(store, connection), ahead) == at_once(store)


def test_no_more_is_read_ahead_than_may_be_kept(
    store: PostgresStore, connection: PGconn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = Lived(store)
    monkeypatch.setattr(module, "_BLOCKS", 2)
    monkeypatch.setattr(module, "_AHEAD_BYTES", 1)
    ahead = read_ahead(store, connection)

    assert 0 < ahead.last_place < lived.engine.last_place
    assert loaded(Taker(store, connection), ahead) == at_once(store)


def test_reading_ahead_makes_way_after_each_reading(
    store: PostgresStore, connection: PGconn, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lived(store)
    monkeypatch.setattr(module, "_BLOCKS", 1)
    answers = iter([True, False])

    assert finish(reading_ahead(connection, store.number, lambda: next(answers)), LIMIT_MS) is None
    assert next(answers, None) is None


def test_of_a_shard_that_is_in_another_epoch_nothing_is_loaded(store: PostgresStore, connection: PGconn) -> None:
    lived = Lived(store)
    taker = Taker(store, connection)
    PostgresStore(store.database, store.number, uuid4(), RecentBlocks()).open()

    assert taker.load() is None
    assert lived.engine.last_place
    assert taker.engine.last_place == 0


@pytest.mark.parametrize(
    ("alter", "is_last", "fault"),
    [
        ("delete from timer_block", False, "entry 1 is missing"),
        ("delete from timer_block", True, "it ends at"),
        ("update timer_block set body = substr(body, 2)", False, "does not match its checksum"),
    ],
)
def test_a_log_that_is_not_whole_is_found_damaged(
    store: PostgresStore, connection: PGconn, alter: str, is_last: bool, fault: str
) -> None:
    lived = Lived(store)
    place = lived.engine.last_place if is_last else next(stored_blocks(store.database, store.number))[0]
    store.database.ask(Statement("", f"{alter} where shard = {store.number} and last_place = {place}"))

    with pytest.raises(Damage, match=fault):
        Taker(store, connection).load()


def test_a_line_goes_on_behind_a_pause_in_the_next_turn() -> None:
    reader, writer = os.pipe()
    with closing(os.fdopen(reader, "rb")), closing(os.fdopen(writer, "wb")):
        done: list[str] = []

        def steps() -> Steps[str]:
            done.append("begun")
            yield None
            done.append("went on")
            assert (yield Wait(writer, select.POLLOUT))
            yield None
            return "over"

        line = Line(1)
        line.begin(steps(), 0)
        assert (line.advance(0), done, line.next_due_ns()) == (None, ["begun"], 0)
        assert (line.advance(0), done, line.next_due_ns()) == (None, ["begun", "went on"], 0)
        assert line.advance(0) == Ended("over")
        assert finish(steps(), LIMIT_MS) == "over"
