"""Spans of OpenTelemetry for a client. It needs the extra `otel`, and only whoever wants spans imports it.

from timer_client.tracing import Tracing

with TimerClient(tracing=Tracing()) as client: ...

A start is a span of the kind *producer*. The work on a delivery is one of the kind *consumer*; it is no child of the
start, which may have been days ago, but has a link to it. Names follow the semantic conventions for messaging.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, TracerProvider, get_current_span, get_tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from timer_protocol import __version__
from timer_protocol.queue_messages import Delivery
from timer_protocol.traces import Trace, fault_in

_propagator = TraceContextTextMapPropagator()

Attributes = dict[str, str | int]


class Tracing:
    """Makes the spans of clients, with a tracer of `tracer_provider` or of the global one. Clients may share it."""

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("timer_client", __version__, tracer_provider)

    @contextmanager
    def starting(self, ids: Sequence[str]) -> Iterator[Trace | None]:
        """A span in which timers are started, and the trace that they keep. Without ids there may be any number."""
        prefixes = {_prefix_of(timer_id) for timer_id in ids}
        attributes: Attributes = {}
        if len(ids) == 1:
            attributes["messaging.message.id"] = ids[0]
        elif ids:
            attributes["messaging.batch.message_count"] = len(ids)
        with self._span("start", "send", SpanKind.PRODUCER, prefixes.pop() if len(prefixes) == 1 else "", attributes):
            yield _current_trace()

    @contextmanager
    def working(self, queue: str, delivery: Delivery) -> Iterator[None]:
        """A span in which a delivery of a queue is handled. Blocks of deliveries of `work` have it already."""
        event = delivery.event
        attributes: Attributes = {"messaging.message.id": event.timer.id, "timer.attempt": delivery.attempt}
        if event.kind == "fired" and event.timer.due_at_ms is not None:
            attributes["timer.due_at_ms"] = event.timer.due_at_ms
            attributes["timer.lateness_ms"] = max(event.at_ms - event.timer.due_at_ms, 0)
        with self._span("work", "process", SpanKind.CONSUMER, queue, attributes, _links_to(delivery.trace or None)):
            yield

    @contextmanager
    def _span(
        self,
        operation: str,
        kind_of_operation: str,
        kind: SpanKind,
        destination: str,
        attributes: Attributes,
        links: Sequence[Link] = (),
    ) -> Iterator[None]:
        """The current span of a block. An exception that leaves the block is recorded, and is the span's status."""
        attributes["messaging.system"] = "timer"
        attributes["messaging.operation.name"] = operation
        attributes["messaging.operation.type"] = kind_of_operation
        if destination:
            attributes["messaging.destination.name"] = destination
        name = f"{operation} {destination}".rstrip()
        with self._tracer.start_as_current_span(name, kind=kind, attributes=attributes, links=links) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise


def _prefix_of(timer_id: str) -> str:
    """What an id begins with, up to the first slash: names of spans have to be few."""
    return "".join(timer_id.partition("/")[:2]) if "/" in timer_id else ""


def _current_trace() -> Trace | None:
    """The trace of the current span; None where spans are not made."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    if "traceparent" not in carrier:
        return None
    trace = Trace(**carrier)
    return trace if fault_in(trace) is None else Trace(trace.traceparent)  # too long: a start is not to fail of it


def _links_to(trace: Trace | None) -> list[Link]:
    if trace is None:
        return []
    carrier: Mapping[str, str] = {"traceparent": trace.traceparent, "tracestate": trace.tracestate}
    started = get_current_span(_propagator.extract(carrier, Context())).get_span_context()
    return [Link(started)] if started.is_valid else []
