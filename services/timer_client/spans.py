"""What a client asks of whoever makes its spans. `timer_client.tracing` makes those of OpenTelemetry."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from timer_client.calls import Call
from timer_protocol.messages import Timer
from timer_protocol.queue_messages import Delivery
from timer_protocol.traces import Trace

T = TypeVar("T")


@runtime_checkable
class Spans(Protocol):
    """Makes the spans of a client: around starts of timers, and around blocks that handle deliveries."""

    def starting(self, ids: Sequence[str]) -> AbstractContextManager[Trace | None]:
        """A span in which timers are started, and the trace that they keep. Without ids there may be any number."""

    def working(self, queue: str, delivery: Delivery) -> AbstractContextManager[object]:
        """A span in which a delivery of a queue is handled. It begins where it is entered."""


class _Start(Struct):
    """The part of a start's params that matters here."""

    id: str
    trace: Any = None


class _StartMany(Struct):
    """The same of a start of many."""

    ids: list[str]
    traces: Any = None


_members = msgspec.json.Decoder(dict[str, Raw])


@contextmanager
def spanned(spans: Spans, call: Call[T]) -> Iterator[Call[T]]:
    """A start of timers in a span of its own, with its trace. What names a trace, or is no start, is left as it is."""
    if call.method == "timer.start":
        start = msgspec.json.decode(call.params, type=_Start)
        ids, member, has_trace = [start.id], "trace", start.trace is not None
    elif call.method == "timer.start_many":
        many = msgspec.json.decode(call.params, type=_StartMany)
        ids, member, has_trace = many.ids, "traces", many.traces is not None
    else:
        ids, member, has_trace = [], "", True
    if has_trace:
        yield call
        return
    with spans.starting(ids) as trace:
        yield _in_trace(call, member, trace)


@contextmanager
def spanned_starts(spans: Spans, starts: Iterable[Call[Timer]]) -> Iterator[Iterable[Call[Timer]]]:
    """Starts of single timers in one span, with its trace where they name no other."""
    with spans.starting(()) as trace:
        yield (_in_trace(start, "trace", trace) for start in starts)


def _in_trace(call: Call[T], member: str, trace: Trace | None) -> Call[T]:
    """The same call with a trace in this member of its params, unless it has one."""
    members = _members.decode(call.params)
    if trace is None or member in members:
        return call
    members[member] = Raw(msgspec.json.encode(trace))
    return replace(call, params=Raw(msgspec.json.encode(members)))
