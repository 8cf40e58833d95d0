"""GET /events: the events of timers as server-sent events.

A stream is answered with 200 whatever the server does, as any other status ends an `EventSource` for good: messages say
that the server is `away`, that events were lost (`truncated`), and that there is no place (`full`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from timer_gateway.callers import Caller
from timer_gateway.connections import ABORT
from timer_gateway.parts import Parts
from timer_gateway.streams import event_text
from timer_gateway.streams.following import Following
from timer_gateway.streams.metrics import StreamMetrics
from timer_gateway.streams.open_stream import OpenStream, Stalled
from timer_gateway.streams.places import RETRY_MOST_MS, STREAMS, STREAMS_OF_ONE, StreamPlaces
from timer_gateway.streams.request import StreamRequest, stream_request

PATH: Final = "/events"

HEADERS: Final = (
    (b"content-type", event_text.MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
)
"""Whatever is in between is to pass messages on as they come: not to keep, to gather or to compress them."""

_FULL = {"reason": f"there are at most {STREAMS_OF_ONE} streams of one caller, and {STREAMS} of all"}


class Streams:
    """The open streams."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._following = Following(parts.upstream.client, parts.clock, parts.upstream.note_answer)
        self._places = StreamPlaces(parts.clock)
        self._open: set[OpenStream] = set()
        self._ending: asyncio.Task[None] | None = None
        self._metrics = StreamMetrics(
            parts.metrics.registry, lambda: self._places.taken, lambda: self._following.feed.kept_bytes
        )

    def route(self) -> Route:
        """The path with what handles it."""
        return Route(PATH, self.get, methods=["GET"])

    async def get(self, http: Request) -> Response:
        """GET /events?prefix=&after=. Raises `Refused`."""
        caller: Caller = http.scope["caller"]
        return _Answer(self, stream_request(http, caller), caller)

    async def answer(self, request: StreamRequest, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends a stream until it ends."""
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS]})
        if scope["method"] == "HEAD":
            await send(_body(b""))
            return
        with self._places.one_of(caller.name) as is_free:
            if not is_free:
                await send(_body(event_text.retry_line(RETRY_MOST_MS) + event_text.named("full", None, _FULL)))
                return
            retry_ms = self._places.retry_ms(caller.name, request.prefix)
            await send(_body(event_text.retry_line(retry_ms), more=True))
            try:
                await self._send_events(request, caller, receive, send)
            except Stalled:
                self._places.note_cut(caller.name, request.prefix)
                self._metrics.cut.inc()
                await _abort(scope, receive)
            else:
                await send(_body(b""))

    async def _send_events(self, request: StreamRequest, caller: Caller, receive: Receive, send: Send) -> None:
        """Sends events until the reader goes, its token is taken away, or the gateway stops. Raises `Stalled`."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end_all())
        stream = OpenStream(self._following, caller.name, request, self._metrics.events_sent.inc)
        self._open.add(stream)
        try:
            await stream.send_all(send, receive, self._may_go_on(caller))
        finally:
            self._open.discard(stream)
            stream.close()

    def _may_go_on(self, caller: Caller) -> Callable[[], bool]:
        tokens, stopping = self._parts.access.tokens, self._parts.stopping
        return lambda: not stopping.is_set() and tokens.lets_in(caller)

    async def _end_all(self) -> None:
        """Ends all streams once the gateway is to stop."""
        await self._parts.stopping.wait()
        for stream in self._open:
            stream.end()


class _Answer(Response):
    """A stream as an answer to a request."""

    def __init__(self, streams: Streams, request: StreamRequest, caller: Caller) -> None:
        self._streams = streams
        self._request = request
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await self._streams.answer(self._request, self._caller, scope, receive, send)


def _body(part: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}


async def _abort(scope: Scope, receive: Receive) -> None:
    """Closes the connection of a reader that takes nothing: to close it in order would wait for that reader."""
    abort: Callable[[], None] | None = scope.get(ABORT)
    if abort is not None:
        abort()
        while (await receive())["type"] != "http.disconnect":
            pass
