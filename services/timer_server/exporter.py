"""Metrics for Prometheus. The names follow its conventions: base units, `_total` for counters.

Only a server that is asked for metrics loads this: the HTTP server and the client library take a quarter of a start.
"""

from collections.abc import Iterator, Sequence
from typing import get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from timer_protocol.log_writer import lines_dropped
from timer_protocol.messages import StateCounts
from timer_protocol.queue_messages import Queue
from timer_server.core.model import KINDS
from timer_server.distribution import Distribution
from timer_server.logs import log
from timer_server.metrics import Metrics
from timer_server.requests.shard import total
from timer_server.wire.peer_greeting import Reason

_QUEUE_STATES = ("ready", "leased", "delayed", "dead")
_MS_PER_S = 1000


def export(metrics: Metrics, host: str, port: int) -> WSGIServer:
    """Answers GET /metrics in a thread that ends with the process. Raises OSError where the address cannot be bound."""
    registry = CollectorRegistry()
    registry.register(Exporter(metrics))
    server, _ = start_http_server(port, host, registry=registry)
    return server


class Exporter(Collector):
    """The server's counts about itself, in the form of Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus; called in the thread that serves them."""
        metrics = self._metrics
        events = CounterMetricFamily("timer_events", "Events by kind", labels=["kind"])
        for kind in dict.fromkeys(KINDS):
            happened = (count for other, count in zip(KINDS, metrics.events, strict=True) if other == kind)
            events.add_metric([kind], sum(happened))
        yield events
        yield CounterMetricFamily("timer_messages", "Messages received", metrics.messages)
        yield CounterMetricFamily("timer_replies_dropped", "Replies no peer could take", metrics.replies_dropped)
        about = "Events that the store has acknowledged and lost: any at all is a fault of its replication"
        yield CounterMetricFamily("timer_acknowledged_events_lost", about, metrics.events_lost)
        about = "1 while the store acknowledges nothing: requests fail, and timers ring late"
        yield GaugeMetricFamily("timer_store_away", about, metrics.is_store_away)
        about = "Unix time of the last backup that is on a disk; 0 where this run of the server has made none"
        yield GaugeMetricFamily("timer_last_backup_timestamp_seconds", about, metrics.backed_up_at_s)
        about = "Servers of the store with which this one has no connection, by why"
        unreachable = GaugeMetricFamily("timer_servers_unreachable", about, labels=["reason"])
        for reason in get_args(Reason):
            unreachable.add_metric([reason], metrics.unreachable[reason])
        yield unreachable
        yield from _shard_metrics(metrics)
        yield CounterMetricFamily("timer_log_lines_dropped", "Log lines that could not be written", lines_dropped(log))
        about = "From a deadline to the moment its end was durable and could be told"
        yield _histogram("timer_lateness_seconds", about, metrics.lateness)
        about = "Time taken to make a turn's changes durable"
        yield _histogram("timer_commit_duration_seconds", about, metrics.commit)
        timers = GaugeMetricFamily("timer_timers", "Timers by state, as server.info tells", labels=["state"])
        counts = total(list(metrics.counts.values()))
        for state in StateCounts.__struct_fields__:
            timers.add_metric([state], getattr(counts, state))
        yield timers
        yield from _queue_metrics(metrics.queues)
        yield GaugeMetricFamily("timer_plans", "Plans, those that have finished among them", metrics.plans)
        skipped = CounterMetricFamily("timer_plan_moments_skipped", "Moments of plans skipped", labels=["reason"])
        for reason, count in metrics.skipped.items():
            skipped.add_metric([reason], count)
        yield skipped


def _shard_metrics(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("timer_shards_served", "Shards that this server serves", len(metrics.counts))
    about = "Shards that this server owns and does not serve: their logs are not whole"
    yield GaugeMetricFamily("timer_shards_refused", about, len(metrics.refused))
    about = "Shards taken from other servers, which had not given them"
    yield CounterMetricFamily("timer_shards_taken_over", about, metrics.takeovers)
    about = "Beats to the other servers of the store that failed or took too long: where they all do, a lease is lost"
    yield CounterMetricFamily("timer_beats_late", about, metrics.beats_late)


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
