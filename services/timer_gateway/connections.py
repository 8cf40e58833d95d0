"""HTTP connections: uvicorn's, limited in number and in the time that peers take to send and to read. Broken requests
get problems.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
from uvicorn.protocols.http.h11_impl import H11Protocol

from timer_gateway.limits import HEAD_BYTES, SENDING_LIMIT_S, TAKING_LIMIT_S
from timer_gateway.problems import MEDIA_TYPE, problem

ABORT: Final = "abort"
"""The member of a request's scope that closes its connection at once, whatever is still to be sent over it."""

_NOTHING_SENT = (h11.IDLE, h11.SEND_RESPONSE)
"""The states in which an answer can still begin."""


class _HeadWithBody(h11.Connection):
    """HTTP as h11 writes it, but the head of an answer goes out with the first part of its body: in one write."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self._head: list[bytes] = []

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """What is to be written now."""
        written = super().send_with_data_passthrough(event)
        if isinstance(event, h11.Response):
            self._head = written or []
            return []
        if self._head and written is not None:
            written, self._head = self._head + written, []
        return written


class Connection(H11Protocol):
    """A connection that is closed where its peer neither sends nor takes in time what it is to."""

    _awaited: type | None = None
    """What the peer is to send within a limit: a head (IDLE), or a body that is read no longer (SEND_BODY)."""

    _sending_limit: asyncio.TimerHandle | None = None
    _taking_limit: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _HeadWithBody()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begins to wait for the first head, unless there are connections enough."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            # With as many uvicorn would refuse everybody's requests.
            self.connections.discard(self)
            transport.abort()
            return
        self.app = _with_abort(self.app, transport)
        self._limit_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._stop(self._sending_limit)
        self._stop(self._taking_limit)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what a peer has sent. Between requests uvicorn's own limit for idle connections holds."""
        super().data_received(data)
        self._limit_sending()

    def on_response_complete(self) -> None:
        """Goes on after an answer. What is left of the request's body is read and dropped, within a limit."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._limit_taking()
        elif self.conn.their_state is h11.SEND_BODY:
            self._limit_sending()

    def pause_writing(self) -> None:
        """Limits the time in which the peer takes nothing of its answers."""
        super().pause_writing()
        self._limit_taking()

    def resume_writing(self) -> None:
        """Ends that limit, but for what is left where the connection closes."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop(self._taking_limit)

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection."""
        super().timeout_keep_alive_handler()
        self._limit_taking()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, or closes the connection where an answer has begun."""
        if self.conn.our_state in _NOTHING_SENT:
            self._send_problem(msg)
        if self.cycle is not None:  # what would still be answered finds nobody
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._close()

    def _send_problem(self, detail: str) -> None:
        answer: Any = problem(400, "not_http", "Not HTTP", detail)
        headers: Final = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=answer.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _limit_sending(self) -> None:
        """Limits the time for a head, and for a body whose request is answered. Who reads another body limits it."""
        state = self.conn.their_state
        is_unread = state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        awaited = state if state is h11.IDLE or is_unread else None
        if awaited is not self._awaited:
            self._stop(self._sending_limit)
            self._awaited = awaited
            if awaited is not None:
                self._sending_limit = self.loop.call_later(SENDING_LIMIT_S, self._close)

    def _close(self) -> None:
        """Closes the connection once the peer has what was sent to it, or takes nothing of it."""
        self.transport.close()
        self._limit_taking()

    def _limit_taking(self) -> None:
        self._stop(self._taking_limit)
        waiting_bytes = self.transport.get_write_buffer_size()
        self._taking_limit = self.loop.call_later(TAKING_LIMIT_S, self._end_if_stalled, waiting_bytes)

    def _end_if_stalled(self, waiting_bytes: int) -> None:
        """Ends the connection if as much waits as before: a slow reader of a long answer goes on."""
        if self.transport.get_write_buffer_size() < waiting_bytes:
            self._limit_taking()
        else:
            self.transport.abort()

    @staticmethod
    def _stop(limit: asyncio.TimerHandle | None) -> None:
        if limit is not None:
            limit.cancel()


def _with_abort(app: ASGI3Application, transport: asyncio.Transport) -> ASGI3Application:
    """The application with what closes the connection at once in the scope of its requests."""

    async def abortable(scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope[ABORT] = transport.abort
        await app(scope, receive, send)

    return abortable
