"""What server, gateway and webhooks answer to Prometheus, as series with their types and labels."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from msgspec import convert
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from drivers.builders import NS_PER_MS
from drivers.desk import request
from loop.hall import Hall
from timer_gateway.metrics import Metrics as GatewayMetrics
from timer_gateway.streams.metrics import StreamMetrics
from timer_protocol.queue_messages import Queue
from timer_server.exporter import Exported, registry_of
from timer_webhooks.counts import Counts
from timer_webhooks.exporter import Exporter

OF_EACH_PART = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
"""What follows the name of a series, where it is several to Prometheus."""


class Series(NamedTuple):
    """What a series is; its labels without those that make a histogram."""

    kind: str
    labels: frozenset[str]


def of_server(folder: Path) -> dict[str, Series]:
    """The series of a server whose store is a file, and of its process."""
    file = folder / "timers.db"
    file.touch()
    with closing(Hall()) as hall:
        hall.result("queue.put", queue="q", prefix="")
        hall.wire.requests = [request("timer.get", id="nowhere")]
        for _ in range(2):
            hall.machine.ns += 1_100 * NS_PER_MS
            hall.turn(hall.wire.socket)
        return _read(generate_latest(registry_of(Exported(hall.parts.metrics, hall.clock.now_ns, "sqlite", file))))


def of_gateway() -> dict[str, Series]:
    """The series of a gateway and of its process."""
    metrics = GatewayMetrics()
    StreamMetrics(metrics.registry, lambda: 0, lambda: 0)
    metrics.answered("/rpc", "GET", 405, 0.001)
    metrics.called("timer.get")
    return _read(metrics.text())


def of_webhooks() -> dict[str, Series]:
    """The series of the sender of webhooks."""
    counts = Counts()
    with closing(Hall()) as hall:
        counts.queue = convert(hall.result("queue.put", queue="q", prefix=""), Queue)
    registry = CollectorRegistry()
    registry.register(Exporter({"shop": counts}))
    return _read(generate_latest(registry))


def _read(text: bytes) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(text.decode()):
        assert family.samples, f"{family.name} has nothing to tell"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        found[name] = Series(family.type, frozenset(labels))
    return found
