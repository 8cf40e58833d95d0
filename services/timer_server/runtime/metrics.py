"""Metrics for Prometheus. The names follow its conventions: base units, `_total` for counters."""

from collections import Counter as Tally
from collections.abc import Sequence
from functools import partial
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from timer_protocol.messages import StateCounts
from timer_server.core.engine import Engine
from timer_server.core.model import Event

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_MS_PER_S = 1000
_NS_PER_S = 1e9


class Metrics:
    """What the server counts about itself."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter("timer_events", "Events by kind", ["kind"], registry=self.registry)
        self._messages = Counter("timer_messages", "Messages received", registry=self.registry)
        self._dropped = Counter("timer_replies_dropped", "Replies no peer could take", registry=self.registry)
        self._lateness = Histogram(
            "timer_lateness_seconds",
            "From a deadline to the moment its end was durable and could be told",
            registry=self.registry,
            buckets=_FAST,
        )
        self._commit = Histogram(
            "timer_commit_duration_seconds",
            "Time taken to make a turn's changes durable",
            registry=self.registry,
            buckets=_FAST,
        )
        timers = Gauge("timer_timers", "Timers by state, as server.info tells", ["state"], registry=self.registry)
        for state in StateCounts.__struct_fields__:
            timers.labels(state).set_function(partial(_count, engine, state))

    def serve(self, host: str, port: int) -> tuple[WSGIServer, Thread]:
        """Answers GET /metrics in a thread of its own. Raises OSError where the address cannot be bound."""
        return start_http_server(port, host, registry=self.registry)

    def received(self, messages: int) -> None:
        """Counts messages that have come in."""
        self._messages.inc(messages)

    def dropped(self) -> None:
        """Counts a reply that could not be delivered."""
        self._dropped.inc()

    def committed(self, events: Sequence[Event], took_ns: int, now_ns: int) -> None:
        """Counts what a commit has made durable, and notes how late the ends among it are."""
        self._commit.observe(took_ns / _NS_PER_S)
        kinds = Tally(event.kind for event in events)
        for kind, count in kinds.items():
            self._events.labels(kind).inc(count)
        if "fired" in kinds:
            for event in events:
                if event.kind == "fired" and event.timer.due_at_ms is not None:
                    self._lateness.observe(max(now_ns / _NS_PER_S - event.timer.due_at_ms / _MS_PER_S, 0.0))


def _count(engine: Engine, state: str) -> float:
    return float(getattr(engine.counts(), state))
