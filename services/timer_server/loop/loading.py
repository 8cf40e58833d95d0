"""Loading shards: one after the other, over a session of their own, while the loop does other things."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from timer_protocol.durations import NS_PER_MS
from timer_server.cluster.outcomes import Loaded, Lost, ReadUp
from timer_server.core.restoring import HolderAt, Restoring
from timer_server.logs import RepeatedFault, fields, log
from timer_server.loop.session_line import Came, SessionLine
from timer_server.requests.shard import Shard
from timer_server.store.log import Log
from timer_server.store.postgres.loading import Ahead
from timer_server.store.postgres.loads import Loads
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.state import LogState

_STEP_NS = 2 * NS_PER_MS
"""How long a step takes, or little longer."""

_STEP_MOST_NS = 10 * NS_PER_MS
"""The same for a shard that is owned, where the loop is busy with others: nobody serves it before it was read."""

_RETRY_NS = 100 * NS_PER_MS

_UNREADABLE = -1
"""Where a log ends that cannot be read: no log does."""


class Opened(NamedTuple):
    """A shard, and the store with its log."""

    shard: Shard
    store: PostgresStore


class Loading:
    """The shards whose logs are to be read. Those that are owned come before those that are only offered."""

    def __init__(
        self,
        session: Loads,
        store_of: Callable[[int], PostgresStore],
        make_shard: Callable[[int, Log], Shard],
        now_ns: Callable[[], int],
    ) -> None:
        self.line = SessionLine(session, now_ns)
        self._session = session
        self._store_of = store_of
        self._make_shard = make_shard
        self._now_ns = now_ns
        self._epochs: dict[int, int] = {}
        """Of the shards that are owned, by number, in the order in which they are read."""
        self._offered: list[int] = []
        """The shards that are to be read ahead."""
        self._ahead: dict[int, Ahead] = {}
        """What was read ahead of them."""
        self._doing: int | None = None
        """The shard whose log is being read."""
        self._reads_ahead = False
        """Whether that is read ahead."""
        self._opened: Opened | None = None
        self._pause_until_ns = 0
        self._fault = RepeatedFault("a log is not read; it is tried again")
        self._left_ns = 0
        """When the last step ended."""
        self.loaded: dict[int, Opened] = {}
        """The shards whose logs were read, until somebody takes them."""

    def __len__(self) -> int:
        """How many shards are owned whose logs are to be read."""
        return len(self._epochs)

    def next_due_ns(self) -> int | None:
        """When there is something to do: 0 is now."""
        if self.line.is_busy:
            return self.line.next_due_ns()
        return self._pause_until_ns if self._epochs or self._offered else None

    def begin(self, number: int, epoch: int) -> None:
        """Notes a shard that is owned in an epoch. If its log is being read ahead, that goes on first; that of another
        one is left for later."""
        self._offered = [other for other in self._offered if other != number]
        self._epochs[number] = epoch

    def read_ahead(self, number: int) -> None:
        """Notes a shard that another server wants to give."""
        self._offered.append(number)

    def forget(self, number: int) -> None:
        """Leaves a shard, however far it was."""
        if self._doing == number:
            self._stop()
        self._epochs.pop(number, None)
        self._ahead.pop(number, None)
        self._offered = [other for other in self._offered if other != number]
        if (opened := self.loaded.pop(number, None)) is not None:
            opened.shard.engine.leave()

    def step(self, now_ns: int) -> Loaded | Lost | ReadUp | None:
        """Reads on for a moment, and tells what has come of a shard."""
        if not self.line.is_busy:
            if now_ns < self._pause_until_ns:
                return None
            self._begin_next()
        came, until_ns = None, now_ns + self._step_ns(now_ns)
        while self.line.is_busy and (came := self.line.take(now_ns)) is None and self.line.has_paused:
            now_ns = self._now_ns()
            if now_ns >= until_ns:
                break
        self._left_ns = self._now_ns()
        return None if came is None else self._ended(came, now_ns)

    def _step_ns(self, now_ns: int) -> int:
        """How long a step may take: as long as all else has since the last, so that a flood leaves half of the time."""
        return min(max(now_ns - self._left_ns, _STEP_NS), _STEP_MOST_NS) if self._epochs else _STEP_NS

    def _begin_next(self) -> None:
        if self._epochs:
            number, epoch = next(iter(self._epochs.items()))
            begin, ahead = partial(self._open, number, epoch), self._ahead.get(number)
            self.line.ask(lambda: self._session.loading(number, epoch, begin, ahead))
        elif self._offered:
            number = self._offered[0]
            self.line.ask(
                lambda: self._session.reading_ahead(number, lambda: not self._epochs or number in self._epochs)
            )
        else:
            return
        self._doing, self._reads_ahead = number, not self._epochs

    def _open(self, number: int, epoch: int, state: LogState, holder_at: HolderAt) -> Restoring:
        """Begins to restore a shard."""
        store = self._store_of(number)
        header = store.opened(epoch, state)
        shard = self._make_shard(number, Log(store, header))
        self._opened = Opened(shard, store)
        return shard.engine.restoring(header.ends, holder_at)

    def _ended(self, came: Came, now_ns: int) -> Loaded | Lost | ReadUp | None:
        number, opened = self._doing, self._opened
        assert number is not None
        self._doing = self._opened = None
        epoch = self._epochs.get(number)
        if came.fault is not None and not came.is_damaged:  # the log may be whole, whatever is wrong besides
            self._fault.warn(came.fault, now_ns)
            self._pause_until_ns = now_ns + _RETRY_NS
            return None
        if self._reads_ahead:
            if came.fault is None and came.value is None:  # it has made way for one that is owned
                return None
            return self._was_read_ahead(number, came.value)
        assert epoch is not None
        self.forget(number)
        if came.fault is not None:
            log.error("a shard cannot be served", extra=fields(shard=number, reason=came.fault))
            return Loaded(number, epoch, _UNREADABLE, 0)
        state: LogState | None = came.value
        if state is None:
            return Lost(number)
        assert opened is not None
        self.loaded[number] = opened
        return Loaded(number, epoch, state.ends.last_place, state.last_at_ms * NS_PER_MS)

    def _was_read_ahead(self, number: int, ahead: Any) -> ReadUp | None:
        """What cannot be read ahead is found to be damaged when it is owned."""
        if ahead is not None:
            self._ahead[number] = ahead
        if number in self._epochs:  # by now nobody waits to give it
            return None
        self._offered.remove(number)
        return ReadUp(number)

    def _stop(self) -> None:
        self.line.abandon()
        self._doing = self._opened = None
