"""A loop around a desk, whose clock, disk and sockets are the test's."""

from collections.abc import Iterable
from typing import cast

from drivers.builders import LOG_ID, NS_PER_MS
from drivers.desk import Desk
from loop.wires import QuietWire
from timer_protocol.frames import Message
from timer_protocol.messages import Beat
from timer_protocol.sender import EVERYBODY
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown
from timer_server.loop.clock import Boot, BootNs, Clock, Sources, WallNs
from timer_server.loop.committer import InlineCommitter
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.turn import Loop
from timer_server.metrics import Metrics
from timer_server.store.base import Anchor
from timer_server.store.memory import MemoryStore
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events
from timer_server.wire.listener import CannotListen

BEGIN_MS = 1_700_000_000_000
LOOK_NS = 1_000
"""Time that passes with every look at the clock."""


class Machine:
    """A clock that goes on by a microsecond whenever it is read, and by more when it is told to."""

    def __init__(self) -> None:
        self.ns = 0

    def sources(self) -> Sources:
        return Sources(lambda: Boot("boot"), self._read, lambda: WallNs(BEGIN_MS * NS_PER_MS + self.ns))

    def _read(self) -> BootNs:
        self.ns += LOOK_NS
        return BootNs(self.ns)


class SlowStore(MemoryStore):
    """A store whose commits take their time, and that notes when each was done."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(LOG_ID)
        self._machine = machine
        self.commit_ns = 0
        self.done_ns: list[int] = []

    def commit(self, changes: Changes, anchor: Anchor | None = None) -> None:
        super().commit(changes, anchor)
        self._machine.ns += self.commit_ns
        self.done_ns.append(self._machine.ns)


class Wire(QuietWire):
    """Stands in for the sockets: notes what is published and replied, and when."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.told: list[tuple[int, Countdown]] = []
        self.replied_ns: list[int] = []
        self.requests: list[bytes] = []
        self.beats: list[Beat] = []
        self.cut_ns: list[int] = []
        self.refusals = 0
        """How often there are too few descriptors for cutting."""

    def has_more(self) -> bool:
        return bool(self.requests)

    def receive(self) -> Message | None:
        return Message([b"peer", self.requests.pop()], EVERYBODY) if self.requests else None

    def reopen(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CannotListen("Too many open files")
        self.cut_ns.append(self._machine.ns)

    def beat(self, beat: Beat) -> None:
        self.beats.append(beat)

    def publish(self, _: str, events: Iterable[Countdown]) -> None:
        self.told += [(self._machine.ns, event) for event in events]

    def reply(self, _: list[bytes]) -> bool:
        self.replied_ns.append(self._machine.ns)
        return True

    def reply_all(self, messages: Iterable[list[bytes]]) -> int:
        return sum(not self.reply(frames) for frames in messages)


class Hall(Desk):
    """A loop around a desk, at a moment of the test's choice, with one timer that ends at `due_ns`."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.slow = SlowStore(self.machine)
        super().__init__(self.slow)
        self.wire = Wire(self.machine)
        self.clock = Clock(self.machine.sources(), None)
        self.parts = Parts(
            self.clock,
            self.shards,
            self.engine.places,
            self.queue_rules,
            InlineCommitter({LOG_ID: self.slow}),
            self.dispatcher,
            cast("Commands", self.wire),
            cast("Events", self.wire),
            self.wire.admission,
            Metrics({0: self.engine.counts()}),
            self.servers,
        )
        self.signals = OperatorSignals()
        self.loop = Loop(self.parts, self.signals)
        self.turn()
        self.due_ns = self.begin("first", 0.5)
        self.slow.done_ns.clear()
        self.slow.commit_ns = 100_000

    def begin(self, timer_id: str, seconds: float) -> int:
        """Starts a timer and has it stored; returns its deadline, by the machine."""
        timer = self.start(timer_id, self.clock.now_ns(), seconds=seconds)
        self.turn()
        self.turn()  # which finds that retention has nothing to do
        self.wire.told.clear()
        assert timer.due_at_ms is not None
        return (timer.due_at_ms - BEGIN_MS) * NS_PER_MS

    def turn(self, *ready: object) -> None:
        """One turn of the loop, in which these sockets have something."""
        self.loop._timeout_ms()  # which looks at what is due
        self.loop._turn(dict.fromkeys(ready, 1))

    def end_ahead(self) -> bool:
        """Whether the loop, with nothing else to do, has ended timers before their deadline."""
        self.loop._timeout_ms()
        return self.loop._end_ahead()

    def sleep_ns(self) -> int:
        """How long the loop would sleep at most."""
        return self.loop._timeout_ms() * NS_PER_MS

    def close(self) -> None:
        self.loop.close()
        self.signals.close()

    def go_to(self, ns: int) -> None:
        assert ns >= self.machine.ns
        self.machine.ns = ns
