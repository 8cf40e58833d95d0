"""Metrics of the streams."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """What is counted of the streams. `count_open` and `count_kept` tell how things stand when they are asked."""

    def __init__(
        self, registry: CollectorRegistry, count_open: Callable[[], int], count_kept_bytes: Callable[[], int]
    ) -> None:
        self.events_sent: Final = Counter(
            "timer_gateway_events_sent", "Events sent over streams, to each stream", registry=registry
        )
        self.cut: Final = Counter(
            "timer_gateway_streams_cut", "Streams cut off, as their readers took nothing", registry=registry
        )
        Gauge("timer_gateway_streams", "Open streams", registry=registry).set_function(count_open)
        Gauge(
            "timer_gateway_events_kept_bytes", "Bytes of events kept for streams that come back", registry=registry
        ).set_function(count_kept_bytes)
