"""Metrics for Prometheus. The names follow its conventions: base units, `_total` for counters.

Only a server that is asked for metrics loads this: the HTTP server and the client library take a quarter of a start.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from timer_protocol import PROTOCOL, __version__
from timer_protocol.log_writer import lines_dropped
from timer_protocol.messages import StateCounts
from timer_server.core.model import KINDS
from timer_server.distribution import Distribution
from timer_server.logs import log
from timer_server.metrics import Metrics
from timer_server.requests.shard import total
from timer_server.settings import StoreKind
from timer_server.store.sqlite.files import StoreFiles
from timer_server.wire.peer_greeting import Reason

_QUEUE_STATES = ("ready", "leased", "delayed", "dead")
_MS_PER_S = 1000


class Exported(NamedTuple):
    """A server whose metrics are exported. `file` is its store, where that is a file."""

    metrics: Metrics
    now_ns: Callable[[], int]
    """Its clock."""
    store: StoreKind = "memory"
    file: Path | None = None


def export(exported: Exported, host: str, port: int) -> WSGIServer:
    """Answers GET /metrics in a thread that ends with the process. Raises OSError where the address cannot be bound."""
    server, _ = start_http_server(port, host, registry=registry_of(exported))
    return server


def registry_of(exported: Exported) -> CollectorRegistry:
    """All metrics of a server and of its process."""
    registry = CollectorRegistry()
    registry.register(Exporter(exported))
    ProcessCollector(registry=registry)
    return registry


class Exporter(Collector):
    """The server's counts about itself, in the form of Prometheus.

    They are plain numbers that the loop has counted, so a scrape asks the loop nothing. To write them takes some
    milliseconds, however many timers there are.
    """

    def __init__(self, exported: Exported) -> None:
        self._exported = exported

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus; called in the thread that serves them."""
        metrics, now_ns, store, file = self._exported
        build = {"version": __version__, "protocol": PROTOCOL, "store": store}
        family = GaugeMetricFamily("timer_build_info", "1, with what this server is", labels=list(build))
        family.add_metric(list(build.values()), 1)
        yield family
        about = "How long the oldest end that has not been told has been due; 0 where none is due"
        yield GaugeMetricFamily("timer_oldest_overdue_seconds", about, metrics.overdue_s(now_ns()))
        yield from _request_metrics(metrics)
        yield from _event_metrics(metrics)
        yield from _store_metrics(metrics, file)
        yield from _shard_metrics(metrics)
        yield CounterMetricFamily("timer_log_lines_dropped", "Log lines that could not be written", lines_dropped(log))
        yield from _queue_metrics(metrics)
        yield from _plan_metrics(metrics)


def _request_metrics(metrics: Metrics) -> Iterator[Metric]:
    yield CounterMetricFamily("timer_messages", "Messages received", metrics.messages)
    about = "Requests answered, by method and error, which is empty where there was none"
    requests = CounterMetricFamily("timer_requests", about, labels=["method", "error"])
    for method, error, count in metrics.requests.by_method_and_error():
        requests.add_metric([method, error], count)
    yield requests
    yield CounterMetricFamily("timer_replies_dropped", "Replies no peer could take", metrics.replies_dropped)
    about = "Requests that wait for an end, an event or a delivery"
    yield GaugeMetricFamily("timer_parked_requests", about, metrics.parked_requests)


def _event_metrics(metrics: Metrics) -> Iterator[Metric]:
    events = CounterMetricFamily("timer_events", "Events by kind", labels=["kind"])
    for kind in dict.fromkeys(KINDS):
        happened = (count for other, count in zip(KINDS, metrics.events, strict=True) if other == kind)
        events.add_metric([kind], sum(happened))
    yield events
    about = "From a deadline to the moment its end was durable and could be told"
    yield _histogram("timer_lateness_seconds", about, metrics.lateness)
    timers = GaugeMetricFamily("timer_timers", "Timers by state, as server.info tells", labels=["state"])
    counts = total(list(metrics.counts.values()))
    for state in StateCounts.__struct_fields__:
        timers.add_metric([state], getattr(counts, state))
    yield timers


def _store_metrics(metrics: Metrics, file: Path | None) -> Iterator[Metric]:
    about = "Time taken to make a turn's changes durable"
    yield _histogram("timer_commit_duration_seconds", about, metrics.commit)
    about = "Events that the store has acknowledged and lost: any at all is a fault of its replication"
    yield CounterMetricFamily("timer_acknowledged_events_lost", about, metrics.events_lost)
    about = "1 while the store acknowledges nothing: requests fail, and timers ring late"
    yield GaugeMetricFamily("timer_store_away", about, metrics.is_store_away)
    limits = {**metrics.limits, **metrics.queue_totals.limits}
    if file is not None:
        about = "Unix time of the last backup that is on a disk; 0 where this run of the server has made none"
        yield GaugeMetricFamily("timer_last_backup_timestamp_seconds", about, metrics.backed_up_at_s)
        with suppress(OSError):  # it was removed, which ends the server
            taken_bytes, free_bytes = _disk_use(file)
            yield GaugeMetricFamily("timer_store_bytes", "Bytes of the store's files", taken_bytes)
            about = "Bytes that are free on the store's disk"
            yield GaugeMetricFamily("timer_store_free_bytes", about, free_bytes)
            limits["disk_bytes"] = taken_bytes / max(taken_bytes + free_bytes, 1)
    about = "How much of a limit is taken: 1 is all of it"
    ratios = GaugeMetricFamily("timer_limit_ratio", about, labels=["limit"])
    for limit, ratio in limits.items():
        ratios.add_metric([limit], ratio)
    yield ratios


def _disk_use(database: Path) -> tuple[int, int]:
    """Bytes of the files of a store, and those that are free beside them. Raises OSError."""
    files = StoreFiles(database)
    taken_bytes = database.stat().st_size
    for beside in (files.log, files.mark, files.reserve):
        with suppress(FileNotFoundError):
            taken_bytes += beside.stat().st_size
    disk = os.statvfs(database)
    return taken_bytes, disk.f_bavail * disk.f_frsize


def _shard_metrics(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("timer_shards", "Shards of the store, whoever serves them", metrics.shards_of_store)
    yield GaugeMetricFamily("timer_shards_served", "Shards that this server serves", len(metrics.counts))
    about = "Shards that this server owns and does not serve: their logs are not whole"
    yield GaugeMetricFamily("timer_shards_refused", about, len(metrics.refused))
    about = "Shards taken from other servers, which had not given them"
    yield CounterMetricFamily("timer_shards_taken_over", about, metrics.takeovers)
    about = "Beats to the other servers of the store that failed or took too long: where they all do, a lease is lost"
    yield CounterMetricFamily("timer_beats_late", about, metrics.beats_late)
    about = "Servers of the store with which this one has no connection, by why"
    unreachable = GaugeMetricFamily("timer_servers_unreachable", about, labels=["reason"])
    for reason in get_args(Reason):
        unreachable.add_metric([reason], metrics.unreachable[reason])
    yield unreachable
    about = "The seq of the last durable event of each shard that this server serves"
    seqs = GaugeMetricFamily("timer_log_seq", about, labels=["shard"])
    for number, seq in metrics.log_seqs.items():
        seqs.add_metric([str(number)], seq)
    yield seqs


def _queue_metrics(metrics: Metrics) -> Iterator[Metric]:
    totals = metrics.queue_totals
    yield GaugeMetricFamily("timer_queues", "Queues", totals.queues)
    queued = GaugeMetricFamily("timer_queued_ends", "Ends that all queues hold together, by state", labels=["state"])
    ends = GaugeMetricFamily("timer_queue_ends", "Ends that a queue holds, by state", labels=["queue", "state"])
    dropped = CounterMetricFamily("timer_queue_dropped", "Ends that a queue has dropped", labels=["queue"])
    about = "How long ago the oldest ready end of a queue was, 0 where none is ready"
    oldest = GaugeMetricFamily("timer_queue_oldest_ready_seconds", about, labels=["queue"])
    for state in _QUEUE_STATES:
        queued.add_metric([state], getattr(totals, state))
    for queue in metrics.queues:
        for state in _QUEUE_STATES:
            ends.add_metric([queue.queue, state], getattr(queue, state))
        dropped.add_metric([queue.queue], queue.dropped)
        oldest.add_metric([queue.queue], (queue.oldest_ready_ms or 0) / _MS_PER_S)
    yield from (queued, ends, dropped, oldest)


def _plan_metrics(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("timer_plans", "Plans, those that have finished among them", metrics.plans)
    yield GaugeMetricFamily("timer_plans_paused", "Plans that are paused", metrics.plans_paused)
    skipped = CounterMetricFamily("timer_plan_moments_skipped", "Moments of plans skipped", labels=["reason"])
    for reason, count in metrics.skipped.items():
        skipped.add_metric([reason], count)
    yield skipped


def _histogram(name: str, about: str, durations: Distribution) -> Metric:
    return HistogramMetricFamily(name, about, buckets=durations.buckets(), sum_value=durations.sum_s)
