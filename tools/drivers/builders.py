"""Short ways to make what tests of the core are about."""

from itertools import chain
from typing import Any

from msgspec import Raw

from timer_protocol.limits import Limits
from timer_protocol.messages import EventKind, GetParams, ListParams, StartParams
from timer_server.civil_time.plans import cron_after, local_moment, stamp
from timer_server.civil_time.zones import TZDATA_VERSION
from timer_server.core.effects import STANDING, WallClock
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.listing import Line, Listing, list_page
from timer_server.core.model import NUMBER_OF, Countdown, Entry, Recall
from timer_server.core.plans.rules import CivilTime
from timer_server.core.queues.queues import Queues
from timer_server.core.readers import EndReaders
from timer_server.limits import SCAN_MAXIMUM
from timer_server.requests.shard import Shard
from timer_server.store.base import Store
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
BEGIN_NS = 1_700_000_000_000 * NS_PER_MS
CIVIL_TIME = CivilTime(cron_after, local_moment, stamp, TZDATA_VERSION)

LOG_ID = "hfBTrOFTY0c"


def entries_in(store: Store) -> list[Entry]:
    """All entries that a store has, read as a server does that starts."""
    return list(chain.from_iterable(store.load()))


def make_timer(timer_id: str = "a", kind: EventKind = "started", **changed: Any) -> Countdown:
    """A timer of one minute that has just been started; what is given replaces its fields."""
    fields: dict[str, Any] = {
        "due_at_ms": 1_700_000_060_000,
        "place": 1,
        "others": 0,
        "kind_number": NUMBER_OF[kind],
        "started_at_ms": 1_700_000_000_000,
        "id": timer_id,
        "duration_ms": 60_000,
        "revision": None,
        "spec_place": 0,
        "hours": 0,
        "minutes": 1,
        "seconds": 0,
        "label": "",
        "payload": b"null",
    }
    return Countdown(**{**fields, **changed})


class Bench:
    """A shard with a store, in memory where none is given: requests see ended timers as they would in the server."""

    def __init__(
        self,
        store: Store | None = None,
        wall_clock: WallClock = STANDING,
        readers: EndReaders | None = None,
        **limits: int,
    ) -> None:
        self.limits = Limits(**limits)
        self.made = 0
        self.store = store or MemoryStore(LOG_ID)
        self._wall_clock, self._readers = wall_clock, readers
        self._open()

    def reload(self) -> None:
        """Goes on as a server does that was started anew: with what is stored."""
        self._open()
        self.engine.restore(self.store.load(), self.header.ends, self.log.holder)

    def _open(self) -> None:
        self.header = self.store.open()
        queues, log = Queues(lambda: 0.0), Log(self.store, self.header)
        readers = self._readers or queues
        engine = Engine(self.limits, self._new_id, self._wall_clock, readers, CIVIL_TIME, log.event)
        self.shard = Shard(engine, queues, log)
        self.engine, self.log = self.shard.engine, self.shard.log

    def ask(self, params: TimerParams, now_ns: int = BEGIN_NS) -> Countdown:
        """The timer after a request. Raises `Refusal`."""
        answer = self.engine.handle(params, now_ns)
        if isinstance(answer, Recall):
            answer = self.engine.handle(params, now_ns, self.log.event(answer.place))
        assert isinstance(answer, Countdown)
        return answer

    def start(
        self, timer_id: str | None = "a", now_ns: int = BEGIN_NS, payload: bytes = b"null", **asked: Any
    ) -> Countdown:
        """Starts a timer, of one minute unless something else is asked."""
        if not asked.keys() & {"hours", "minutes", "seconds"}:
            asked["minutes"] = 1
        return self.ask(StartParams(timer_id, payload=Raw(payload), **asked), now_ns)

    def list_page(self, params: ListParams, scan: int = SCAN_MAXIMUM) -> Listing:
        """A page of timers, found among the next `scan` of them. Raises `Refusal`."""
        return list_page([Line(self.engine.order)], params, scan)

    def get(self, timer_id: str = "a", now_ns: int = BEGIN_NS) -> Countdown:
        return self.ask(GetParams(timer_id), now_ns)

    def settle(self) -> list[Countdown]:
        """Stores what has happened, and returns the events."""
        writes = self.shard.take_writes()
        if writes is None:
            return []
        self.log.take_off(writes.changes)
        self.store.commit(writes.changes, writes.anchor)
        return self.log.land().events

    def commit(self) -> list[str]:
        """Stores what has happened, and returns the kinds of the events."""
        return [event.kind for event in self.settle()]

    def forget(self, now_ns: int) -> None:
        """All of retention that there is to do."""
        self.commit()
        while (due_ns := self.engine.next_forget_ns(self.log.durable_place)) is not None and due_ns <= now_ns:
            self.engine.forget(self.log.oldest(self.engine.horizon, 256), now_ns)
            self.commit()

    def _new_id(self, now_ms: int) -> str:
        self.made += 1
        return f"{now_ms}/{self.made}"
