"""Ends that are made durable a little before their deadline: told when it has come, and only where nothing waits."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from drivers.builders import NS_PER_MS
from loop.hall import BEGIN_MS, LOOK_NS, Hall
from timer_server.loop.head_start import HeadStart


@pytest.fixture
def hall() -> Iterator[Hall]:
    with closing(Hall()) as hall:
        yield hall


class TestAnEnd:
    def test_is_durable_before_its_deadline_and_told_when_that_has_come(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns - 200_000)

        assert hall.end_ahead()

        (told_ns, event), (done_ns,) = hall.wire.told[0], hall.slow.done_ns
        assert done_ns < hall.due_ns <= told_ns <= hall.due_ns + 10 * LOOK_NS
        assert event.kind == "fired"
        assert event.at_ms == event.due_at_ms == event.ended_at_ms

    def test_is_answered_to_those_who_wait_when_its_deadline_has_come(self, hall: Hall) -> None:
        hall.now_ns = hall.clock.now_ns()
        hall.park("timer.wait", id="first", wait_ms=60_000)
        hall.go_to(hall.due_ns - 200_000)

        assert hall.end_ahead()

        assert hall.wire.replied_ns
        assert min(hall.wire.replied_ns) >= hall.due_ns

    def test_whose_commit_takes_longer_is_told_after_it(self, hall: Hall) -> None:
        hall.slow.commit_ns = NS_PER_MS
        hall.go_to(hall.due_ns - 200_000)

        assert hall.end_ahead()
        assert hall.wire.told[0][0] >= hall.slow.done_ns[0] > hall.due_ns

    def test_that_is_not_near_is_left_alone(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns - NS_PER_MS)

        assert not hall.end_ahead()
        assert hall.engine.counts().running == 1

    def test_whose_deadline_has_come_is_left_to_the_turn(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns)

        assert not hall.end_ahead()
        hall.turn()
        assert [event.kind for _, event in hall.wire.told] == ["fired"]

    def test_does_not_hold_up_what_is_due_before(self, hall: Hall) -> None:
        """Otherwise many ends, each of them near, would put off the beat, waiting requests and retention."""
        hall.now_ns = BEGIN_MS * NS_PER_MS + hall.due_ns - 50_000 - NS_PER_MS
        hall.park("timer.wait", id="first", wait_ms=1)
        hall.go_to(hall.due_ns - 100_000)

        assert not hall.end_ahead()

    def test_takes_nothing_along_that_is_due_later(self, hall: Hall) -> None:
        assert hall.begin("second", 0.501) > hall.due_ns
        hall.go_to(hall.due_ns - 200_000)

        assert hall.end_ahead()
        assert [event.id for _, event in hall.wire.told] == ["first"]

    @pytest.mark.parametrize("commit_ns", [0, 90_000, 400_000, 3 * NS_PER_MS])
    def test_is_told_in_order_and_never_early_however_long_commits_take(self, hall: Hall, commit_ns: int) -> None:
        hall.slow.commit_ns = commit_ns
        for number in range(100):
            hall.start(f"many/{number}", hall.clock.now_ns(), seconds=0.4 + number / 1000)
        hall.turn()
        hall.wire.told.clear()
        while hall.engine.counts().running:
            hall.machine.ns += min(hall.sleep_ns(), 170_000)
            if not hall.end_ahead():
                hall.turn()

        assert len(hall.wire.told) == 101
        for told_ns, event in hall.wire.told:
            assert event.due_at_ms is not None
            assert told_ns >= (event.due_at_ms - BEGIN_MS) * NS_PER_MS
            assert event.at_ms >= event.due_at_ms
        at_ms = [event.at_ms for _, event in hall.wire.told]
        assert at_ms == sorted(at_ms)


class TestTheEstimate:
    def test_grows_with_ends_that_are_late_and_shrinks_with_others(self) -> None:
        estimate = HeadStart()
        first_ns = estimate.ns

        estimate.note(was_in_time=False)
        grown_ns = estimate.ns
        estimate.note(was_in_time=True)

        assert first_ns < estimate.ns < grown_ns

    @pytest.mark.parametrize("was_in_time", [True, False])
    def test_has_bounds(self, was_in_time: bool) -> None:
        estimate = HeadStart()
        for _ in range(1000):
            estimate.note(was_in_time)

        assert 50_000 <= estimate.ns <= 500_000
