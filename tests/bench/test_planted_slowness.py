"""The guard finds programs that have become slow, each by the ratio that is there for it."""

import msgspec
import pytest

from bench import gateway_streams, servers
from bench.guard import attempt
from bench.guarded import ends, on_postgres, over_http, pages, pending, starts, watchers
from bench.guarded.ratio import Measure, Ratio
from bench.slowed import SLOWED, Slowness
from postgres_store import require_postgres

GATEWAY = "timer_gateway"


def in_server(place: str, call_us: float = 0, each_us: float = 0, hoarded_bytes: int = 0) -> Slowness:
    return Slowness("timer_server", f"timer_server.{place}", call_us, each_us, hoarded_bytes)


def in_gateway(place: str, call_us: float) -> Slowness:
    return Slowness(GATEWAY, f"{GATEWAY}.{place}", call_us)


HANDLE, NEXT_START = "core.engine:Engine.handle", "core.plans.chain:Chain.start"
START_TOGETHER = "core.bulk_starts:BulkStarts.start"
CASES: dict[str, tuple[Measure, Ratio, Slowness]] = {
    "starts in columns": (
        starts.measured,
        starts.IN_COLUMNS,
        in_server(START_TOGETHER, 15_000),
    ),
    "starts in batches": (starts.measured, starts.IN_BATCHES, in_server(START_TOGETHER, 6_000)),
    "changes in pages": (pages.measured, pages.IN_PAGES, in_server("core.bulk_changes:BulkChanges.change", 15_000)),
    "starts of fifty": (starts.measured, starts.OF_FIFTY, in_server("requests.dispatch:Dispatcher.take_in", 300)),
    "starts of one": (starts.measured, starts.OF_ONE, in_server("store.sqlite.store:SqliteStore.commit", 10_000)),
    "events": (watchers.measured, watchers.FURTHER, in_server("wire.events:Events.publish", 100_000)),
    "memory": (pending.measured, pending.MEMORY, in_server(START_TOGETHER, hoarded_bytes=500_000)),
    "restarts": (pending.measured, pending.RESTART, in_server("core.deadlines:Deadlines.load", each_us=12)),
    "a herd": (ends.herds, ends.IN_A_HERD, in_server("core.ledger:Ledger.end_all", each_us=200)),
    "takes": (ends.of_queues, ends.OF_A_QUEUE, in_server("core.queues.queue:Queue.take", 20_000)),
    "plans": (ends.of_plans, ends.PLAN_PUT, in_server(NEXT_START, 3_000)),
    "occurrences": (ends.of_plans, ends.OCCURRENCE, in_server(NEXT_START, 1_000)),
    "starts on PostgreSQL": (on_postgres.measured, on_postgres.START, in_server(HANDLE, 200)),
    "forwards": (
        on_postgres.measured,
        on_postgres.FORWARD,
        in_server("requests.peer_dispatch:PeerDispatcher.handle", 50_000),
    ),
    "requests to a gateway": (over_http.measured, over_http.REQUEST, in_gateway("upstream:Upstream._called", 20_000)),
    "streams": (over_http.measured, over_http.STREAMED, in_gateway("streams.feed:Feed.take", 100_000)),
}
AT_ONCE = "starts in columns"
"""The one that is tested each time, as it takes least."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == AT_ONCE else pytest.mark.thorough) for name in CASES]
)
def test_what_has_become_slow_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, ratio, slowness = CASES[name]
    if measure is on_postgres.measured:
        require_postgres()
    where, what = (gateway_streams, "GATEWAY") if slowness.program == GATEWAY else (servers, "SERVED")
    monkeypatch.setattr(where, what, "bench.slowed")
    monkeypatch.setenv(SLOWED, msgspec.json.encode(slowness).decode())
    for module in (starts, pages, watchers, ends, on_postgres, over_http):
        monkeypatch.setattr(module, "REPETITIONS", 1)
    sentences = attempt(name, measure)
    assert any(sentence.startswith(f"{ratio.name}: ") for sentence in sentences), sentences
