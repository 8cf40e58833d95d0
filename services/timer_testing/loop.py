"""The server's loop on a clock that stands: time passes when it is told to, from one due moment to the next."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from timer_server.loop.chores import Retention, Schedule, StoreCare
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.turn import Loop
from timer_server.loop.upkeep import Upkeep
from timer_testing.clock import StandingClock

NOBODYS = (StoreCare, Retention, Upkeep)
"""Chores that come every second, and that nobody has asked for: they are done in turns that are made for others."""


class StandingLoop(Loop):
    """A loop that moves its own clock, between two turns: so no request ever meets a moment that is half over.

    Each moment at which something is due gets turns of its own until nothing is due any more. So timers end as late as
    they would if the time in between had really passed: not at all.
    """

    def __init__(self, parts: Parts, signals: OperatorSignals, clock: StandingClock) -> None:
        super().__init__(parts, signals)
        self.endpoints = parts.commands.endpoint, parts.events.endpoint
        self._standing_clock = clock
        self._asked_for = Schedule([chore for chore in self._other_chores.chores if not isinstance(chore, NOBODYS)])
        self._wakeup_fileno = signals.wakeup_fileno()
        self._asked: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()

    def do(self, action: Callable[[], None], limit_s: float) -> None:
        """Has the loop's thread do something between two turns, and waits for it. Raises `TimeoutError`."""
        done: Future[None] = Future()
        self._asked.put((action, done))
        os.write(self._wakeup_fileno, b"\0")
        done.result(limit_s)

    def pass_time_until(self, moment_ns: int) -> None:
        """Lets time pass up to a moment of the timeline, and does what is due on the way. In the loop's thread."""
        while (due_ns := min(self._ends.look(), self._asked_for.look())) <= moment_ns:
            self._standing_clock.move_to(due_ns)
            self._take_turn()
        self._standing_clock.move_to(moment_ns)
        self._take_turn()

    def _take_turn(self) -> None:
        self._ends.look()
        self._other_chores.look()
        self._turn({})

    def _step(self) -> None:
        super()._step()
        while not self._asked.empty():
            action, done = self._asked.get()
            try:
                action()
            except BaseException as error:
                done.set_exception(error)
                raise
            done.set_result(None)

    def _end_ahead(self) -> bool:
        return False  # it would wait for a moment that does not come by itself
