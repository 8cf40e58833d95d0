"""A line to PostgreSQL: goes through one exchange after the other, and never waits.

What it waits for is a socket for the caller to poll. `advance` does what can be done by then, up to the next pause.
"""

import select
from typing import Any, NamedTuple

from timer_server.store.integrity import Damage
from timer_server.store.postgres.exchange import Steps, Wait
from timer_server.store.postgres.sentences import Failed, Fault, Lost, Unfit


class Ended(NamedTuple):
    """What an exchange has come to: what it has returned, or why it failed."""

    value: Any
    fault: Fault | None = None


class Line:
    """At most one exchange at a time. `silence_ns` is how long it waits for the next sign of the other side."""

    def __init__(self, silence_ns: int) -> None:
        self._silence_ns = silence_ns
        self._steps: Steps[Any] | None = None
        self._due_ns = 0
        self.wait: Wait | None = None
        """What to poll for; None where nothing is to be waited for."""

    @property
    def is_busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._steps is not None

    def begin(self, steps: Steps[Any], now_ns: int) -> None:
        """Begins with an exchange, which `advance` brings to its end."""
        assert self._steps is None
        self._steps, self.wait, self._due_ns = steps, None, now_ns

    def next_due_ns(self) -> int | None:
        """When the other side has been silent for too long, or 0 where there is something to do now."""
        if self._steps is None:
            return None
        return 0 if self.wait is None else self._due_ns

    def advance(self, now_ns: int) -> Ended | None:
        """Does what can be done without waiting. Returns what an exchange has come to, once."""
        if self._steps is None:
            return None
        try:
            if self.wait is None:
                self._await(next(self._steps), now_ns)
            while self.wait is not None and ((is_ready := self._is_ready()) or now_ns >= self._due_ns):
                self._await(self._steps.send(is_ready), now_ns)
        except StopIteration as end:
            return self._end(Ended(end.value))
        except (Lost, Failed, Unfit, Damage) as fault:
            return self._end(Ended(None, fault))
        return None

    def abandon(self) -> None:
        """Ends the exchange under way, of which nothing more will be heard."""
        if self._steps is not None:
            self._steps.close()
            self._steps = self.wait = None

    def _await(self, wait: Wait | None, now_ns: int) -> None:
        self.wait, self._due_ns = wait, now_ns + self._silence_ns

    def _end(self, ended: Ended) -> Ended:
        self._steps = self.wait = None
        return ended

    def _is_ready(self) -> bool:
        assert self.wait is not None
        poll = select.poll()
        poll.register(*self.wait)
        return bool(poll.poll(0))
