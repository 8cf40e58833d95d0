"""A session of a server with PostgreSQL that asks one thing after the other, and never waits."""

from collections.abc import Callable
from typing import Any, NamedTuple

from timer_protocol.durations import NS_PER_MS
from timer_server.store.base import StoreAway
from timer_server.store.integrity import Damage
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.line import Ended, Line
from timer_server.store.postgres.own_session import OwnSession, Reply

SILENCE_MS = 5_000
"""How long PostgreSQL may leave anything unanswered. Then the connection is ended, and all hosts are tried anew."""


class Came(NamedTuple):
    """What has come of what was asked: a value, or a sentence about why there is none that counts.

    `sent_ns` is when it was sent, once there was a session. `is_final` says that it will not go otherwise next time,
    `is_damaged` that what was read is not what was written.
    """

    value: Any
    sent_ns: int
    fault: str | None = None
    is_final: bool = False
    is_damaged: bool = False


class SessionLine:
    """Opens the session before the next thing that is asked, where there is none or it was lost.

    What has failed is asked again in a new session: nobody knows what else is wrong with this one.
    """

    def __init__(self, session: OwnSession, now_ns: Callable[[], int]) -> None:
        self.session = session
        self.line = Line(SILENCE_MS * NS_PER_MS)
        self._now_ns = now_ns
        self._sent_ns = 0
        self.last_fault: str | None = None
        """Why there was nothing that counts the last time; None where there was."""

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self.line.is_busy

    @property
    def has_paused(self) -> bool:
        """Whether it could go on at once."""
        return self.line.is_busy and self.line.wait is None

    def next_due_ns(self) -> int | None:
        """When `take` has something to do though nothing has come: 0 is now."""
        return self.line.next_due_ns()

    def ask(self, exchange: Callable[[], Steps[Reply[Any]]]) -> None:
        """Begins to ask something. Nothing else may be under way."""
        self._sent_ns = self._now_ns()
        self.line.begin(self._asking(exchange), self._sent_ns)

    def abandon(self) -> None:
        """Ends the session, if something is under way: nothing more will be heard of that."""
        if self.line.is_busy:
            self.line.abandon()
            self.session.close()

    def take(self, now_ns: int) -> Came | None:
        """What has come of it, once."""
        ended = self.line.advance(now_ns)
        if ended is None:
            return None
        came = self._came(ended)
        self.last_fault = came.fault
        return came

    def _came(self, ended: Ended) -> Came:
        if ended.fault is None:
            value, doubt = ended.value
            return Came(value, self._sent_ns, doubt)
        self.session.close()
        error = self.session.explain(ended.fault)
        is_final, is_damaged = not isinstance(error, StoreAway), isinstance(ended.fault, Damage)
        return Came(None, self._sent_ns, str(error), is_final, is_damaged)

    def _asking(self, exchange: Callable[[], Steps[Reply[Any]]]) -> Steps[Reply[Any]]:
        if self.session.is_lost():
            yield from self.session.opening()
            self._sent_ns = self._now_ns()
        return (yield from exchange())
