"""The gateway's metrics for Prometheus. Labels come from fixed lists: whatever is not in one counts as `other`."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from timer_gateway.requests import METHOD_BY_NAME
from timer_protocol import __version__
from timer_protocol.errors import ErrorCode

METRICS_PATH: Final = "/metrics"
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
AWAY: Final = "away"
"""The error of a request that no server has answered."""

_ERRORS = {"", AWAY, *(code.wire_name for code in ErrorCode)}
_HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_STATUSES = frozenset({200, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 428, 429, 500, 502, 503})
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, which nobody asks for


class Metrics:
    """What the gateway counts about itself."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        """Where other parts add their own."""
        ProcessCollector(registry=self.registry)
        build = Gauge("timer_gateway_build_info", "1, with the version", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self._answers = Counter(
            "timer_gateway_requests",
            "HTTP requests answered, by path, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._took = Histogram(
            "timer_gateway_request_duration_seconds",
            "From a request's head to the head of its answer",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._calls = Counter(
            "timer_gateway_calls",
            "Requests of the protocol, by method and error, which is empty where there was none",
            ["method", "error"],
            registry=self.registry,
        )
        self.server_away: Final = Gauge(
            "timer_gateway_server_away", "1 while the server does not answer", registry=self.registry
        )
        self.waits: Final = Gauge(
            "timer_gateway_waits", "Requests that the server holds back until something happens", registry=self.registry
        )

    def answered(self, route: str, method: str, status: int, took_s: float) -> None:
        """Counts an answer. `route` is one of the gateway's paths, or `OTHER`."""
        self._answers.labels(
            route,
            method if method in _HTTP_METHODS else OTHER,
            str(status) if status in _STATUSES else OTHER,
        ).inc()
        self._took.labels(route).observe(took_s)

    def called(self, method: str, error: str = "") -> None:
        """Counts a request of the protocol."""
        known = method if method in METHOD_BY_NAME else OTHER
        self._calls.labels(known, error if error in _ERRORS else OTHER).inc()

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
