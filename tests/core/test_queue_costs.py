"""What queues cost: bytes of an end, and calls where there are more ends, leases or queues."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from itertools import cycle, islice

import pytest

from core.queue_game import BEGIN_MS, Game
from core.queue_log import QueueLog
from timer_server.core.model import Countdown
from timer_server.core.queues.ends import Ends
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.queues import Queues


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
