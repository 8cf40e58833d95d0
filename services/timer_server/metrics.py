"""Metrics for Prometheus. The names follow its conventions: base units, `_total` for counters.

The loop only counts in plain numbers, which become text when Prometheus asks.
"""

from collections.abc import Iterator, Sequence
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from timer_protocol.messages import StateCounts
from timer_protocol.queue_messages import Queue
from timer_server.core.model import FIRED, KINDS
from timer_server.distribution import Distribution
from timer_server.log_writer import lines_dropped
from timer_server.requests.shard import Writes, total

QUEUES_NAMED = 100
"""Queues that the metrics tell of, the first by name: each has time series of its own in Prometheus."""

_QUEUE_STATES = ("ready", "leased", "delayed", "dead")
_MS_PER_S = 1000
_NS_PER_S = 1e9


class Metrics(Collector):
    """The server's counts about itself. They leave out what is not durable."""

    def __init__(self, counts: Sequence[StateCounts]) -> None:
        """`counts` are those of all shards after the restore."""
        self._counts = list(counts)
        self._events = [0] * len(KINDS)
        self._queues: Sequence[Queue] = ()
        self._messages = 0
        self._dropped = 0
        self._lateness = Distribution()
        self._commit = Distribution()

    def serve(self, host: str, port: int) -> tuple[WSGIServer, Thread]:
        """Answers GET /metrics in a thread of its own. Raises OSError where the address cannot be bound."""
        registry = CollectorRegistry()
        registry.register(self)
        return start_http_server(port, host, registry=registry)

    def received(self, messages: int) -> None:
        """Counts messages that have come in."""
        self._messages += messages

    def dropped(self) -> None:
        """Counts a reply that could not be delivered."""
        self._dropped += 1

    def settled(self, number: int, writes: Writes, took_ns: int, now_ns: int) -> None:
        """Counts the changes of a shard that have become durable, and how late the ends among them are."""
        self._commit.add(took_ns / _NS_PER_S)
        self._counts[number] = writes.counts
        now_s, events = now_ns / _NS_PER_S, self._events
        for event in writes.changes.events:
            kind_number = event.kind_number
            events[kind_number] += 1
            if kind_number == FIRED and (due_at_ms := event.due_on_timeline_ms) is not None:
                self._lateness.add(max(now_s - due_at_ms / _MS_PER_S, 0.0))

    def note_queues(self, queues: Sequence[Queue]) -> None:
        """Takes down how queues stand, all of it durable."""
        self._queues = queues[:QUEUES_NAMED]

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus; called in the thread that serves them."""
        events = CounterMetricFamily("timer_events", "Events by kind", labels=["kind"])
        for kind in dict.fromkeys(KINDS):
            happened = (count for other, count in zip(KINDS, self._events, strict=True) if other == kind)
            events.add_metric([kind], sum(happened))
        yield events
        yield CounterMetricFamily("timer_messages", "Messages received", self._messages)
        yield CounterMetricFamily("timer_replies_dropped", "Replies no peer could take", self._dropped)
        yield CounterMetricFamily("timer_log_lines_dropped", "Log lines that could not be written", lines_dropped())
        about = "From a deadline to the moment its end was durable and could be told"
        yield _histogram("timer_lateness_seconds", about, self._lateness)
        about = "Time taken to make a turn's changes durable"
        yield _histogram("timer_commit_duration_seconds", about, self._commit)
        timers = GaugeMetricFamily("timer_timers", "Timers by state, as server.info tells", labels=["state"])
        counts = total(self._counts)
        for state in StateCounts.__struct_fields__:
            timers.add_metric([state], getattr(counts, state))
        yield timers
        yield from _queue_metrics(self._queues)


def _queue_metrics(queues: Sequence[Queue]) -> Iterator[Metric]:
    ends = GaugeMetricFamily("timer_queue_ends", "Ends that a queue holds, by state", labels=["queue", "state"])
    dropped = CounterMetricFamily("timer_queue_dropped", "Ends that a queue has dropped", labels=["queue"])
    about = "How long ago the oldest ready end of a queue was, 0 where none is ready"
    oldest = GaugeMetricFamily("timer_queue_oldest_ready_seconds", about, labels=["queue"])
    for queue in queues:
        for state in _QUEUE_STATES:
            ends.add_metric([queue.queue, state], getattr(queue, state))
        dropped.add_metric([queue.queue], queue.dropped)
        oldest.add_metric([queue.queue], (queue.oldest_ready_ms or 0) / _MS_PER_S)
    yield from (ends, dropped, oldest)


def _histogram(name: str, about: str, durations: Distribution) -> Metric:
    return HistogramMetricFamily(name, about, buckets=durations.buckets(), sum_value=durations.sum_s)
