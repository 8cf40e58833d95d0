"""What a queue remembers, when it does what, and what its snapshots hold: beyond what games of some moves can show."""

from typing import Any

import msgspec
import pytest

from core.queue_game import ANY_BYTES, BEGIN_MS, Game
from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS, NS_PER_S, entries_in
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import Limits
from timer_protocol.messages import StartParams
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.engine import Engine
from timer_server.core.entries import Part, QueueEntry
from timer_server.core.model import Countdown
from timer_server.core.queues import leases, queue
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.queues import QUEUES_MAXIMUM, Queues
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore


class TestSnapshots:
    def test_what_is_logged_stays_in_proportion_to_what_is_held(self) -> None:
        game = Game()
        for _ in range(300):
            game.end(10)
            numbers = game.take()
            game.ack(numbers)
            game.step()
            game.log.horizon = game.log.last_place
        game.log.take_drafts(game.queues)

        logged = sum(len(entry.body) for entry in game.log.entries if isinstance(entry, QueueEntry))
        assert logged < 3 * queue.SNAPSHOT_FLOOR_BYTES

    def test_a_large_one_comes_in_steps_and_loses_nothing_of_what_happens_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        game = Game(max_backlog=10_000)
        game.end(5_000)
        given_back = [number for _ in range(10) for number in game.take()]
        game.queues.nack("q", given_back, GivingBack("return"), game.now_ns)
        leased = [number for _ in range(10) for number in game.take()]
        monkeypatch.setattr(queue, "SNAPSHOT_FLOOR_BYTES", 0)
        parts = []
        game.ack([leased.pop()])
        while (due_ns := game.queues.next_due_ns()) is not None and due_ns <= game.now_ns and len(parts) < 12:
            game.log.take_drafts(game.queues)
            last_place = game.log.last_place
            game.queues.step(game.now_ns, 1)
            game.log.take_drafts(game.queues)
            parts += [e.part for e in game.log.entries if isinstance(e, QueueEntry) and e.place > last_place]
            game.end()
            game.ack([leased.pop()])
        assert parts[0] is Part.FIRST
        assert len(parts) > 8
        expected = held(game)

        game.restart()

        assert held(game) == expected


class TestKeysOfTakes:
    def test_those_that_still_lease_something_are_kept_where_there_are_too_many(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leases, "TAKES_REMEMBERED", 10)
        game = Game()
        game.end(40)
        kept = game.take(1, "kept")
        for number in range(20):
            game.ack(game.take(1, f"key/{number}"))

        assert game.take(1, "kept") == kept
        assert game.take(1, "key/19") == []
        assert game.take(1, "key/0") != []
        assert len(game.state.takes.items()) == 10

    def test_where_all_lease_something_the_oldest_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(leases, "TAKES_REMEMBERED", 20)
        game = Game()
        game.end(100)
        for number in range(100):
            game.take(1, f"key/{number}")

        assert len(game.state.takes.items()) == 20


class TestTime:
    def test_restarts_in_a_row_keep_no_lease_alive_that_is_not_renewed(self) -> None:
        game = Game(lease_ms=30_000)
        game.end(2)
        dead, living = game.take()
        game.now_ns += 29 * NS_PER_S
        game.restart()
        assert {d.number: d.at_ms - BEGIN_MS for d in game.state.leases} == {dead: 44_000, living: 44_000}
        game.queues.renew("q", [living], 1_000, game.now_ns)
        game.now_ns += NS_PER_S // 2
        game.restart()

        assert {d.number: d.at_ms - BEGIN_MS for d in game.state.leases} == {dead: 44_000, living: 30_500}

    def test_backoff_grows_by_attempts_and_its_last_step_repeats(self) -> None:
        game = Game(backoff_ms=[1_000, 10_000], max_deliveries=0)
        game.end()
        delays_ms = []
        for _ in range(3):
            game.queues.nack("q", game.take(), GivingBack(), game.now_ns)
            (waiting,) = game.state.waiting
            delays_ms.append(waiting.at_ms - game.now_ns // NS_PER_MS)
            game.now_ns += 12 * NS_PER_S

        assert delays_ms == [1_100, 11_000, 11_000]

    def test_a_queue_that_is_always_busy_holds_up_no_other(self) -> None:
        game = Game(max_backlog=1)
        game.put("r", lease_ms=1_000)
        game.end()
        game.queues.take("r", 1, ANY_BYTES, None, game.now_ns)
        game.now_ns += 2 * NS_PER_S
        for _ in range(5):
            game.end(50)
            game.queues.step(game.now_ns, 20)

        assert len(game.queues.find("r").state.leases) == 0


class TestLimits:
    def test_no_more_queues_than_that(self) -> None:
        game = Game()
        for number in range(QUEUES_MAXIMUM - 1):
            game.put(f"q{number}")
        with pytest.raises(Refusal) as refused:
            game.put("one-more")

        assert refused.value.code == ErrorCode.LIMIT_REACHED

    @pytest.mark.parametrize("name", ["a~b", "ü", "a b"])
    def test_names_are_those_of_timers(self, name: str) -> None:
        with pytest.raises(Refusal, match="queue must be 1 to 100 of the characters"):
            Game().put(name)

    def test_a_put_that_changes_nothing_is_not_logged(self) -> None:
        game = Game(lease_ms=5_000)
        game.log.take_drafts(game.queues)
        game.put("q")

        assert not game.queues.has_news
        assert game.state.settings.lease_ms == 5_000


def held(game: Game) -> list[Any]:
    """All that queue q holds."""
    state = game.state
    new = [columns for ends in (state.new, state.later) for columns in ends.frozen()]
    deliveries = sorted(msgspec.to_builtins([*state.leases, *state.waiting, *state.dead]))
    places = [place for columns in new for place in columns.places]
    return [places, [[*each[:-2]] for each in deliveries], state.dropped, state.takes.items()]


def test_fewer_timers_are_fired_in_a_turn_where_many_queues_take_them_up() -> None:
    queues = Queues(lambda: 0.5)
    engine = Engine(Limits(), lambda _: "made", readers=queues)
    for number in range(400):
        queues.put(PutQueueParams(f"q{number}", ""), 0, 0, BEGIN_NS)
    for number in range(100):
        engine.handle(StartParams(f"t{number}", seconds=1), BEGIN_NS)

    assert engine.expire(BEGIN_NS + NS_PER_S, 500) == 5
    assert sum(engine.expire(BEGIN_NS + NS_PER_S, 500) for _ in range(30)) == 95


def test_the_engine_logs_what_queues_do_and_makes_them_again_from_it() -> None:
    limits = Limits(retention_s=60)
    queues, store = Queues(lambda: 0.5), MemoryStore(LOG_ID)
    engine, log = Engine(limits, lambda _: "made", readers=queues), Log(store, store.open())

    def commit() -> None:
        changes = engine.take_changes()
        log.take_off(changes)
        store.commit(log.land())

    queues.put(PutQueueParams("q", "a"), 0, 0, BEGIN_NS)
    for timer_id in ("a1", "b", "a2"):
        engine.handle(StartParams(timer_id, seconds=1), BEGIN_NS)
    now_ns = BEGIN_NS + NS_PER_S
    engine.expire(now_ns, 10)
    (first, second) = queues.take("q", 5, ANY_BYTES, None, now_ns)
    queues.ack("q", [first.number], now_ns)
    commit()
    now_ns += 61 * NS_PER_S
    while (forget_ns := engine.next_forget_ns(log.durable_place)) is not None and forget_ns <= now_ns:
        engine.forget(log.oldest(engine.horizon, 10), now_ns)
        commit()

    queues = Queues(lambda: 0.5)
    log = Log(store, header := store.open())
    engine = Engine(limits, lambda _: "made", readers=queues)
    engine.restore(store.load(), header.ends, log.holder)

    (again,) = queues.take("q", 5, ANY_BYTES, None, now_ns)
    assert (again.place, again.attempts) == (second.place, 2)
    assert log.event(again.place).id == "a2"
    assert queues.ack("q", [first.number, second.number], now_ns) == ([first.number], [second.number])
    queues.ack("q", [again.number], now_ns)
    commit()
    engine.forget([], now_ns)
    commit()
    assert [entry.place for entry in entries_in(store) if isinstance(entry, Countdown) and entry.has_ended] == []
