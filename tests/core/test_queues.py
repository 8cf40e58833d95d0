"""What a queue costs, what it remembers, and what its snapshots hold: beyond what games of some moves can show."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.queue_log import QueueLog
from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS, NS_PER_S, entries_in
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import Limits
from timer_protocol.messages import StartParams
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.engine import Engine
from timer_server.core.entries import Part, QueueEntry
from timer_server.core.model import Countdown
from timer_server.core.queues import leases, queue
from timer_server.core.queues.ends import Ends
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.queues import QUEUES_MAXIMUM, Queues
from timer_server.core.queues.receipts import Receipts
from timer_server.core.queues.settled import GENERATION_RECEIPTS, SettledReceipts
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore

BEGIN_MS = BEGIN_NS // NS_PER_MS
ANY_BYTES = 2**40


class Game:
    """Queues with a log, one queue named q of all ends, and a worker of it."""

    def __init__(self, **asked: Any) -> None:
        self.log = QueueLog()
        self.queues = Queues(lambda: 0.5)
        self.now_ns = BEGIN_NS
        self.put("q", **asked)

    def put(self, name: str, prefix: str = "", **asked: Any) -> None:
        self.log.take_drafts(self.queues)
        self.queues.put(PutQueueParams(name, prefix, **asked), self.log.horizon, self.log.last_place, self.now_ns)

    def end(self, count: int = 1, timer_id: str = "a") -> None:
        for _ in range(count):
            self.log.end(timer_id, "fired", self.now_ns // NS_PER_MS, 10, self.queues)

    def take(self, most: int = 100, key: str | None = None) -> list[int]:
        return [delivery.number for delivery in self.queues.take("q", most, ANY_BYTES, key, self.now_ns)]

    def ack(self, numbers: list[int]) -> tuple[list[int], list[int]]:
        return self.queues.ack("q", numbers, self.now_ns)

    def restart(self) -> None:
        self.log.take_drafts(self.queues)
        self.queues = Queues(lambda: 0.5)
        self.log.read_again(self.queues)
        self.queues.server_started(self.now_ns // NS_PER_MS)

    def step(self) -> None:
        while (due_ns := self.queues.next_due_ns()) is not None and due_ns <= self.now_ns:
            self.queues.step(self.now_ns, 500)
            self.log.take_drafts(self.queues)

    @property
    def state(self) -> Any:
        return self.queues.find("q").state


@pytest.mark.thorough
class TestCost:
    def test_a_ready_end_takes_24_bytes_at_most(self) -> None:
        places, moments_ms = list(range(10**6, 10**6 + 100_000)), list(range(BEGIN_MS, BEGIN_MS + 100_000))
        tracemalloc.start()
        try:
            ends = Ends()
            for place, moment_ms in zip(places, moments_ms, strict=True):
                ends.append(place, moment_ms, 500)
            all_bytes = tracemalloc.get_traced_memory()[0]
            for start in range(0, 50_000, 100):
                assert ends.take(places[start : start + 100]) is not None
            half_of_the_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

        assert 20 * 100_000 < all_bytes < 24 * 100_000
        assert half_of_the_bytes < 24 * 51_024

    @pytest.mark.parametrize("what", ["offer", "take and ack", "renew", "renew each", "is_held", "back and again"])
    def test_no_call_takes_longer_where_there_is_more(self, what: str) -> None:
        few, many = calls_for(what, 2_000), calls_for(what, 40_000)

        assert many < 1.3 * few + 50

    def test_an_end_of_no_queue_costs_next_to_nothing(self) -> None:
        queues, event = Queues(lambda: 0.5), QueueLog().end("a", "fired", BEGIN_MS, 1, Queues(lambda: 0.5))

        assert calls_of(lambda: queues.offer(event)) <= 5

    def test_an_end_is_offered_to_the_queues_of_its_prefix_alone(self) -> None:
        game = Game()
        for number in range(500):
            game.put(f"other/{number}", f"other/{number}/")
        game.end()
        event = game.log.entries[-1]

        assert calls_of(lambda: game.queues.offer(event)) < 60  # type: ignore[arg-type]

    def test_retention_does_not_ask_each_queue_about_each_end(self) -> None:
        game = Game()
        for number in range(300):
            game.put(f"other/{number}", f"other/{number}/")
            game.end(timer_id=f"other/{number}/a")
        game.end(100)
        game.ack(game.take())
        game.ack(game.take())
        places = [entry.place for entry in game.log.entries if isinstance(entry, Countdown)][-50:]
        assert game.queues.is_held(places[0])

        assert calls_of(lambda: [game.queues.is_held(place) for place in places]) < 50 * 40

        game.end(100)
        taken = game.take()
        game.log.forget(game.log.last_place, game.queues)
        game.ack(taken)
        game.queues.take_drafts()
        assert calls_of(game.queues.take_released) < 300 * 20 + 100 * 40


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


class TestMemoryOfReceipts:
    def test_the_last_100_000_receipts_of_a_log_are_done_again_after_a_restart_too(self) -> None:
        known = SettledReceipts()
        for number in range(1, 250_001):
            known.remember("qr"[number % 2], [number], True, known.generation)

        assert all(known.is_known("qr"[number % 2], number, True) for number in range(150_001, 250_001, 77))
        assert not known.is_known("r", 1, True)
        assert not known.is_known("q", 249_999, True)
        assert sum(len(receipts) for _, receipts in known.frozen("q")) <= 3 * GENERATION_RECEIPTS

    def test_the_order_in_which_generations_are_read_does_not_matter(self) -> None:
        known = SettledReceipts()
        for generation in (7, 3, 8, 0, 9):
            known.remember("q", [generation], True, generation)

        assert [known.is_known("q", generation, True) for generation in (0, 3, 4, 7, 8, 9)] == [
            False,
            False,
            False,
            True,
            True,
            True,
        ]
        assert known.generation == 9

    def test_an_ack_is_done_again_after_a_snapshot_and_a_restart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queue, "SNAPSHOT_FLOOR_BYTES", 0)
        game = Game()
        game.end(3)
        acked, given_up, lost = game.take()
        game.ack([acked])
        game.queues.nack("q", [given_up], GivingBack("dead"), game.now_ns)
        game.step()
        game.log.horizon = game.log.last_place
        game.restart()

        assert game.ack([acked, given_up]) == ([acked], [given_up])
        assert game.queues.nack("q", [acked, given_up], GivingBack(), game.now_ns) == ([given_up], [acked])
        assert game.ack([lost, lost]) == ([lost], [])

    def test_numbers_of_leases_go_on_after_all_queues_are_deleted(self) -> None:
        game = Game()
        game.end(2)
        (first, second) = game.take()
        game.queues.delete("q", game.now_ns)
        game.log.take_drafts(game.queues)
        game.log.horizon = game.log.last_place
        game.restart()
        game.put("q", begin="start")
        game.end()

        assert game.take() == [second + 1]
        assert game.ack([first]) == ([], [first])


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


class TestReceipts:
    receipts = Receipts(LOG_ID, "email")

    @given(st.integers(1, 2**63))
    def test_read_as_they_were_made(self, number: int) -> None:
        assert self.receipts.numbers([self.receipts.text(number)]) == [number]

    def test_of_an_earlier_log_stand_for_no_number(self) -> None:
        other = Receipts("Ab3_-x9yzQ0", "email").text(5)

        assert self.receipts.numbers([other, self.receipts.text(7)]) == [None, 7]

    @pytest.mark.parametrize(
        "text",
        ["", "x", "~~", "short~email~1", f" {LOG_ID}~email~1", f"{LOG_ID}~email~1~", "x" * 160]
        + [f"{LOG_ID}~email~{number}" for number in ("", "x", "05", "+5", "1_0", "٥", "0")],
    )
    def test_other_texts_are_none(self, text: str) -> None:
        with pytest.raises(Refusal, match="is no receipt") as refused:
            self.receipts.numbers([text])

        assert refused.value.code == ErrorCode.INVALID_PARAMS

    @pytest.mark.parametrize("log_id", [LOG_ID, "Ab3_-x9yzQ0"])
    def test_of_another_queue_are_refused(self, log_id: str) -> None:
        with pytest.raises(Refusal, match="is a receipt of queue 'sms', not of 'email'"):
            self.receipts.numbers([Receipts(log_id, "sms").text(3)])


def calls_of(call: Callable[[], object]) -> int:
    """How many calls of functions a call makes, in Python and in C: a measure of work that no other load disturbs."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before, was_enabled = sys.getprofile(), gc.isenabled()
    gc.disable()  # finalizers of what other tests have left make calls too
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
        if was_enabled:
            gc.enable()
    return count


def calls_for(what: str, backlog: int) -> int:
    """The calls of something that is done with 100 ends of so many."""
    game = Game(max_backlog=10**6, max_deliveries=0)
    game.end(backlog)
    queues, now_ns = game.queues, game.now_ns
    others = [number for _ in range(backlog // 200) for number in game.take()]
    match what:
        case "offer":
            event = game.log.entries[-1]
            return calls_of(lambda: [queues.offer(event) for _ in range(100)])  # type: ignore[arg-type]
        case "take and ack":
            return calls_of(lambda: game.ack(game.take()))
        case "renew":
            return calls_of(lambda: queues.renew("q", others[:100], None, now_ns))
        case "renew each":

            def renew(count: int) -> None:
                for number in islice(cycle(others), count):
                    queues.renew("q", [number], 1_000 + number, now_ns)

            renew(len(others))
            return calls_of(lambda: renew(200))
        case "is_held":
            return calls_of(lambda: [queues.is_held(place) for place in range(backlog // 2, backlog // 2 + 100)])
        case _:
            queues.nack("q", others, GivingBack("return"), now_ns)
            return calls_of(lambda: queues.nack("q", game.take(), GivingBack("return"), now_ns)) // 4


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
