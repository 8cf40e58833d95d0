"""Metrics for Prometheus. Only a sender that is asked for them loads this."""

import time
from collections.abc import Iterator, Mapping
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from timer_webhooks.counts import Counts
from timer_webhooks.exchange import OUTCOMES

_QUEUE_STATES = ("ready", "leased", "delayed", "dead")


def export(counts: Mapping[str, Counts], host: str, port: int) -> WSGIServer:
    """Answers GET /metrics in a thread that ends with the process. Raises OSError where the address cannot be bound."""
    registry = CollectorRegistry()
    registry.register(Exporter(counts))
    server, _ = start_http_server(port, host, registry=registry)
    return server


class Exporter(Collector):
    """The counts of all endpoints, in the form of Prometheus. The names of endpoints are those of `webhooks.toml`."""

    def __init__(self, counts: Mapping[str, Counts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The metrics, for Prometheus; called in the thread that serves them."""
        tries = CounterMetricFamily("timer_webhooks_tries", "Attempts by outcome", labels=["endpoint", "outcome"])
        took = SummaryMetricFamily("timer_webhooks_exchange_seconds", "How long attempts took", labels=["endpoint"])
        about = "1 where an endpoint is sent nothing: it said 410, or failed for five days"
        disabled = GaugeMetricFamily("timer_webhooks_disabled", about, labels=["endpoint"])
        about = "For how long every attempt has failed, 0 after one that has not"
        failing = GaugeMetricFamily("timer_webhooks_failing_seconds", about, labels=["endpoint"])
        about = "1 while ends are taken from the endpoint's queue"
        working = GaugeMetricFamily("timer_webhooks_working", about, labels=["endpoint"])
        about = "Ends that the endpoint's queue holds, by state; the dead are sent no more"
        ends = GaugeMetricFamily("timer_webhooks_queue_ends", about, labels=["endpoint", "state"])
        about = "Ends that the endpoint's queue has dropped: they were never delivered"
        dropped = CounterMetricFamily("timer_webhooks_queue_dropped", about, labels=["endpoint"])
        for name, counts in self._counts.items():
            standing, queue = counts.standing, counts.queue
            for outcome in OUTCOMES:
                tries.add_metric([name, outcome], counts.outcomes[outcome])
            took.add_metric([name], sum(counts.outcomes.values()), counts.took_s)
            disabled.add_metric([name], standing.is_disabled)
            since_ms = standing.failing_since_ms
            failing.add_metric([name], 0 if since_ms is None else max(0.0, time.time() - since_ms / 1000))
            working.add_metric([name], counts.is_working)
            if queue is not None:
                for state in _QUEUE_STATES:
                    ends.add_metric([name, state], getattr(queue, state))
                dropped.add_metric([name], queue.dropped)
        yield from (tries, took, disabled, failing, working, ends, dropped)
