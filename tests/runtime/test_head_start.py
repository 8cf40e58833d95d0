"""Ends that are made durable a little before their deadline: told when it has come, and only where nothing waits."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import cast

import pytest
import zmq

from core.builders import NS_PER_MS
from runtime.desk import Desk
from timer_protocol.messages import Beat
from timer_server.core.ledger import Changes
from timer_server.core.model import Timer
from timer_server.runtime.clock import BootNs, Clock, Sources, WallNs
from timer_server.runtime.head_start import HeadStart
from timer_server.runtime.metrics import Metrics
from timer_server.runtime.reactor import Parts, Reactor
from timer_server.runtime.signals import Wishes
from timer_server.runtime.sockets import Sockets
from timer_server.store import Anchor, MemoryStore

BEGIN_MS = 1_700_000_000_000
LOOK_NS = 1_000
"""Time that passes with every look at the clock."""


class Machine:
    """A clock that goes on by a microsecond whenever it is read, and by more when it is told to."""

    def __init__(self) -> None:
        self.ns = 0

    def sources(self) -> Sources:
        return Sources("boot", self._read, lambda: WallNs(BEGIN_MS * NS_PER_MS + self.ns))

    def _read(self) -> BootNs:
        self.ns += LOOK_NS
        return BootNs(self.ns)


class SlowStore(MemoryStore):
    """A store whose commits take their time, and that notes when each was done."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self.commit_ns = 0
        self.done_ns: list[int] = []

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        super().commit(changes, anchor)
        self._machine.ns += self.commit_ns
        self.done_ns.append(self._machine.ns)


class Wire:
    """Stands in for the sockets: notes what is published and replied, and when."""

    gate = None
    commands = "commands"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.told: list[tuple[int, Timer]] = []
        self.replied_ns: list[int] = []

    def register(self, _: zmq.Poller) -> None: ...
    def attend(self, _: Mapping[object, int]) -> None: ...
    def beat(self, _: Beat) -> None: ...

    def publish(self, events: Iterable[Timer]) -> None:
        self.told += [(self._machine.ns, event) for event in events]

    def reply(self, _: list[bytes]) -> bool:
        self.replied_ns.append(self._machine.ns)
        return True


class Hall(Desk):
    """A loop around a desk, at a moment of the test's choice, with one timer that ends at `due_ns`."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine()
        self.slow = SlowStore(self.machine)
        self.wire = Wire(self.machine)
        self.clock = Clock(self.machine.sources(), None)
        parts = Parts(
            self.clock,
            self.engine,
            self.slow,
            self.dispatcher,
            self.waiting,
            cast("Sockets", self.wire),
            Metrics(self.engine),
        )
        self.wishes = Wishes()
        self.loop = Reactor(parts, self.wishes)
        self.loop._turn({})
        self.due_ns = self.begin("first", 0.5)
        self.slow.done_ns.clear()
        self.slow.commit_ns = 100_000

    def begin(self, timer_id: str, seconds: float) -> int:
        """Starts a timer and has it stored; returns its deadline, by the machine."""
        timer = self.start(timer_id, self.clock.now_ns(), seconds=seconds)
        self.loop._turn({})
        self.loop._turn({})  # which finds that retention has nothing to do
        self.wire.told.clear()
        assert timer.due_at_ms is not None
        return (timer.due_at_ms - BEGIN_MS) * NS_PER_MS

    def close(self) -> None:
        self.loop._alarm.close()
        self.loop._collector.close()
        self.wishes.close()

    def go_to(self, ns: int) -> None:
        assert ns >= self.machine.ns
        self.machine.ns = ns


@pytest.fixture
def hall() -> Iterator[Hall]:
    with closing(Hall()) as hall:
        yield hall


class TestAnEnd:
    def test_is_durable_before_its_deadline_and_told_when_that_has_come(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns - 200_000)

        assert hall.loop._end_ahead()

        (told_ns, event), (done_ns,) = hall.wire.told[0], hall.slow.done_ns
        assert done_ns < hall.due_ns <= told_ns <= hall.due_ns + 10 * LOOK_NS
        assert event.kind == "fired"
        assert event.at_ms == event.due_at_ms == event.ended_at_ms

    def test_is_answered_to_those_who_wait_when_its_deadline_has_come(self, hall: Hall) -> None:
        hall.now_ns = hall.clock.now_ns()
        hall.park("timer.wait", id="first", wait_ms=60_000)
        hall.go_to(hall.due_ns - 200_000)

        assert hall.loop._end_ahead()

        assert hall.wire.replied_ns
        assert min(hall.wire.replied_ns) >= hall.due_ns

    def test_whose_commit_takes_longer_is_told_after_it(self, hall: Hall) -> None:
        hall.slow.commit_ns = NS_PER_MS
        hall.go_to(hall.due_ns - 200_000)

        assert hall.loop._end_ahead()
        assert hall.wire.told[0][0] >= hall.slow.done_ns[0] > hall.due_ns

    def test_that_is_not_near_is_left_alone(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns - NS_PER_MS)

        assert not hall.loop._end_ahead()
        assert hall.engine.counts().running == 1

    def test_whose_deadline_has_come_is_left_to_the_turn(self, hall: Hall) -> None:
        hall.go_to(hall.due_ns)

        assert not hall.loop._end_ahead()
        hall.loop._turn({})
        assert [event.kind for _, event in hall.wire.told] == ["fired"]

    def test_does_not_hold_up_what_is_due_before(self, hall: Hall) -> None:
        """Otherwise many ends, each of them near, would put off the beat, waiting requests and retention."""
        hall.loop._beat_at_ns = BEGIN_MS * NS_PER_MS + hall.due_ns - 50_000
        hall.go_to(hall.due_ns - 100_000)

        assert not hall.loop._end_ahead()

    def test_takes_nothing_along_that_is_due_later(self, hall: Hall) -> None:
        assert hall.begin("second", 0.501) > hall.due_ns
        hall.go_to(hall.due_ns - 200_000)

        assert hall.loop._end_ahead()
        assert [event.id for _, event in hall.wire.told] == ["first"]

    @pytest.mark.parametrize("commit_ns", [0, 90_000, 400_000, 3 * NS_PER_MS])
    def test_is_told_in_order_and_never_early_however_long_commits_take(self, hall: Hall, commit_ns: int) -> None:
        hall.slow.commit_ns = commit_ns
        for number in range(100):
            hall.start(f"many/{number}", hall.clock.now_ns(), seconds=0.4 + number / 1000)
        hall.loop._turn({})
        hall.wire.told.clear()
        while hall.engine.counts().running:
            hall.machine.ns += min(hall.loop._timeout_ms() * NS_PER_MS, 170_000)
            if not hall.loop._end_ahead():
                hall.loop._turn({})

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
