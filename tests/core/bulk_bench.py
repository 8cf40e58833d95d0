"""A shard in which timers change in one step or one after the other, which has to come to the same."""

from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from core.fake_readers import FakeReaders
from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS, NS_PER_S, Bench
from timer_protocol.errors import Refusal
from timer_protocol.messages import (
    STATES,
    CancelParams,
    Event,
    ExtendParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    StartParams,
)
from timer_protocol.traces import Trace
from timer_server.core.bulk_versions import BulkVersions
from timer_server.core.effects import WallClock
from timer_server.core.ledger import Changes
from timer_server.core.plans.rules import Amounts, Every
from timer_server.core.plans.standing import Settings
from timer_server.store.base import Store

IDS = ["a", "a/1", "a/2", "b", "c", "d"]
LARGE = b'"' + 300 * b"x" + b'"'
TRACE = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
LATER_NS = BEGIN_NS + 30 * NS_PER_S + 1

requests: dict[str, Any] = {
    "pause": PauseParams,
    "resume": ResumeParams,
    "cancel": CancelParams,
    "restart": RestartParams,
    "extend": lambda timer_id, key: ExtendParams(timer_id, seconds=7, key=key),
}
doings = ["start"] * 4 + ["start at", *requests, "commit", "forget", "put queue", "put plan"]
deeds = st.lists(
    st.tuples(
        st.sampled_from(doings),
        st.sampled_from(IDS),
        st.sampled_from([1, 2, 2, 3, 20, 90]),
        st.sampled_from([b"null", b"null", b'{"a": 1}', LARGE]),
        st.sampled_from([None, "k", "l"]),
        st.booleans(),
    ),
    max_size=25,
)


class BulkBench(Bench):
    """A shard whose plans, queues, wall clock and shares of places all have a part in what becomes of timers."""

    def __init__(self, store: Store | None = None) -> None:
        self.queues = FakeReaders()
        super().__init__(
            store,
            wall_clock=WallClock(lambda: 250 * NS_PER_MS, lambda *_: BEGIN_NS // NS_PER_MS + 2_000),
            readers=self.queues,
            retention_s=60,
            max_duration_s=100,
        )
        self.engine.places.share_out({"a/": 10})

    def restored(self) -> "BulkBench":
        """What a server has that is started on the same store."""
        bench = BulkBench(self.store)
        bench.engine.restore(bench.store.load(), bench.header.ends, bench.log.holder)
        return bench

    def holds(self) -> dict[str, Any]:
        """All that the engine has in memory, but for what it is quick by."""
        ledger = self.engine._ledger
        deadlines = ledger._deadlines, ledger._wall_deadlines
        return {
            "pending": ledger._pending,
            "ended": ledger._ended,
            "traces": ledger._traces,
            "deadlines": [list(heap.living()) for heap in deadlines],
            "dead": [len(heap) - heap._dead for heap in deadlines],
            "counts": self.engine.counts(),
            "places": self.engine.places.limits(),
            "room": self.engine._room.left_bytes,
            "last": (ledger.last_place, ledger.last_seq),
            "horizon": (ledger.horizon, ledger.horizon_seq),
            "listed": [timer for _, timer in self.engine.order.by_id(None, "", STATES) if timer is not None],
            "next": self.engine.next_due_ns(),
            "queues": self.queues.queues,
        }

    def do(self, deed: tuple[Any, ...], now_ns: int = BEGIN_NS) -> None:
        """Does one of the `deeds`, if that is possible."""
        what, timer_id, seconds, payload, key, is_traced = deed
        with suppress(Refusal):
            if what == "start":
                trace = {"trace": TRACE} if is_traced else {}
                self.ask(StartParams(timer_id, seconds=seconds, payload=Raw(payload), **trace), now_ns)
            elif what == "start at":
                self.ask(StartParams(timer_id, at="2023-11-14T23:13:20+01:00", payload=Raw(payload)), now_ns)
            elif what == "commit":
                self.commit()
            elif what == "forget":
                self.forget(now_ns + 61 * NS_PER_S)
            elif what == "put queue":
                self.queues.put(timer_id, now_ns // NS_PER_MS)
            elif what == "put plan":
                every = Every(Amounts(0, 0, seconds))
                rule = Settings(1, every, None, None, None, "last", 10**9, "allow", "", payload)
                self.engine.plans.put(timer_id, rule, is_paused=None, now_ns=now_ns)
            else:
                self.ask(requests[what](timer_id, key=key), now_ns)

    def turn(self) -> tuple[list[Event], Changes] | None:
        """What a turn tells, and what it stores."""
        writes = self.shard.take_writes()
        if writes is None:
            return None
        told: list[Event] = []
        for part in writes.changes.entries.parts():
            told += part.views(LOG_ID) if isinstance(part, BulkVersions) else [one.event_view(LOG_ID) for one in part]
        self.log.take_off(writes.changes)
        self.store.commit(writes.changes, writes.anchor)
        return told, self.log.land()

    def start_again(self) -> None:
        """Forgets all that has ended, and starts timers with the same ids."""
        self.forget(LATER_NS + 3600 * NS_PER_S)
        for timer_id in IDS:
            self.do(("start", timer_id, 1, b"null", None, False))
