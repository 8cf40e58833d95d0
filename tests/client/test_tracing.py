"""Spans of a client: a start is a producer, and the work on its end a consumer that has a link to it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    use_span,
)

from client.workers import end_timers, patient
from drivers.both_clients import LIMIT_S
from local_server import LocalServer
from timer_client import AsyncTimerClient, IdConflict, InvalidArgument, TimerClient, TimerSpec, Trace
from timer_client.tracing import Tracing

OTHER = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "congo=t61rcWkgMzE")


class Spans:
    """Makes spans and keeps those that have ended."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer = self.provider.get_tracer("of the program")
        self.tracing = Tracing(self.provider)

    def take(self, *names: str) -> list[ReadableSpan]:
        """The spans that have ended since the last call, which have these names."""
        spans = list(self._kept.get_finished_spans())
        self._kept.clear()
        assert [span.name for span in spans] == [*names]
        return spans


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def client(server: LocalServer, spans: Spans) -> Iterator[TimerClient]:
    """A client with spans, and a queue `q` of all its ends."""
    with TimerClient(settings=patient(server), tracing=spans.tracing) as client:
        client.put_queue("q", "", states=["fired", "cancelled"], backoff_ms=[0])
        yield client


def context_of(span: ReadableSpan) -> SpanContext:
    context: SpanContext = span.get_span_context()
    return context


def links_of(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    return context_of(span).trace_id, context_of(span).span_id


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def text_of(span: ReadableSpan) -> Trace:
    """What a start keeps of its span."""
    context = context_of(span)
    return Trace(f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}")


def check_pair(started: ReadableSpan, worked: ReadableSpan, order: ReadableSpan, handled: ReadableSpan) -> None:
    """Checks the spans of a start within `order`, and of the work on its end, with `handled` within it."""
    assert (started.kind, worked.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert started.parent == context_of(order)
    assert worked.parent is None
    assert links_of(worked) == [ids_of(started)]
    assert context_of(worked).trace_id != context_of(started).trace_id
    assert handled.parent == context_of(worked)
    assert {span.status.status_code for span in (started, worked)} == {StatusCode.UNSET}
    assert attributes_of(started) == {
        "messaging.system": "timer",
        "messaging.operation.name": "start",
        "messaging.operation.type": "send",
        "messaging.destination.name": "order/",
        "messaging.message.id": "order/42",
    }
    attributes = attributes_of(worked)
    assert attributes.pop("timer.lateness_ms") >= 0
    assert attributes.pop("timer.due_at_ms") > 1.7e12
    assert attributes == {
        "messaging.system": "timer",
        "messaging.operation.name": "work",
        "messaging.operation.type": "process",
        "messaging.destination.name": "q",
        "messaging.message.id": "order/42",
        "timer.attempt": 1,
    }


def test_the_work_on_an_end_has_a_link_to_the_start(client: TimerClient, spans: Spans) -> None:
    with spans.tracer.start_as_current_span("order"):
        client.start(id="order/42", seconds=0.01)
    started, order = spans.take("start order/", "order")
    with client.work("q") as work, next(work) as held:
        assert held.trace == text_of(started)
        with spans.tracer.start_as_current_span("handle"):
            pass
    handled, worked = spans.take("handle", "work q")
    check_pair(started, worked, order, handled)


def test_so_it_is_in_tasks(client: TimerClient, server: LocalServer, spans: Spans) -> None:
    async def run() -> None:
        async with AsyncTimerClient(settings=patient(server), tracing=spans.tracing) as tasks:
            with spans.tracer.start_as_current_span("order"):
                await tasks.start(id="order/42", seconds=0.01)
            started, order = spans.take("start order/", "order")
            async with tasks.work("q") as work, await anext(work):
                with spans.tracer.start_as_current_span("handle"):
                    pass
            handled, worked = spans.take("handle", "work q")
            check_pair(started, worked, order, handled)
            await tasks.start_many([TimerSpec(id="a", hours=1), TimerSpec(id="b", hours=1)])
            assert attributes_of(*spans.take("start"))["messaging.operation.name"] == "start"
            await tasks.cancel("a")
            with pytest.raises(ZeroDivisionError):
                async with tasks.work("q") as work, await anext(work):
                    print(1 / 0)
            (failed,) = spans.take("work q")
            assert failed.status.status_code is StatusCode.ERROR

    asyncio.run(asyncio.wait_for(run(), LIMIT_S))


def test_what_fails_is_recorded(client: TimerClient, spans: Spans) -> None:
    client.start(id="a", seconds=0.01)
    with pytest.raises(IdConflict):
        client.start(id="a", hours=1)
    _, refused = spans.take("start", "start")
    assert refused.status.status_code is StatusCode.ERROR
    assert attributes_of(refused)["error.type"] == "IdConflict"
    with client.work("q") as work:
        with pytest.raises(ZeroDivisionError), next(work):
            print(1 / 0)
        with pytest.raises(KeyboardInterrupt), next(work):
            raise KeyboardInterrupt
    failed, interrupted = spans.take("work q", "work q")
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "ZeroDivisionError: division by zero",
    )
    assert [event.name for event in failed.events] == ["exception"]
    assert attributes_of(failed)["error.type"] == "ZeroDivisionError"
    assert (interrupted.status.status_code, attributes_of(interrupted)["timer.attempt"]) == (StatusCode.UNSET, 2)
    assert links_of(failed) == links_of(interrupted)


def test_many_are_started_in_one_span_unless_they_name_a_trace(client: TimerClient, spans: Spans) -> None:
    client.start_many([TimerSpec(id="m/1", hours=1), TimerSpec(id="m/2", hours=1, trace=OTHER)])
    client.start_columns(["c/1", "c/2"], 3600)
    client.start_columns(["c/3", "c/4"], 3600, traces=[None, OTHER])
    client.start_columns(["c/5"], 3600, traces=OTHER)
    client.start(id="one", hours=1, trace=OTHER)
    each, columns = spans.take("start", "start c/")
    assert attributes_of(columns)["messaging.batch.message_count"] == 2
    client.change_many("cancel", prefix="")
    found = {one.event.timer.id: one.trace or None for one in client.take("q", 100)}
    assert found == {
        "m/1": text_of(each),
        "m/2": OTHER,
        "c/1": text_of(columns),
        "c/2": text_of(columns),
        "c/3": None,
        "c/4": OTHER,
        "c/5": OTHER,
        "one": OTHER,
    }


def test_a_delivery_that_was_taken_by_itself_can_have_its_span(client: TimerClient, spans: Spans) -> None:
    client.start(id="a", hours=1)
    client.cancel("a")
    client.start(id="b", hours=1, trace=OTHER)
    client.cancel("b")
    (started,) = spans.take("start")
    for delivery in client.take("q", 2):
        with spans.tracing.working("q", delivery):
            client.ack("q", [delivery])
    first, second = spans.take("work q", "work q")
    assert links_of(first) == [ids_of(started)]
    assert [link.context.trace_state.to_header() for link in second.links] == [OTHER.tracestate]
    assert "timer.lateness_ms" not in attributes_of(first)


def test_where_no_spans_are_made_a_trace_is_only_passed_on(server: LocalServer, rest: TimerClient) -> None:
    """What a start is in goes on, also where its span is not sampled. A `tracestate` that is too long is left out."""
    rest.put_queue("q", "")
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    long = TraceState([(f"k{number}", "v" * 200) for number in range(5)])
    within = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=long))
    with TimerClient(settings=patient(server), tracing=Tracing(unsampled)) as client:
        client.start(id="unsampled", seconds=0.01)
    with TimerClient(settings=patient(server), tracing=Tracing(NoOpTracerProvider())) as client:
        client.start(id="outside", seconds=0.01)
        with use_span(within):
            client.start(id="within", seconds=0.01)
    end_timers(rest, "plain")
    traces: dict[str, Any] = {}
    while len(traces) < 4:
        taken = rest.take("q", 10, wait_ms=1000)
        traces.update((one.event.timer.id, one.trace or None) for one in taken)
    assert int(traces.pop("unsampled").traceparent[-1]) % 2 == 0
    assert traces == {"outside": None, "within": Trace(f"00-{1:032x}-{2:016x}-01"), "plain": None}


@pytest.mark.parametrize("made", [TimerClient, AsyncTimerClient])
def test_what_makes_no_spans_is_refused(made: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"tracing is .*, but must be a Tracing of timer_client\.tracing"):
        made(tracing=TracerProvider(shutdown_on_exit=False))


def test_a_start_says_what_is_wrong_with_a_trace() -> None:
    with TimerClient("tcp://127.0.0.1:1") as client:
        for arguments, said in (
            ({"trace": "00-1"}, "trace is '00-1', but must be None or a Trace"),
            ({"trace": Trace("\ud800")}, "trace.traceparent has half of a surrogate pair"),
            ({"trace": OTHER, "payload": {1}}, "payload is a set, which JSON has not"),
        ):
            with pytest.raises(InvalidArgument) as caught:
                client.start(seconds=1, **arguments)  # type: ignore[arg-type]
            assert said in str(caught.value)
        with pytest.raises(InvalidArgument, match=r"traces\[1\] is '00-1', but must be a Trace or None"):
            client.start_columns(["a", "b"], 1, traces=[OTHER, "00-1"])  # type: ignore[list-item]
